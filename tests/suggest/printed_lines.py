"""Commands that a session prints, found as a reader finds them, and typed one after another."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import Result

START = re.compile(r"(?<![\w'\"-])foresight (?:extract|analyze|adapt|report|cache)(?: (?!\|)|$)")
"""Where a command begins; ``foresight cache ls | verify`` is the name of a page of help."""


def commands(output: str) -> list[str]:
    """Every command in what was printed: from ``foresight`` to the end of the line, a backtick, or the next ``&&``."""
    found = []
    for line in output.splitlines():
        if re.match(r"foresight \w+:", line):  # the prefix of an error
            continue
        for part in re.split(r" && |`", line):
            match = START.search(part)
            if match:
                found.append(part[match.start() :].strip())
    return found


@dataclass
class Session:
    """Types commands, and every command that these print or write into a report, until nothing new is printed."""

    run: Callable[..., Result]
    typed: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)

    def type(self, line: str, status: int = 0) -> str:
        """Type ``line``, which must end with ``status``; what it printed, and the newest FINDINGS.md after a report."""
        result = self.run(*shlex.split(line)[1:])
        assert result.exit_code == status, f"{line}\n{result.output}"
        self.typed.append(line)
        newest = sorted(Path("outputs/report").rglob("FINDINGS.md")) if line.startswith("foresight report") else []
        self.outputs[line] = result.output + "".join(path.read_text() for path in newest[-1:])
        return self.outputs[line]

    def follow(self, *lines: str) -> list[str]:
        """Type ``lines``, then what was printed, and so on, each line once; what was typed."""
        waiting, start = list(lines), len(self.typed)
        while waiting:
            line = waiting.pop(0)
            if line not in self.typed:
                waiting += commands(self.type(line))
        return self.typed[start:]
