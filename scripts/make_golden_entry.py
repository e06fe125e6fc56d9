"""Make the cache entry by which tests check that a format can still be read: ``python -m scripts.make_golden_entry``.

It is made once for each format, by the extract stage of that day, and an existing entry is never changed. A change of
format adds a folder beside the older ones, which stay.
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
"""A model in whose latents no float is rounded twice: they have the same bits on every machine."""


def make(root: Path) -> Path:
    """Extract into ``root`` as a user would; return the entry's folder, without the lock that names this machine."""
    with tempfile.TemporaryDirectory() as elsewhere:
        command = [sys.executable, "-m", "foresight_cli", "extract", *WORDS, f"cache_dir={root}"]
        subprocess.run(command, cwd=elsewhere, check=True)
    (entry,) = root.glob("*/*/*/*")
    (entry / ".lock").unlink(missing_ok=True)
    return entry


def main() -> None:
    """Make the entry of this format, unless it exists."""
    place = GOLDEN / f"format-{FORMAT}"
    if place.exists():
        sys.exit(f"{place} exists already, and is never made again. A new format is a new folder: raise FORMAT first")
    with tempfile.TemporaryDirectory() as made:
        entry = make(Path(made))
        shutil.copytree(made, place)
    print(place / entry.relative_to(made))


if __name__ == "__main__":
    main()
