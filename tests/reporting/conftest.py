import os
import pickle

import pytest
from filelock import FileLock

from foresight_cli.reporting.figures import Drawn, draw_figures
from tests.reporting import example
from tests.reporting.hostile import hostile as hostile_analysis


def once(factory, name, results, arrays):
    """Draw every figure once for all workers: return the record, and the files' bytes by name."""
    folder = factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    stored = folder / f"{name}.pickle"
    with FileLock(folder / f"{name}.lock"):
        if not stored.exists():
            record = Drawn()
            stored.write_bytes(pickle.dumps((record, dict(draw_figures(results, arrays, record)))))
    return pickle.loads(stored.read_bytes())


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Return what the figures of the full example are: the record of drawing, and the files' bytes by name."""
    return once(tmp_path_factory, "drawn", *example.full())


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    """Return the analysis with hostile names, the record of drawing it, and its SVG files by figure."""
    results, arrays = hostile_analysis()
    record, files = once(tmp_path_factory, "hostile", results, arrays)
    return results, record, {name[:-4]: data for name, data in files.items() if name.endswith(".svg")}


@pytest.fixture(scope="session")
def svg(drawn):
    """Return the SVG files of the full example, by figure."""
    return {name[:-4]: data for name, data in drawn[1].items() if name.endswith(".svg")}
