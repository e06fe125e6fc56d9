import os
import pickle

import pytest
from filelock import FileLock

from foresight_cli.reporting.figures import Drawn, draw_figures
from tests.reporting import example


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Draw every figure of the full example once for all workers: return the record, and the files' bytes by name."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    stored = folder / "drawn.pickle"
    with FileLock(folder / "drawn.lock"):
        if not stored.exists():
            results, arrays = example.full()
            record = Drawn()
            stored.write_bytes(pickle.dumps((record, dict(draw_figures(results, arrays, record)))))
    return pickle.loads(stored.read_bytes())


@pytest.fixture(scope="session")
def svg(drawn):
    """Return the SVG files of the full example, by figure."""
    return {name[:-4]: data for name, data in drawn[1].items() if name.endswith(".svg")}
