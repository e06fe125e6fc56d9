"""``data=imagefolder``: a folder of image files; ``ImageFolder`` describes how names become ids, labels and groups."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from foresight_cli.config.data import MAX_PIXELS
from foresight_cli.data.attributes import add_attributes
from foresight_cli.data.clip import Clip
from foresight_cli.data.dataset import Sample
from foresight_cli.data.decode import decode_rgb, header_pixels
from foresight_cli.data.files import (
    State,
    data_folder,
    find_files,
    refuse_changed,
    sha256_of_files,
    states_of,
    top_folder,
)
from foresight_cli.data.left_alone import LeftAlone
from foresight_cli.data.picture_formats import suffixes
from foresight_cli.data.suffix_advice import advice
from foresight_cli.errors import ForesightError


class ImageFolder:
    """The image files under one folder, in the code-point order of their ids.

    An id is the path inside the folder; see ``files`` for the files that are found and their names.
    The label is the first sub-folder's name, None for files directly in the folder; the group is the id.
    ``attributes.csv`` at the top adds numbers and overrides labels and groups: a column ``id``, optional columns
    ``label`` and ``group``, and any number of numeric columns. Empty cells leave that sample as it was.
    """

    def __init__(self, path: str | Path, max_pixels: int = MAX_PIXELS) -> None:
        """List the files of ``path`` and read attributes.csv; open no image.

        Args:
            path: the folder.
            max_pixels: a picture with more is not decoded.

        Raises:
            ForesightError: no folder, no images, a name that cannot be an id, or a fault in attributes.csv.
        """
        self.root = data_folder(path, "images")
        self._files, others = find_files(self.root, suffixes(), "images", advice)
        self.left_alone = LeftAlone(
            {"files": others}, f"data=imagefolder reads {', '.join(suffixes())}{advice(others)}"
        )
        self._max_pixels = max_pixels
        samples = {id_: Sample(id_, top_folder(id_), group=id_) for id_ in self._files}
        if os.path.lexists(self.root / "attributes.csv"):
            add_attributes(samples, self.root / "attributes.csv")
        self.samples: Sequence[Sample] = list(samples.values())
        self._identity: dict[str, Any] | None = None
        self._states: dict[str, State] | None = None

    def clip(self, index: int) -> Clip:
        """Return one frame: see :meth:`image`."""
        return Clip((self.image(index),))

    def image(self, index: int) -> Image.Image:
        """Decode the picture of ``samples[index]``: upright, 8-bit RGB, alpha laid over white; see ``decode``.

        Raises:
            UndecodableImage: the file cannot be decoded.
            ForesightError: it cannot be read, or has changed since :meth:`identity` hashed it.
        """
        return decode_rgb(self._encoded(index), self.samples[index].id, self._max_pixels)

    def first_of_each_file(self) -> Sequence[int]:
        """See :class:`FileDataset`."""
        return range(len(self.samples))

    def header(self, index: int) -> int:
        """See :class:`FileDataset`."""
        return header_pixels(self._encoded(index), self.samples[index].id, self._max_pixels)

    def first_frame(self, index: int) -> Image.Image:
        """See :class:`FileDataset`."""
        return self.image(index)

    def _encoded(self, index: int) -> bytes:
        path = self._files[self.samples[index].id]
        try:
            data = (self.root / path).read_bytes()
        except OSError as error:  # a fault of the disk, not of the picture: a skipped row would be cached
            raise ForesightError(f"cannot read {path!r} in {self.root}: {error.strerror}") from error
        refuse_changed(self.root, path, self._states)
        return data

    def identity(self) -> dict[str, Any]:
        """Return the count, and one hash over ids and bytes of the files in order. Only the first call reads the files.

        Raises:
            ForesightError: a file cannot be read.
        """
        if self._identity is None:
            self._states = states_of(self.root, self._files)
            total = sha256_of_files(self.root, self._files)
            self._identity = {"name": "imagefolder", "count": len(self.samples), "sha256": total}
        return dict(self._identity)
