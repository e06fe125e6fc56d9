"""The tar files that ``data=webdataset`` reads: those of a folder, or those that a pattern with braces names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from foresight_cli.data.left_alone import SYSTEM_FILES, listed, suffix_of
from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.brace_patterns import expand


def tar_files(path: str) -> tuple[list[str], Counter[str]]:
    """Return the absolute paths of the tars that ``path`` names, and the number of files of each suffix beside them.

    Raises:
        ForesightError: it names none, or one of them is missing.
    """
    whole, others = Path(path).expanduser(), Counter[str]()
    if whole.is_dir():
        tars = []
        for file in sorted(whole.iterdir()):
            if file.suffix.lower() == ".tar" and file.is_file():
                tars.append(str(file.absolute()))
            elif file.is_dir():
                others[".tar in sub-folders"] += sum(1 for _ in file.glob("*.tar"))
            elif not file.name.startswith(".") and file.name.lower() not in SYSTEM_FILES:
                others[suffix_of(file.name)] += 1
        others += Counter()  # drops zero counts
        if not tars:
            seen = f"; it holds {listed(others)}" if others else ""
            raise ForesightError(f"no .tar files in {path}{seen}; data.path= wants WebDataset shards")
        return tars, others
    named = [Path(name).expanduser() for name in expand(path)] if path else []
    missing = [str(file) for file in named if not file.is_file()]
    if not named or missing:
        raise ForesightError(f"no file {missing[0] if missing else path!r}; data.path= wants a folder of .tar files, "
                             "one .tar, or a pattern: 'data.path=shards/{000..099}.tar'")  # fmt: skip
    return [str(file.absolute()) for file in named], others
