"""Commands typed by a test, and what they leave."""

from __future__ import annotations

from pathlib import Path

from click.testing import Result

from tests.conftest import Run

PAIR = ("source=pixels", "target=histogram", "source.pooling=flat")
"""The two spaces of the fixture ``cached``."""


def typed(run: Run, *args: str) -> Result:
    """Return the result of a command that must not fail."""
    result = run(*args)
    assert result.exit_code == 0, result.output
    return result


def refused(run: Run, stage: str, *args: str, code: int = 1) -> str:
    """Return the message, without the name of the stage, of a command that must fail."""
    result = run(stage, *args)
    assert result.exit_code == code, result.output
    last = result.output.splitlines()[-1]
    assert last.startswith(f"foresight {stage}: ")
    return last.removeprefix(f"foresight {stage}: ")


def newest(folder: Path) -> Path:
    """Return the folder of the newest adapter below ``folder``."""
    return max(folder.glob("outputs/adapt/*/*/results.yaml"), key=lambda p: p.stat().st_mtime).parent
