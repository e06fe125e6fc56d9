"""Datasets of Hugging Face as a dataset: from a folder or the hub, decoded as any other picture here is."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import PIL.Image

from foresight_cli.clip import Clip
from foresight_cli.config.data import HFConfig
from foresight_cli.data.dataset import Sample, UndecodableImage
from foresight_cli.data.decode import decode_rgb, header_pixels
from foresight_cli.data.left_alone import LeftAlone
from foresight_cli.errors import ForesightError

BATCH = 256


class HFDataset:
    """The rows of one split, in their order.

    An id is the row's number, in eight digits, unless ``data.id`` names a column.
    """

    def __init__(self, config: HFConfig) -> None:
        """Opens the split and reads its columns; opens no picture.

        Raises:
            ForesightError: the package is missing, there is no such dataset, split or column, or ids stand twice.
        """
        if find_spec("datasets") is None:
            raise ForesightError("data=hf needs the package datasets: pip install 'foresight-latents[hf]'")
        from datasets import Image

        rows = _open(config)
        self._image = _image_column(rows, config.image)
        # The bytes as they are: decoding is this package's own, so that a picture is the same from any source.
        self._rows = rows.cast_column(self._image, Image(decode=False))
        self.samples: Sequence[Sample] = _samples(self._rows, config)
        self.left_alone = LeftAlone()
        self._max_pixels = config.max_pixels
        self._identity: dict[str, Any] | None = None

    def clip(self, index: int) -> Clip:
        """One frame: the picture of row ``index``.

        Raises:
            UndecodableImage: there is none, or it cannot be decoded.
            ForesightError: its file cannot be read.
        """
        return Clip((self.first_frame(index),))

    def first_of_each_file(self) -> Sequence[int]:
        """See :class:`FileDataset`."""
        return range(len(self.samples))

    def header(self, index: int) -> int:
        """See :class:`FileDataset`."""
        return header_pixels(self._encoded(index), self.samples[index].id, self._max_pixels)

    def first_frame(self, index: int) -> PIL.Image.Image:
        """See :class:`FileDataset`."""
        return decode_rgb(self._encoded(index), self.samples[index].id, self._max_pixels)

    def _encoded(self, index: int) -> bytes:
        sample_id = self.samples[index].id
        data = _bytes(self._rows[index][self._image], sample_id)
        if data is None:
            raise UndecodableImage(sample_id, "the row has no picture")
        return data

    def identity(self) -> dict[str, Any]:
        """The count, and one hash over each id and its picture's bytes, in order: the same for any way of storing them.

        Raises:
            ForesightError: a file cannot be read.
        """
        if self._identity is None:
            total = hashlib.sha256()
            pictures = (picture for batch in self._batches() for picture in batch)
            for sample, picture in zip(self.samples, pictures, strict=True):
                data = _bytes(picture, sample.id) or b""
                total.update(sample.id.encode() + b"\0" + hashlib.sha256(data).digest())
            self._identity = {"name": "hf", "count": len(self.samples), "sha256": total.hexdigest()}
        return dict(self._identity)

    def _batches(self) -> Iterable[list[dict[str, Any]]]:
        only = self._rows.select_columns([self._image])
        for start in range(0, len(only), BATCH):
            yield only[start : start + BATCH][self._image]


def _open(config: HFConfig) -> Any:
    """The rows of the split."""
    import datasets

    datasets.disable_progress_bars()
    folder = Path(config.path).expanduser()
    saved = (folder / "dataset_info.json").is_file() or (folder / "dataset_dict.json").is_file()
    try:
        if not saved:
            at = str(folder) if folder.is_dir() else config.path
            return datasets.load_dataset(at, config.config, split=config.split, revision=config.revision)
        found = datasets.load_from_disk(str(folder))
        if not isinstance(found, datasets.DatasetDict):
            return found
        if config.split in found:
            return found[config.split]
        there = ", ".join(found)
    except Exception as error:  # of a dozen kinds, from network, disk and parsing
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        hint = "" if folder.is_dir() else ". A folder is given as data.path=DIR, a hub dataset as data.path=user/name"
        raise ForesightError(f"data.path={config.path}: {said}{hint}") from None
    raise ForesightError(f"data.split={config.split}: {config.path} has {there}")


def _image_column(rows: Any, wanted: str | None) -> str:
    from datasets import Image

    found = [name for name, kind in rows.features.items() if isinstance(kind, Image)]
    if wanted is not None:
        if wanted not in found:
            raise ForesightError(f"data.image={wanted}: the columns of pictures are {', '.join(found) or 'none'}")
        return wanted
    if len(found) != 1:
        what = (
            f"the pictures are in {', '.join(found)}" if found else f"of {', '.join(rows.features)}, none has pictures"
        )
        raise ForesightError(f"{what}: say which column with data.image=")
    return str(found[0])


def _samples(rows: Any, config: HFConfig) -> list[Sample]:
    columns = {name: rows.features[name] for name in rows.features}
    for key, name in (("id", config.id), ("group", config.group), *(("attributes", a) for a in config.attributes)):
        if name is not None and name not in columns:
            raise ForesightError(f"data.{key}: no column {name!r}; there are {', '.join(columns)}")
    count = len(rows)
    ids = [f"{i:08d}" for i in range(count)] if config.id is None else [_id(v) for v in rows[config.id]]
    first: dict[str, int] = {}
    for row, sample_id in enumerate(ids):
        if sample_id in first:
            raise ForesightError(f"data.id={config.id}: {sample_id!r} stands in rows {first[sample_id]} and {row}")
        first[sample_id] = row
    labels = _labels(rows, _label_column(columns, config.label))
    groups = ids if config.group is None else [str(value) for value in rows[config.group]]
    numbers = {name: [_number(value, name) for value in rows[name]] for name in config.attributes}
    return [
        Sample(ids[i], labels[i], groups[i], {n: v[i] for n, v in numbers.items() if not math.isnan(v[i])})
        for i in range(count)
    ]


def _label_column(columns: dict[str, Any], wanted: str | None) -> str | None:
    from datasets import ClassLabel

    if wanted is None:
        return None
    if wanted != "auto":
        if wanted not in columns:
            raise ForesightError(f"data.label: no column {wanted!r}; there are {', '.join(columns)}")
        return wanted
    classes = [name for name, kind in columns.items() if isinstance(kind, ClassLabel)]
    if len(classes) == 1:
        return classes[0]
    return "label" if "label" in columns else None


def _labels(rows: Any, column: str | None) -> list[str | None]:
    from datasets import ClassLabel

    if column is None:
        return [None] * len(rows)
    kind = rows.features[column]
    name: Callable[[Any], str] = kind.int2str if isinstance(kind, ClassLabel) else str
    # -1 is how a split without labels writes them
    return [None if value is None or (name is not str and value == -1) else name(value) for value in rows[column]]


def _id(value: Any) -> str:
    text = "" if value is None else str(value)
    if not text:
        raise ForesightError("data.id: a row has no id there")
    return text


def _number(value: Any, column: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ForesightError(f"data.attributes: the column {column!r} holds {value!r}, which is no number")
    return float(value)


def _bytes(picture: dict[str, Any] | None, sample_id: str) -> bytes | None:
    """What a row has of its picture: bytes, or the path of a file."""
    if picture is None:
        return None
    if picture["bytes"] is not None:
        return bytes(picture["bytes"])
    if picture["path"] is None:
        return None
    try:
        return Path(picture["path"]).read_bytes()
    except OSError as error:
        raise ForesightError(
            f"cannot read the picture of {sample_id!r}, {picture['path']}: {error.strerror}"
        ) from error
