"""A folder of image files as a dataset; see ``ImageFolder`` for how names become ids, labels and groups."""

from __future__ import annotations

import hashlib
import heapq
import os
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

from PIL import Image

from foresight_cli.data.attributes import add_attributes
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
            add_attributes(samples, self.root / "attributes.csv")
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
