"""WebDataset shards as a dataset: pictures are read where they lie in the tar files, nothing is unpacked.

A sample's id is its key: the path inside the tar up to the first dot of the file's name. ``KEY.cls`` is its label,
``KEY.json`` may give ``label``, ``group`` and numbers, which become attributes; other members are passed over. The
``webdataset`` package reads shards as a stream; here any sample is wanted at any time, so an index of the members'
places takes its part, and needs no package.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from PIL import Image

from foresight_cli.clip import Clip
from foresight_cli.config.data import MAX_PIXELS
from foresight_cli.data.dataset import Sample
from foresight_cli.data.decode import decode_rgb, header_pixels
from foresight_cli.data.files import State, refuse_changed, states_of
from foresight_cli.data.left_alone import LeftAlone
from foresight_cli.data.picture_formats import suffixes
from foresight_cli.errors import ForesightError
from foresight_cli.hashing import sha256_of_each

LARGEST_TEXT = 1 << 20
"""Bytes of a label or JSON member; a larger one is a mistake, and is not read into memory."""


@dataclass(frozen=True)
class _Member:
    """Bytes of a tar file."""

    tar: str
    offset: int
    size: int

    def read(self) -> bytes:
        with Path(self.tar).open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) < self.size:
            raise ForesightError(f"{self.tar} ends early: it is not whole")
        return data


@dataclass
class _Parts:
    """The members of one key, by extension."""

    members: dict[str, _Member] = field(default_factory=dict)


class WebDataset:
    """The samples of tar files, in the order of the files' names and of their places within."""

    def __init__(self, path: str, image: str | None, max_pixels: int = MAX_PIXELS) -> None:
        """Reads the headers of every tar and the labels; opens no picture.

        Raises:
            ForesightError: no tar, one that is compressed or damaged, a key that stands twice, or no pictures.
        """
        self._max_pixels = max_pixels
        self.left_alone = LeftAlone()
        self._tars = _tar_files(path)
        keys = _index(self._tars)
        self._image = image or _only_extension(keys, path)
        pictures = {key: parts.members[self._image] for key, parts in keys.items() if self._image in parts.members}
        if not pictures:
            raise ForesightError(
                f"no member of {path} ends in .{self._image}; data.image= names the pictures' extension"
            )
        at = {tar: number for number, tar in enumerate(self._tars)}
        pictures = dict(sorted(pictures.items(), key=lambda item: (at[item[1].tar], item[1].offset)))
        self._pictures = list(pictures.values())
        self.samples: Sequence[Sample] = [_sample(key, keys[key]) for key in pictures]
        self._identity: dict[str, Any] | None = None
        self._states: dict[str, State] | None = None

    def clip(self, index: int) -> Clip:
        """One frame: the picture of ``samples[index]``.

        Raises:
            UndecodableImage: it cannot be decoded.
            ForesightError: its tar cannot be read, or has changed since :meth:`identity` hashed it.
        """
        return Clip((self.first_frame(index),))

    def first_of_each_file(self) -> Sequence[int]:
        """See :class:`FileDataset`."""
        return range(len(self.samples))

    def header(self, index: int) -> int:
        """See :class:`FileDataset`."""
        return header_pixels(self._encoded(index), self.samples[index].id, self._max_pixels)

    def first_frame(self, index: int) -> Image.Image:
        """See :class:`FileDataset`."""
        return decode_rgb(self._encoded(index), self.samples[index].id, self._max_pixels)

    def _encoded(self, index: int) -> bytes:
        member = self._pictures[index]
        try:
            data = member.read()
        except OSError as error:
            raise ForesightError(f"cannot read {member.tar}: {error.strerror}") from error
        refuse_changed(Path("/"), member.tar, self._states)
        return data

    def identity(self) -> dict[str, Any]:
        """The count, and one hash over the tar files in order; what has not changed since is not read again.

        Raises:
            ForesightError: a file cannot be read.
        """
        if self._identity is None:
            self._states = states_of(Path("/"), {tar: tar for tar in self._tars})
            try:
                total = hashlib.sha256(b"".join(sha256_of_each(self._tars))).hexdigest()
            except OSError as error:
                raise ForesightError(f"cannot read {error.filename}: {error.strerror}") from error
            self._identity = {
                "name": "webdataset", "count": len(self.samples), "image": self._image, "sha256": total,
            }  # fmt: skip
        return dict(self._identity)


def expand(pattern: str) -> list[str]:
    """What braces stand for, as a shell has it.

    >>> expand("s/{08..10}-{a,b}.tar")[:3]
    ['s/08-a.tar', 's/08-b.tar', 's/09-a.tar']
    """
    parts = re.split(r"(\{[^{}]*\})", pattern)
    return ["".join(chosen) for chosen in product(*(_options(part) for part in parts))]


def _options(part: str) -> list[str]:
    if not part.startswith("{"):
        return [part]
    if found := re.fullmatch(r"\{(\d+)\.\.(\d+)\}", part):
        first, last = found[1], found[2]
        return [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
    return part[1:-1].split(",")


def _tar_files(path: str) -> list[str]:
    whole = Path(path).expanduser()
    if whole.is_dir():
        found = sorted(str(file.absolute()) for file in whole.glob("*.tar") if file.is_file())
        if not found:
            raise ForesightError(f"no .tar files in {path}; data.path= wants WebDataset shards")
        return found
    named = [Path(name).expanduser() for name in expand(path)] if path else []
    missing = [str(file) for file in named if not file.is_file()]
    if not named or missing:
        raise ForesightError(f"no file {missing[0] if missing else path!r}; data.path= wants a folder of .tar files, "
                             "one .tar, or shards/{000..099}.tar")  # fmt: skip
    return [str(file.absolute()) for file in named]


def _index(tars: Sequence[str]) -> dict[str, _Parts]:
    keys: dict[str, _Parts] = {}
    for tar in tars:
        for name, member in _members(tar):
            folder, slash, base = name.rpartition("/")
            stem, dot, extension = base.partition(".")
            if not dot or not stem:
                continue
            key, extension = f"{folder}{slash}{stem}", extension.lower()
            parts = keys.setdefault(key, _Parts())
            if extension in parts.members:
                at = parts.members[extension].tar
                where = tar if at == tar else f"{at} and {tar}"
                raise ForesightError(f"{key}.{extension} stands twice in {where}: keys must be unique")
            parts.members[extension] = member
    return keys


def _members(tar: str) -> Iterator[tuple[str, _Member]]:
    """The regular files of a tar, by their headers; links and devices are passed over."""
    try:
        with tarfile.open(tar, "r:") as opened:
            for info in opened:
                if not info.isreg():
                    continue
                if info.issparse():
                    raise ForesightError(f"{tar}: {info.name} is stored sparsely; pack it again with a plain tar")
                yield info.name.removeprefix("./"), _Member(tar, info.offset_data, info.size)
            end = opened.offset
        if Path(tar).stat().st_size < end:
            raise ForesightError(f"{tar} ends early: it is not whole")
    except tarfile.ReadError as error:
        with Path(tar).open("rb") as file:
            compressed = file.read(2) in (b"\x1f\x8b", b"BZ", b"\xfd7", b"(\xb5")
        why = "it is compressed, so that no sample can be read by itself: unpack it first, as with gunzip"
        raise ForesightError(f"cannot read {tar}: {why if compressed else error}") from None
    except OSError as error:
        raise ForesightError(f"cannot read {tar}: {error.strerror or error}") from None


def _only_extension(keys: dict[str, _Parts], path: str) -> str:
    read = tuple(suffix[1:] for suffix in suffixes())
    found = {e for parts in keys.values() for e in parts.members if e.rpartition(".")[2] in read}
    if not found:
        raise ForesightError(f"no pictures in {path}; the extensions read are {', '.join(read)}")
    if len(found) > 1:
        names = ", ".join(sorted(found))
        raise ForesightError(
            f"the samples of {path} have pictures of several kinds ({names}): say which with data.image="
        )
    return found.pop()


def _sample(key: str, parts: _Parts) -> Sample:
    label, group, attributes = None, key, dict[str, float]()
    if "cls" in parts.members:
        label = _text(key, "cls", parts).strip() or None
    if "json" in parts.members:
        try:
            said = json.loads(_text(key, "json", parts))
        except ValueError:
            raise ForesightError(f"{key}.json in {parts.members['json'].tar} is not JSON") from None
        if isinstance(said, dict):
            label = str(said["label"]) if said.get("label") is not None else label
            group = str(said["group"]) if said.get("group") is not None else group
            attributes = {
                str(name): float(value)
                for name, value in said.items()
                if name not in ("label", "group") and isinstance(value, int | float) and not isinstance(value, bool)
                and math.isfinite(value)
            }  # fmt: skip
    return Sample(key, label, group, attributes)


def _text(key: str, extension: str, parts: _Parts) -> str:
    member = parts.members[extension]
    if member.size > LARGEST_TEXT:
        raise ForesightError(f"{key}.{extension} in {member.tar} has {member.size:,} bytes: it is no label")
    try:
        return member.read().decode()
    except UnicodeDecodeError:
        raise ForesightError(f"{key}.{extension} in {member.tar} is not UTF-8 text") from None
