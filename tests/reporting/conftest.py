from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from foresight_cli.reporting.figures import Drawn, draw_figures


@pytest.fixture(scope="session")
def example():
    """The functions of example.py, by name."""
    return SimpleNamespace(**run_path(str(Path(__file__).parent / "example.py")))


@pytest.fixture(scope="session")
def drawn(example):
    """Every figure of the full example, drawn once: what was drawn, and the files' bytes by name."""
    results, arrays = example.full()
    found = Drawn()
    return found, dict(draw_figures(results, arrays, found))
