"""Commands that a session prints, found as a reader finds them, and typed one after another."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import Result

START = re.compile(r"(?<![\w'\"-])foresight (?:extract|analyze|adapt|report|cache)(?: (?!\|)|$)")
"""Start of a command; ``foresight cache ls | verify`` is the name of a help page."""


def commands(output: str) -> list[str]:
    """Return every command in ``output``: from ``foresight`` to the end of the line, a backtick, or the next ``&&``."""
    commands_printed = []
    for line in output.splitlines():
        if re.match(r"foresight \w+:", line):  # the prefix of an error
            continue
        for part in re.split(r" && |`", line):
            match = START.search(part)
            if match:
                commands_printed.append(part[match.start() :].strip())
    return commands_printed


@dataclass
class Session:
    """A session that types commands, and every command that these print or write into a report."""

    run: Callable[..., Result]
    typed: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)

    def type(self, line: str, status: int = 0) -> str:
        """Type ``line``, which must end with ``status``; return its output, after a report with the FINDINGS.md."""
        result = self.run(*shlex.split(line)[1:])
        assert result.exit_code == status, f"{line}\n{result.output}"
        self.typed.append(line)
        newest = sorted(Path("outputs/report").rglob("FINDINGS.md")) if line.startswith("foresight report") else []
        self.outputs[line] = result.output + "".join(path.read_text() for path in newest[-1:])
        return self.outputs[line]

    def follow(self, *lines: str) -> list[str]:
        """Type ``lines``, then the commands that they print, and so on, each once; return the typed lines."""
        waiting, start = list(lines), len(self.typed)
        while waiting:
            line = waiting.pop(0)
            if line not in self.typed:
                waiting += commands(self.type(line))
        return self.typed[start:]
