"""Commands that a session prints, found as a reader finds them, and typed one after another."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


def commands(output: str) -> list[str]:
    """Every command in what was printed: from ``foresight`` to the end of the line, or to the next ``&&``."""
    found = []
    for line in output.splitlines():
        for part in re.split(r" && ", line):
            match = re.search(r"(?<![\w'\"-])foresight (?:extract|analyze|adapt|report|cache)(?: |$).*", part)
            if match and not re.match(r"foresight \w+:", line):
                found.append(match[0].strip())
    return found


@dataclass
class Session:
    """Types commands, and every command that these print, until nothing new is printed."""

    run: Callable[..., object]
    typed: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)

    def type(self, line: str) -> str:
        """Type ``line``, which must end with status 0; what it printed."""
        result = self.run(*shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}\n{result.output}"
        self.typed.append(line)
        self.outputs[line] = result.output
        return result.output

    def follow(self, lines: Iterable[str]) -> None:
        """Type ``lines``, then what was printed, and so on; each line once."""
        waiting = list(lines)
        while waiting:
            line = waiting.pop(0)
            if line not in self.typed:
                waiting += commands(self.type(line))
