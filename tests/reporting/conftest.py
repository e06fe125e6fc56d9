from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from foresight_cli.reporting.figures import Drawn, draw_figures


@pytest.fixture(scope="session")
def example():
    """Return the functions of example.py, by name."""
    return SimpleNamespace(**run_path(str(Path(__file__).parent / "example.py")))


@pytest.fixture(scope="session")
def drawn(example):
    """Draw every figure of the full example once: return the record of drawing, and the files' bytes by name."""
    results, arrays = example.full()
    drawn = Drawn()
    return drawn, dict(draw_figures(results, arrays, drawn))
