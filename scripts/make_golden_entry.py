"""Make the cache entry that the tests read for as long as its format is read: ``python -m scripts.make_golden_entry``.

It is made once for each format, by the extract stage of that day, and never again: an entry that is already there is
left as it is. A change of format adds a folder beside the older ones, and the older ones stay.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from foresight_cli.latents.recipe import FORMAT

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "latents" / "golden"
WORDS = ("model=pixels", "pooling=flat", "data=shapes", "data.per_category=1", "data.size=32", "rows_per_shard=4")
"""A model whose latents involve no float that is rounded twice: the same bits on every machine."""


def make(root: Path) -> Path:
    """Extract into ``root`` as a user would; the entry's folder, without the lock that names this machine."""
    with tempfile.TemporaryDirectory() as elsewhere:
        command = [sys.executable, "-m", "foresight_cli", "extract", *WORDS, f"cache_dir={root}"]
        subprocess.run(command, cwd=elsewhere, check=True)
    (entry,) = root.glob("*/*/*/*")
    (entry / ".lock").unlink(missing_ok=True)
    return entry


def main() -> None:
    """Make the entry of this format, unless there is one."""
    place = GOLDEN / f"format-{FORMAT}"
    if place.exists():
        sys.exit(f"{place} is there already, and is never made anew. A new format is a new folder: raise FORMAT first")
    with tempfile.TemporaryDirectory() as made:
        entry = make(Path(made))
        shutil.copytree(made, place)
    print(place / entry.relative_to(made))


if __name__ == "__main__":
    main()
