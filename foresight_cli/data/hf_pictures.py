"""The pictures of a column of a Hugging Face dataset, as the bytes of image files.

A column may hold typed pictures, structs of ``bytes`` and ``path``, binary values, paths, pixels in nested lists, or
lists of one picture a row. All are read from the Arrow table.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from foresight_cli.data.picture_formats import looks_like_a_picture, suffixes
from foresight_cli.errors import ForesightError

BATCH = 256
CHANNELS = (1, 3, 4)


class Pictures:
    """One column of ``rows``; a relative path in it starts at ``folder``."""

    def __init__(self, rows: Any, column: str, folder: Path | None) -> None:
        self.column = column
        self._rows = rows.select_columns([column]).with_format("arrow")
        self._folder = folder

    def __getitem__(self, row: int) -> bytes | None:
        """Return the picture of a row as an image file; None if it has none.

        Raises:
            ForesightError: the row holds something else, or its file cannot be read.
        """
        (value,) = self._rows[row : row + 1][self.column].to_pylist()
        return self._encoded(value, row)

    def __iter__(self) -> Iterator[bytes | None]:
        for start in range(0, len(self._rows), BATCH):
            for i, value in enumerate(self._rows[start : start + BATCH][self.column].to_pylist()):
                yield self._encoded(value, start + i)

    def _encoded(self, value: Any, row: int) -> bytes | None:
        at = f"column {self.column!r}, row {row}"
        if isinstance(value, list) and not _is_pixels(value):
            if len(value) > 1:
                raise ForesightError(
                    f"{at} has a list of {len(value)} pictures: data=hf takes one a row. Keep one of each list, or "
                    "make a row of each picture, with datasets' map()"
                )
            value = value[0] if value else None
        if value is None:
            return None
        if isinstance(value, Mapping) and ("bytes" in value or "path" in value):
            data, value = value.get("bytes"), value.get("path")
            if data is not None:
                return bytes(data)
            if value is None:
                return None
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return self._read(value, at)
        if isinstance(value, list):
            return _png(value, at)
        raise ForesightError(f"{at} holds a {type(value).__name__}, which is no picture")

    def _read(self, text: str, at: str) -> bytes:
        path = Path(text).expanduser() if len(text) < 4096 else None
        if path is not None and self._folder is not None and not path.is_absolute():
            inside = self._folder / path
            path = inside if inside.exists() or not path.exists() else path
        try:
            if path is None:
                raise OSError(0, "no such file")
            return path.read_bytes()
        except (OSError, ValueError) as error:
            raise ForesightError(f"cannot read the picture of {at}: {_what_is(text, error)}") from None


def picture_column(rows: Any, wanted: str | None, folder: Path | None) -> str:
    """Return the column of the pictures: ``wanted``, or the only one that holds pictures.

    Raises:
        ForesightError: there is no such column, or it cannot hold pictures; or ``wanted`` is None and there is not
            exactly one.
    """
    columns = _candidates(rows, folder)
    if wanted is not None:
        if wanted not in rows.features or isinstance(_first_value(rows, wanted), int | float):
            raise ForesightError(f"data.image={wanted}: the columns of pictures are {', '.join(columns) or 'none'}")
        return wanted
    if len(columns) != 1:
        what = (
            f"the pictures are in {', '.join(columns)}"
            if columns
            else f"of {', '.join(rows.features)}, none has pictures"
        )
        raise ForesightError(f"{what}: say which column with data.image=")
    return columns[0]


def _candidates(rows: Any, folder: Path | None) -> list[str]:
    """Return the columns that may hold the pictures: typed ones, else lists of these, else those that look like it."""
    from datasets import Image

    typed = [str(name) for name, kind in rows.features.items() if isinstance(kind, Image)]
    lists = [str(name) for name, kind in rows.features.items() if isinstance(getattr(kind, "feature", None), Image)]
    return typed or lists or [str(name) for name in rows.features if _looks_like_pictures(rows, str(name), folder)]


def _looks_like_pictures(rows: Any, column: str, folder: Path | None) -> bool:
    """Check whether the first value of the column that is not null is a picture."""
    value = _first_value(rows, column)
    while isinstance(value, list) and len(value) == 1 and not _is_pixels(value):
        value = value[0]
    if isinstance(value, str):
        paths = (Path(value), *([folder / value] if folder is not None else []))
        return value.lower().endswith(suffixes()) and any(path.is_file() for path in paths)
    if isinstance(value, Mapping):
        return "bytes" in value and (value["bytes"] is None or looks_like_a_picture(bytes(value["bytes"])))
    if isinstance(value, bytes):
        return looks_like_a_picture(value)
    return isinstance(value, list) and _is_pixels(value)


def _first_value(rows: Any, column: str) -> Any:
    """Return the first value among the first rows that is neither null nor an empty list."""
    values = rows.select_columns([column]).with_format("arrow")[:BATCH][column].to_pylist()
    return next((value for value in values if value is not None and value != []), None)


def _is_pixels(value: list[Any]) -> bool:
    """Check whether nested lists hold the numbers of rows of pixels."""
    return bool(value and isinstance(value[0], list) and value[0] and isinstance(value[0][0], list | int | float))


def _png(value: list[Any], at: str) -> bytes:
    """Write pixels as a PNG file, not compressed, so that its bytes are the same with every version of zlib."""
    from PIL import Image

    try:
        pixels = np.asarray(value)
    except ValueError:  # rows of different lengths
        pixels = np.empty(0)
    pixels = pixels[0] if pixels.ndim == 4 and len(pixels) == 1 else pixels
    if pixels.ndim == 3 and pixels.shape[2] not in CHANNELS and pixels.shape[0] in CHANNELS:
        pixels = pixels.transpose(1, 2, 0)  # torch's order of axes
    whole = pixels.dtype.kind in "iu" and pixels.size and pixels.min() >= 0 and pixels.max() <= 255
    if not whole or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in CHANNELS)):
        raise ForesightError(
            f"{at} holds numbers of the shape {list(pixels.shape)} and type {pixels.dtype}: pixels are whole numbers "
            "from 0 to 255, [height, width] or [height, width, 3]"
        )
    pixels = pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8)).save(file, "PNG", compress_level=0)
    return file.getvalue()


def _what_is(text: str, error: Exception) -> str:
    """Describe a text that is no path of a file."""
    start = text[:40] + ("..." if len(text) > 40 else "")
    if text.startswith(("http://", "https://", "s3://", "hf://")):
        return f"{start!r} is an address; download the files first"
    if text.startswith("data:image") or _is_base64(text):
        return f"{start!r} is base64 text; store its bytes instead: base64.b64decode() in datasets' map()"
    return f"{start!r}: {getattr(error, 'strerror', None) or error}"


def _is_base64(text: str) -> bool:
    try:
        return looks_like_a_picture(base64.b64decode(text[:64], validate=True))
    except ValueError:
        return False
