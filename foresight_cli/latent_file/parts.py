"""Parts of latents that were written as many files: a folder, a pattern, or the layout of clip-retrieval.

clip-retrieval (which users of img2dataset run) writes ``img_emb/img_emb_0.npy``, ``text_emb/text_emb_0.npy`` and
``metadata/metadata_0.parquet``, all numbered alike; some put these in one folder.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Sequence
from pathlib import Path

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.brace_patterns import expand, pattern_of
from foresight_cli.latent_file.conversions import saved_dataset_line
from foresight_cli.latent_file.fields import Naming, Undecided, natural, options
from foresight_cli.latent_file.npy import part_number, table_beside

FORMATS = (".npz", ".npy", ".safetensors", ".parquet")
HIDDEN = (".", "_")
"""First characters of files that are not parts, written by Spark and others: _SUCCESS, _metadata, .part-0.crc."""
MAGIC = re.compile(r"[*?\[{]")


def is_pattern(path: str) -> bool:
    """Check whether ``path`` has wildcards or braces, and is not itself the name of a file."""
    return MAGIC.search(path) is not None and not Path(path).expanduser().exists()


def files_of_pattern(pattern: str, at: str) -> list[Path]:
    """Return the files that match a pattern, part 2 before part 10; those of braces in their order.

    Raises:
        ForesightError: no file matches, or a file that braces name is missing.
    """
    files: list[Path] = []
    for name in expand(str(Path(pattern).expanduser())):
        if not glob.has_magic(name):
            if not Path(name).is_file():
                raise ForesightError(f"no file {name!r}, which {at}.path={pattern} names")
            files.append(Path(name))
            continue
        matches = [Path(file) for file in glob.glob(name, recursive=True) if Path(file).is_file()]  # noqa: PTH207
        parts = sorted((file for file in matches if _is_part(file)), key=lambda file: natural(str(file)))
        check_sequence(parts, f"{{at}}.path={pattern}", at, complete="[" not in name)
        files += parts
    if not files:
        raise ForesightError(f"no file matches {at}.path={pattern}; wanted {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    return _without_tables(pattern, files, at)


def files_of_folder(folder: Path, naming: Naming) -> tuple[list[Path], tuple[str, ...]]:
    """Return the parts in a folder, part 2 before part 10, and notes on the files that are not parts.

    Raises:
        ForesightError: the folder has no parts, or a part is missing.
        Undecided: it has files of several kinds, or vectors of several kinds.
    """
    kinds = _vector_folders(folder)
    if kinds:
        name = _one_of(folder, sorted(kinds), naming)
        return files_of_folder(kinds[name], Naming(naming.id, None, naming.at))
    files = sorted((file for file in folder.iterdir() if file.is_file()), key=lambda file: natural(file.name))
    parts = [file for file in files if _is_part(file)]
    if not parts:
        raise _nothing_in(folder, naming.at)
    if any(file.suffix.lower() == ".npy" for file in parts):
        parts, tables = _arrays(folder, parts, naming)
    else:
        tables = set[Path]()
        _refuse_mix(folder, parts, naming.at)
    check_sequence(parts, str(folder), naming.at)
    _check_index(folder, files, parts, naming.at)
    used = {*parts, *tables, *(part.with_suffix(".csv") for part in parts)}
    others = [file.name for file in files if file not in used and not file.name.startswith(HIDDEN)]
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    return parts, ((f"{folder}: left alone: {', '.join(others[:5])}{more}",) if others else ())


def check_sequence(parts: Sequence[Path], place: str, at: str, *, complete: bool = True) -> None:
    """Refuse numbered parts if one of the sequence is missing.

    Names are a sequence if they differ in only one number (in ``part-00003-of-00010``, the first). Numbers that begin
    above 1 and have more gaps than files, such as years, are not a sequence.

    Args:
        parts: the files.
        place: their folder, or the setting ``{at}.path=PATTERN``, for the message.
        at: name of the settings in messages: ``model`` or ``data``.
        complete: whether the total in the names (10 in ``part-00003-of-00010``) must be reached.

    Raises:
        Undecided: a part is missing; the message has the pattern that takes only the others.
    """
    alike: dict[tuple[str, ...], list[Path]] = {}
    for part in parts:
        alike.setdefault((str(part.parent), *re.split(r"[0-9]+", part.name)), []).append(part)
    for names in alike.values():
        if fault := _missing_number([re.split(r"([0-9]+)", part.name) for part in names], complete):
            raise Undecided(f"{place}: {fault}. {_without(parts)}", at)


def _without(parts: Sequence[Path]) -> str:
    """Return the advice to take only ``parts``, if others are missing."""
    names = [str(part) for part in parts]
    pattern = pattern_of(names) if len(names) > 1 else names[0]
    return f"For only the existing ones, add {options('path', [pattern])}" if pattern else "Name one part after another"


def _missing_number(names: Sequence[Sequence[str]], complete: bool) -> str:
    """Describe what is missing in names that differ only in numbers, each split into text and digits; "" if none."""
    runs, total = list(names[0]), _total(names[0]) if complete else None
    differing = [i for i in range(1, len(runs), 2) if len({name[i] for name in names}) > 1]
    if len(differing) > 1 or (not differing and total is None):
        return ""
    at = differing[0] if differing else 1
    numbers = {int(name[at]) for name in names}
    first, last = min(numbers), max(numbers)
    if total is not None and at == 1:
        first, last = (1, total) if total in numbers else (0, total - 1)
    elif first > 1 and last - first + 1 > 2 * len(numbers):
        return ""
    missing = sorted(set(range(first, last + 1)) - numbers)
    if not missing:
        return ""
    runs[at] = f"{missing[0]:0{len(runs[at]) if runs[at].startswith('0') else 0}d}"
    others = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"{''.join(runs)} is missing{others}"


def _total(runs: Sequence[str]) -> int | None:
    """Return the total in a name: 10 in ``part-00003-of-00010``."""
    return int(runs[3]) if len(runs) > 3 and re.fullmatch(r"[-_]?of[-_]?", runs[2]) else None


def _is_part(file: Path) -> bool:
    return file.suffix.lower() in FORMATS and not file.name.startswith(HIDDEN)


def _vector_folders(folder: Path) -> dict[str, Path]:
    """Return the subfolders of clip-retrieval by name: ``img_emb``, ``text_emb``."""
    below = [child for child in folder.iterdir() if child.is_dir() and child.name.endswith(("_emb", "_embs"))]
    return {child.name: child for child in below if any(_is_part(file) for file in child.iterdir())}


def _arrays(folder: Path, parts: Sequence[Path], naming: Naming) -> tuple[list[Path], set[Path]]:
    """Return the ``.npy`` of one kind (``img_emb_0.npy``, not ``text_emb_0.npy``), and the tables of their rows."""
    arrays = [file for file in parts if file.suffix.lower() == ".npy"]
    kinds = {_kind(file) for file in arrays}
    kind = _one_of(folder, sorted(kinds), naming) if len(kinds) > 1 else kinds.pop()
    chosen = [file for file in arrays if _kind(file) == kind]
    tables = {table for file in chosen if (table := table_beside(file)) is not None and table.suffix == ".parquet"}
    rest = [file for file in parts if file not in arrays and file not in tables]
    metadata = [file for file in _metadata_folder(folder) if file not in tables]
    for table in [*(file for file in rest if file.stem.startswith("metadata")), *metadata]:
        if part_number(table) is not None:
            fault = f"{kind}_{_digits(table)}.npy is missing: only {table} exists"
            raise Undecided(f"{folder}: {fault}. {_without(chosen)}", naming.at)
    _refuse_mix(folder, [*chosen, *rest], naming.at)
    if tables and (bare := [file for file in chosen if table_beside(file) is None]):
        place = next(iter(tables)).parent
        fault = f"metadata_{_digits(bare[0])}.parquet is missing: {bare[0]} has no ids without it"
        raise Undecided(f"{place}: {fault}. {_without([file for file in chosen if file not in bare])}", naming.at)
    return chosen, tables


def _metadata_folder(folder: Path) -> list[Path]:
    """Return the tables beside the folder of a clip-retrieval run."""
    place = folder.parent / "metadata"
    in_run = folder.name.endswith(("_emb", "_embs")) and place.is_dir()
    return sorted(place.glob("metadata_*.parquet"), key=lambda file: natural(file.name)) if in_run else []


def _kind(file: Path) -> str:
    """Return the kind in a name: ``img_emb`` in ``img_emb_3.npy``."""
    return re.sub(r"[_-]?[0-9]+$", "", file.stem)


def _digits(file: Path) -> str:
    numbered = re.search(r"[0-9]+$", file.stem)
    return numbered[0] if numbered else ""


def _one_of(folder: Path, kinds: Sequence[str], naming: Naming) -> str:
    if naming.values in kinds:
        assert naming.values is not None
        return naming.values
    if naming.values is not None or len(kinds) > 1:
        raise Undecided(
            f"{folder} holds {', '.join(kinds)}: which are the values? Add {options('values', kinds)}", naming.at
        )
    return kinds[0]


def _refuse_mix(folder: Path, parts: Sequence[Path], at: str) -> None:
    suffixes = sorted({file.suffix.lower() for file in parts})
    if len(suffixes) > 1:
        counted = " and ".join(f"{sum(f.suffix.lower() == s for f in parts)} {s}" for s in suffixes)
        choices = options("path", [f"{folder}/*{suffix}" for suffix in suffixes])
        raise Undecided(f"{folder} is a mix of {counted}: say which. Add {choices}", at)


def _without_tables(pattern: str, files: Sequence[Path], at: str) -> list[Path]:
    """Return the files of a pattern that are not tables of another file's rows, all of one kind."""
    tables = {table_beside(file) for file in files if file.suffix.lower() == ".npy"}
    parts = [file for file in files if file not in tables]
    suffixes = sorted({file.suffix.lower() for file in parts})
    if len(suffixes) > 1:
        raise ForesightError(f"{at}.path={pattern} matches a mix of {', '.join(suffixes)}: wanted files of one kind")
    kinds = sorted({_kind(file) for file in parts}) if suffixes == [".npy"] else []
    named = [kind for kind in kinds if kind.endswith(("_emb", "_embs"))]
    if len(named) > 1:
        raise ForesightError(f"{at}.path={pattern} matches {', '.join(named)}: wanted one kind of vectors")
    return parts


def _check_index(folder: Path, files: Sequence[Path], parts: Sequence[Path], at: str) -> None:
    """Refuse shards if the index beside them names one that is missing."""
    for index in (file for file in files if file.name.endswith(".safetensors.index.json")):
        try:
            named = set(json.loads(index.read_bytes())["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError):
            continue
        if missing := sorted(named - {part.name for part in parts}, key=natural):
            raise Undecided(f"{folder}: {missing[0]} is missing, which {index.name} names. {_without(parts)}", at)


def _nothing_in(folder: Path, at: str) -> ForesightError:
    """Return the error for a folder that is empty, or has files of another kind or only in subfolders."""
    inner = sorted(
        (file for file in folder.rglob("*") if file.is_file() and _is_part(file)), key=lambda f: natural(str(f))
    )
    if inner:
        pattern = f"{inner[0].parent}/*{inner[0].suffix}"
        return Undecided(f"{folder} has its files in subfolders. Add {options('path', [pattern])}", at)
    suffixes = sorted({file.suffix or file.name for file in folder.iterdir() if file.is_file()})
    if ".arrow" in suffixes and (folder / "dataset_info.json").exists():
        return ForesightError(f"{folder} was saved by the datasets library. Type: {saved_dataset_line(folder)}")
    has = f"holds {', '.join(suffixes[:5])}" if suffixes else "is empty"
    return ForesightError(f"the folder {folder} {has}; wanted parts in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
