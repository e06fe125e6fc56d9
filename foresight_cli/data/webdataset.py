"""``data=webdataset``: pictures are read from their places in the tar files, nothing is unpacked.

A sample's id is its key: the path inside the tar up to the first dot of the file's name. ``KEY.cls`` is its label,
``KEY.json`` may give ``label``, ``group`` and numbers, which become attributes; other members are left alone and
counted. The ``webdataset`` package reads shards as a stream, but here samples are read in any order, so an index of the
members' places replaces it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from foresight_cli.config.data import MAX_PIXELS
from foresight_cli.data.clip import Clip
from foresight_cli.data.dataset import Sample
from foresight_cli.data.decode import decode_rgb, header_pixels
from foresight_cli.data.files import State, refuse_changed, states_of
from foresight_cli.data.labels import label_of, name_of
from foresight_cli.data.left_alone import SYSTEM_FILES, LeftAlone, listed, suffix_of
from foresight_cli.data.picture_formats import suffixes
from foresight_cli.data.shard_files import tar_files
from foresight_cli.data.tar_index import Member, members_of
from foresight_cli.errors import ForesightError
from foresight_cli.machine.hashing import sha256_of_each

LARGEST_TEXT = 1 << 20
"""Most bytes of a label or JSON member; a larger one is a mistake, and is not read into memory."""

LABELS = ("cls", "json")
"""Extensions of the members that describe a sample."""


@dataclass
class _Index:
    """The content of the headers of all tars.

    Attributes:
        files: number of files of each suffix beside the tars.
        keys: the members of each key by extension, in the order of the keys' first members.
        others: number of members of each suffix that belong to no key.
    """

    files: Counter[str]
    keys: dict[str, dict[str, Member]] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)


class WebDataset:
    """The samples of tar files, in the order of the files' names and of their places within.

    A sample's picture is its one member with a picture's extension, whatever that is; if samples have several, such as
    ``rgb.png`` and ``seg.png``, ``data.image`` names one. A key without a picture is left alone and counted.
    """

    def __init__(self, path: str, image: str | None, max_pixels: int = MAX_PIXELS) -> None:
        """Read the headers of every tar and the labels; open no picture.

        Args:
            path: a folder of tars, one tar, or a pattern of them.
            image: the extension of the pictures; None for the one that each sample has.
            max_pixels: a picture with more is not decoded.

        Raises:
            ForesightError: no tar, one that is compressed, damaged or incomplete, a duplicate key, or no pictures.
        """
        self._max_pixels = max_pixels
        self._tars, files = tar_files(path)
        index = _Index(files=files)
        _read_headers(self._tars, index)
        image = image.lower().removeprefix(".") if image else None
        chosen = {key: image if image in members else None for key, members in index.keys.items()}
        if image is None:
            chosen = {key: _only_picture(key, members) for key, members in index.keys.items()}
        extensions = {key: extension for key, extension in chosen.items() if extension is not None}
        if not extensions:
            raise ForesightError(_no_pictures(path, image, index))
        at = {tar: number for number, tar in enumerate(self._tars)}
        pictures = {key: index.keys[key][extension] for key, extension in extensions.items()}
        pictures = dict(sorted(pictures.items(), key=lambda item: (at[item[1].tar], item[1].offset)))
        self._pictures = list(pictures.values())
        self._image = ",".join(sorted(set(extensions.values())))
        dropped: Counter[str] = Counter()
        self.samples: Sequence[Sample] = [_sample(key, index.keys[key], dropped) for key in pictures]
        self.left_alone = _left_alone(index, extensions, image, dropped)
        self._identity: dict[str, Any] | None = None
        self._states: dict[str, State] | None = None

    def clip(self, index: int) -> Clip:
        """Return the picture of ``samples[index]``, as one frame.

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
        """Return the count, and one hash over the tar files in order; a file that has not changed is not read again.

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
                **{"name": "webdataset", "count": len(self.samples)},
                **{"image": self._image, "sha256": total},
            }
        return dict(self._identity)


def _read_headers(tars: Iterable[str], index: _Index) -> None:
    for tar in tars:
        for name, member in members_of(tar):
            folder, slash, base = name.rpartition("/")
            stem, dot, extension = base.partition(".")
            if member is None:
                index.others["link or device"] += 1
            elif not stem or base.lower() in SYSTEM_FILES:
                continue  # hidden, for example .DS_Store
            elif not dot:
                index.others[suffix_of(name)] += 1
            else:
                _add(index.keys.setdefault(f"{folder}{slash}{stem}", {}), f"{folder}{slash}{stem}", extension, member)


def _add(members: dict[str, Member], key: str, extension: str, member: Member) -> None:
    """Add a member to those of its key.

    Raises:
        ForesightError: the key has one of this extension already, or a picture in another tar.
    """
    extension = extension.lower()
    same = [extension] if extension in members else [e for e in members if _is_picture(e)]
    twins = [e for e in same if e == extension or (_is_picture(extension) and members[e].tar != member.tar)]
    if twins:
        at = members[twins[0]].tar
        where = member.tar if at == member.tar else f"{at} and {member.tar}"
        what = f"duplicate {key}.{extension}" if twins[0] == extension else f"duplicate key {key!r}"
        raise ForesightError(f"{what} in {where}: keys must be unique")
    members[extension] = member


def _is_picture(extension: str) -> bool:
    return f".{extension.rpartition('.')[2]}" in suffixes()


def _only_picture(key: str, members: dict[str, Member]) -> str | None:
    """Return the extension of the picture of a key; None if it has none.

    Raises:
        ForesightError: it has several.
    """
    pictures = sorted(extension for extension in members if _is_picture(extension))
    if len(pictures) > 1:
        raise ForesightError(
            f"the sample {key!r} has {len(pictures)} pictures ({', '.join(pictures)}): "
            f"say which with data.image={pictures[0]}"
        )
    return pictures[0] if pictures else None


def _no_pictures(path: str, image: str | None, index: _Index) -> str:
    kinds = Counter(f".{extension}" for members in index.keys.values() for extension in members) + index.others
    seen = f"; it holds {listed(kinds)}" if kinds else ""
    if image is not None:
        return f"no member of {path} ends in .{image}; data.image= names the pictures' extension{seen}"
    read = ", ".join(suffix[1:] for suffix in suffixes())
    return f"no pictures in {path}; the extensions read are {read}{seen}"


def _left_alone(index: _Index, taken: dict[str, str], image: str | None, dropped: Counter[str]) -> LeftAlone:
    """Count what is beside the pictures and labels; a key with labels alone is a sample without a picture."""
    members, bare = Counter(index.others), list[str]()
    for key, of_key in index.keys.items():
        others = [e for e in of_key if e != taken.get(key) and e not in LABELS]
        if key not in taken and (len(others) < len(of_key) or any(map(_is_picture, others))):
            bare.append(key)
        else:
            members.update(f".{extension}" if len(extension) < 20 else suffix_of(extension) for extension in others)
    without = f"without .{image}" if image else "without a picture"
    counts = {
        "samples": {without: len(bare)} if bare else {},
        "members": dict(members),
        "files": dict(index.files),
        "labels": dict(dropped),
    }
    first = f"; the first sample {without} is {bare[0]!r}" if bare else ""
    reads = f".{image}" if image else ", ".join(suffixes())
    return LeftAlone(counts, f"data=webdataset reads {reads}, .cls and .json{first}")


def _sample(key: str, members: dict[str, Member], dropped: Counter[str]) -> Sample:
    label, group, attributes = None, None, dict[str, float]()
    if "cls" in members:
        label = label_of(_text(key, "cls", members), f"{key}.cls in {members['cls'].tar}", dropped)
    if "json" in members:
        where = f"{key}.json in {members['json'].tar}"
        try:
            fields = json.loads(_text(key, "json", members))
        except (ValueError, RecursionError):
            raise ForesightError(f"{where} is not JSON") from None
        if isinstance(fields, dict):
            json_label = label_of(fields.get("label"), f"label of {where}", dropped)
            label = label if json_label is None else json_label
            group = name_of(fields.get("group"), f"group of {where}", "a group")
            attributes = _numbers({n: v for n, v in fields.items() if n not in ("label", "group")})
    return Sample(key, label, key if group is None else group, attributes)


def _numbers(fields: dict[str, Any]) -> dict[str, float]:
    """Return the finite numbers among the fields of a JSON object; true and false are no numbers."""
    numbers = {}
    for name, value in fields.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            with suppress(OverflowError):  # an integer of hundreds of digits
                numbers[name] = float(value)
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


def _text(key: str, extension: str, members: dict[str, Member]) -> str:
    member = members[extension]
    if member.size > LARGEST_TEXT:
        raise ForesightError(f"{key}.{extension} in {member.tar} has {member.size:,} bytes: it is no label")
    try:
        return member.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ForesightError(f"{key}.{extension} in {member.tar} is not UTF-8 text") from None
