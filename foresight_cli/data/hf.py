"""``data=hf``: a dataset of Hugging Face, from a folder or the hub, decoded like any other picture."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import PIL.Image

from foresight_cli.config.data import HFConfig
from foresight_cli.data.clip import Clip
from foresight_cli.data.dataset import Sample, UndecodableImage
from foresight_cli.data.decode import decode_rgb, header_pixels
from foresight_cli.data.hf_pictures import Pictures, picture_column
from foresight_cli.data.labels import label_of, name_of
from foresight_cli.data.left_alone import SYSTEM_FILES, LeftAlone, suffix_of
from foresight_cli.errors import ForesightError, first_line
from foresight_cli.latent_file.columns import first_repeat

READ = {
    "arrow": (".arrow",),
    "csv": (".csv", ".tsv"),
    "json": (".json", ".jsonl"),
    "parquet": (".parquet",),
}
"""The suffixes that the library's table readers take; they skip other files silently."""

ABOUT = ("readme.md", "dataset_infos.json", "metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Files that describe the data."""


class HFDataset:
    """The rows of one split, in their order.

    An id is the row's number, in eight digits, unless ``data.id`` names a column.
    """

    def __init__(self, config: HFConfig) -> None:
        """Open the split and read its columns; open no picture.

        Raises:
            ForesightError: the package is missing, there is no such dataset, split or column, or ids are not unique.
        """
        if find_spec("datasets") is None:
            raise ForesightError("data=hf needs the package datasets: pip install 'foresight-latents[hf]'")
        folder = Path(config.path).expanduser()
        inside = folder if folder.is_dir() else None
        rows, other_splits = _open(config)
        # The encoded bytes: this package decodes them itself, so that a picture is the same from any source.
        self._pictures = Pictures(rows, picture_column(rows, config.image, inside), inside)
        dropped: Counter[str] = Counter()
        self.samples: Sequence[Sample] = _samples(rows, config, dropped)
        self.left_alone = _left_alone(str(rows.info.builder_name), config, inside, other_splits, dropped)
        self._max_pixels = config.max_pixels
        self._identity: dict[str, Any] | None = None

    def clip(self, index: int) -> Clip:
        """Return the picture of row ``index``, as one frame.

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
        data = self._pictures[range(len(self.samples))[index]]
        if data is None:
            raise UndecodableImage(sample_id, "the row has no picture")
        return data

    def identity(self) -> dict[str, Any]:
        """Return the count, and one hash over ids and picture bytes in order; the same in any way of storing them.

        Raises:
            ForesightError: a file cannot be read.
        """
        if self._identity is None:
            total = hashlib.sha256()
            for sample, data in zip(self.samples, self._pictures, strict=True):
                total.update(sample.id.encode() + b"\0" + hashlib.sha256(data or b"").digest())
            self._identity = {"name": "hf", "count": len(self.samples), "sha256": total.hexdigest()}
        return dict(self._identity)


def _open(config: HFConfig) -> tuple[Any, dict[str, int]]:
    """Return the rows of the split, and the number of rows in each other split."""
    import datasets

    datasets.disable_progress_bars()
    folder = Path(config.path).expanduser()
    saved = (folder / "dataset_info.json").is_file() or (folder / "dataset_dict.json").is_file()
    try:
        if not saved:
            at = str(folder) if folder.is_dir() else config.path
            rows = datasets.load_dataset(at, config.config, split=config.split, revision=config.revision)
            sizes = {str(name): int(split.num_examples) for name, split in (rows.info.splits or {}).items()}
            # "train[:10%]" and "train+test" also name splits, and "all" means all of them.
            named = set(re.findall(r"[\w.-]+", re.sub(r"\[[^]]*\]", "", config.split)))
            return rows, {} if "all" in named else {name: n for name, n in sizes.items() if name not in named}
        splits = datasets.load_from_disk(str(folder))
        if not isinstance(splits, datasets.DatasetDict):
            return splits, {}
        if config.split in splits:
            return splits[config.split], {name: len(rows) for name, rows in splits.items() if name != config.split}
        names = ", ".join(splits)
    except Exception as error:  # of a dozen kinds, from network, disk and parsing
        hint = "" if folder.is_dir() else ". A folder is given as data.path=DIR, a hub dataset as data.path=user/name"
        raise ForesightError(f"data.path={config.path}: {first_line(error)}{hint}") from None
    raise ForesightError(f"data.split={config.split}: {config.path} has {names}")


def _left_alone(
    builder: str, config: HFConfig, folder: Path | None, other_splits: dict[str, int], dropped: Counter[str]
) -> LeftAlone:
    """Count rows of other splits, files of kinds that were not read, and values that are no labels."""
    read = _suffixes_read(builder)
    files: Counter[str] = Counter()
    if folder is not None and read:
        for _, inner, names in os.walk(folder):
            inner[:] = [name for name in inner if not name.startswith(".")]
            files.update(suffix_of(name) for name in names if not _is_read(name, read))
    rows = {f"of the split {name}": count for name, count in other_splits.items()}
    note = f"data.split={config.split}" + (f", {builder} files are read" if files else "")
    return LeftAlone({"rows": rows, "files": dict(files), "labels": dict(dropped)}, note)


def _suffixes_read(builder: str) -> tuple[str, ...]:
    if builder == "imagefolder":
        from datasets.packaged_modules.imagefolder.imagefolder import ImageFolder

        return tuple(ImageFolder.EXTENSIONS)
    return READ.get(builder, ())


def _is_read(name: str, suffixes: tuple[str, ...]) -> bool:
    """Check whether ``datasets`` reads a file of this name, or the file only describes the data."""
    lower = name.lower()
    return lower.endswith(suffixes) or lower in ABOUT or lower in SYSTEM_FILES or name.startswith(".")


def _samples(rows: Any, config: HFConfig, dropped: Counter[str]) -> list[Sample]:
    columns = {name: rows.features[name] for name in rows.features}
    for key, name in (("id", config.id), ("group", config.group), *(("attributes", a) for a in config.attributes)):
        if name is not None and name not in columns:
            raise ForesightError(f"data.{key}: no column {name!r}; there are {', '.join(columns)}")
    count = len(rows)
    ids = [f"{i:08d}" for i in range(count)] if config.id is None else [_id(v) for v in rows[config.id]]
    if repeat := first_repeat(ids):
        first, second = repeat
        raise ForesightError(f"data.id={config.id}: duplicate id {ids[first]!r} in rows {first} and {second}")
    labels = _labels(rows, _label_column(columns, config.label), dropped)
    groups = list(ids)
    if config.group is not None:
        for row, value in enumerate(rows[config.group]):
            groups[row] = name_of(value, f"data.group={config.group}: row {row}", "a group") or ids[row]
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


def _labels(rows: Any, column: str | None, dropped: Counter[str]) -> list[str | None]:
    from datasets import ClassLabel

    if column is None:
        return [None] * len(rows)
    kind = rows.features[column]
    if isinstance(kind, ClassLabel):  # -1 is the label in a split without labels
        return [None if value is None or value == -1 else str(kind.int2str(value)) for value in rows[column]]
    try:
        return [label_of(value, f"row {row}", dropped) for row, value in enumerate(rows[column])]
    except ForesightError as error:
        raise ForesightError(f"data.label={column}: {error}. To go without labels, add data.label=null") from None


def _id(value: Any) -> str:
    text = "" if value is None else str(value)
    if not text:
        raise ForesightError("data.id: a row has no id in this column")
    return text


def _number(value: Any, column: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ForesightError(f"data.attributes: the column {column!r} holds {value!r}, which is no number")
    if math.isinf(value):
        raise ForesightError(f"data.attributes: the column {column!r} holds {value}, which is no finite number")
    return float(value)
