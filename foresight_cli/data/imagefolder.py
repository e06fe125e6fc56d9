"""A folder of image files as a dataset; see ``ImageFolder`` for how names become ids, labels and groups."""

from __future__ import annotations

import csv
import hashlib
import heapq
import io
import math
import os
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from PIL import Image

from foresight_cli.data.dataset import Sample, UndecodableImage
from foresight_cli.data.decode import decode_rgb
from foresight_cli.errors import ForesightError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_FILES_PER_TASK = 16  # a future for every file would take more memory than the digests


class ImageFolder:
    """The image files under one folder, in the code-point order of their ids.

    An id is the path inside the folder, with ``/`` and the suffix, in Unicode form NFC: a disk that stores another form
    changes no id. The label is the first sub-folder's name, None for files directly in the folder; the group is the id.
    ``attributes.csv`` at the top adds numbers and overrides labels and groups: a column ``id``, optional columns
    ``label`` and ``group``, and any number of numeric columns. Empty cells leave that sample as it was.

    Names with a leading dot and files without one of ``SUFFIXES`` (in any case) are passed over. Links are followed,
    except a folder link that leads back to the root, above it, or to a folder that is already listed.
    """

    def __init__(self, path: str | Path) -> None:
        """Lists the files of ``path`` and reads attributes.csv; opens no image.

        Raises:
            ForesightError: no folder, no images, a name that cannot be an id, or a fault in attributes.csv.
        """
        self.root = _folder(path)
        files = _find_images(self.root)
        samples = {id_: Sample(id_, id_.split("/")[0] if "/" in id_ else None, group=id_) for id_ in files}
        if os.path.lexists(self.root / "attributes.csv"):
            _add_attributes(samples, self.root / "attributes.csv")
        self.samples: Sequence[Sample] = list(samples.values())
        self._paths = list(files.values())
        self._identity: dict[str, Any] | None = None

    def image(self, index: int) -> Image.Image:
        """The picture of ``samples[index]``, upright, 8-bit RGB, alpha laid over white; see ``decode`` for the rest.

        Raises:
            UndecodableImage: the file cannot be read or decoded.
        """
        sample_id = self.samples[index].id
        try:
            data = (self.root / self._paths[index]).read_bytes()
        except OSError as error:
            raise UndecodableImage(sample_id, error.strerror or type(error).__name__) from error
        return decode_rgb(data, sample_id)

    def identity(self) -> dict[str, Any]:
        """The count, and one hash over each id and its file's bytes, in order. Only the first call reads the files.

        Raises:
            ForesightError: a file cannot be read.
        """
        if self._identity is None:
            total = hashlib.sha256()
            with ThreadPoolExecutor() as pool:
                tasks = pool.map(self._file_digests, range(0, len(self._paths), _FILES_PER_TASK))
                for sample, digest in zip(self.samples, chain.from_iterable(tasks), strict=True):
                    total.update(sample.id.encode() + b"\0" + digest)  # no path holds a NUL: the id's end is certain
            self._identity = {"name": "imagefolder", "count": len(self.samples), "sha256": total.hexdigest()}
        return dict(self._identity)

    def _file_digests(self, start: int) -> list[bytes]:
        digests = []
        for path in self._paths[start : start + _FILES_PER_TASK]:
            try:
                with (self.root / path).open("rb") as file:
                    digests.append(hashlib.file_digest(file, "sha256").digest())
            except OSError as error:
                raise ForesightError(f"cannot read {path!r} in {self.root}: {error.strerror}") from error
        return digests


def _folder(path: str | Path) -> Path:
    given = os.path.expanduser(path)  # noqa: PTH111 (Path.expanduser raises where no such user exists)
    if not given or not Path(given).is_dir():
        fault = f"{given!r} is a file" if given and Path(given).exists() else f"no folder {given!r}"
        raise ForesightError(f"{fault}; data.path= wants a folder of images")
    return Path(given).absolute()  # images are read later, maybe from another working directory


def _find_images(root: Path) -> dict[str, str]:
    """Id -> path inside ``root`` as the disk spells it, in the order of the ids."""
    found: dict[str, str] = {}
    for path in sorted(_walk(root)):
        if path.encode(errors="ignore").decode() != path:
            raise ForesightError(f"the name {path!r} in {root} is not valid UTF-8; rename it")
        sample_id = unicodedata.normalize("NFC", path)
        if sample_id in found:
            twins = f"{found[sample_id]!a} and {path!a} in {root}"  # only escapes show how the two differ
            raise ForesightError(f"{twins} are one name in Unicode form NFC; rename one of them")
        found[sample_id] = path
    if not found:
        raise ForesightError(f"no images in {root}; the suffixes read are {', '.join(SUFFIXES)}")
    return dict(sorted(found.items()))


def _walk(root: Path) -> Iterator[str]:
    """The image files under ``root``, in no order. Links wait until the real folders are done, so that those win."""
    visited = {str(folder) for folder in root.resolve().parents}
    folders, links = [""], list[str]()
    while folders or links:
        folder = folders.pop() if folders else heapq.heappop(links)
        real = os.path.realpath(root / folder)
        if real in visited:
            continue
        visited.add(real)
        try:
            with os.scandir(real) as listing:
                entries = [entry for entry in listing if not entry.name.startswith(".")]
        except OSError as error:
            raise ForesightError(f"cannot list {str(root / folder)!r}: {error.strerror}") from error
        for entry in entries:
            name = folder + entry.name
            is_link = entry.is_symlink()
            if not is_link and entry.is_dir():
                folders.append(name + "/")
            elif is_link and Path(entry.path).is_dir():
                heapq.heappush(links, name + "/")
            elif name.lower().endswith(SUFFIXES):
                if is_link and not Path(entry.path).exists():
                    raise ForesightError(f"{name!r} in {root} is a link to nothing; mend or remove it")
                if entry.is_file():  # opening a pipe or a device would hang
                    yield name


def _add_attributes(samples: dict[str, Sample], file: Path) -> None:
    """Puts what attributes.csv says into ``samples``."""
    rows = _csv_rows(file)
    header = [name.strip() for name in next(rows, ("", list[str]()))[1]]
    if "id" not in header:
        raise ForesightError(f"{file}: no column 'id' among {header}")
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise ForesightError(f"{file}: column {twice[0]!r} stands twice")
    seen: dict[str, str] = {}
    for where, cells in rows:
        row = {name: cell for name, cell in zip_longest(header, cells, fillvalue="") if cell.strip()}
        if "" in row:
            raise ForesightError(f"{where}: {row['']!r} stands under no column name")
        sample_id = row.pop("id", "")
        if sample_id not in samples:
            raise ForesightError(f"{where}: no image {sample_id!r}; ids are paths such as {next(iter(samples))!r}")
        if sample_id in seen:
            raise ForesightError(f"{where}: id {sample_id!r} stands twice, see {seen[sample_id]}")
        seen[sample_id] = where
        given = {name: row.pop(name).strip() for name in ("label", "group") if name in row}
        attributes = {name: _number(cell, f"{where}: column {name!r}") for name, cell in row.items()}
        samples[sample_id] = replace(samples[sample_id], **given, attributes=attributes)


def _csv_rows(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Where each row that is not blank starts ("FILE, line 3"), and its cells."""
    try:
        text = unicodedata.normalize("NFC", file.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ForesightError(f"{file}, line {line}: not UTF-8 ({error.reason}); save the file as UTF-8") from None
    except OSError as error:
        raise ForesightError(f"cannot read {file}: {error.strerror}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield f"{file}, line {line}", cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise ForesightError(f"{file}, line {line}: {error}") from None


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in cell:  # float() reads 1_0 as 10
        raise ForesightError(f"{where} wants a finite number, got {cell!r}")
    return value
