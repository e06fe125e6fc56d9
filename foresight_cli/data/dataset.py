"""The interface of a dataset: an ordered, finite list of samples with id, label, group and attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from foresight_cli.data.clip import Clip
from foresight_cli.data.left_alone import LeftAlone
from foresight_cli.errors import UnusableSample

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Sample:
    """One row of a dataset, without its pixels.

    Attributes:
        id: unique within the dataset; latents of two models are joined by it.
        label: the category, or None if the data has none.
        group: samples of one group (frames of a clip, views of an object) are never on both sides of a split.
        attributes: numbers that describe the picture (x, y, size, hue ...), by name.
    """

    id: str
    label: str | None
    group: str
    attributes: dict[str, float] = field(default_factory=dict)


class UndecodableImage(UnusableSample):
    """A sample whose picture cannot be read."""

    def __init__(self, sample_id: str, reason: str) -> None:
        message = f"cannot decode {sample_id!r}: {reason}. To leave such files out, add data.on_error=skip"
        super().__init__(message, sample_id, reason)

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Rebuild from both arguments, so that the error comes back from a worker process."""
        return type(self), (self.sample_id, self.reason)


class Dataset(Protocol):
    """An ordered list of samples. Opening one lists its samples; pixels are read sample by sample."""

    @property
    def samples(self) -> Sequence[Sample]:
        """The samples, in the order of the dataset."""

    @property
    def left_alone(self) -> LeftAlone:
        """Counts, by kind, of what is beside the samples and is not read. It is part of no key."""

    def clip(self, index: int) -> Clip:
        """Return the frames of ``samples[index]``, upright 8-bit RGB, one for a picture. Called from several threads.

        Raises:
            UndecodableImage: they cannot be read.
        """

    def identity(self) -> dict[str, Any]:
        """Return what determines the ids, the pixels and their order, as JSON values, for the cache key.

        Labels, groups and attributes are not in it, since no latent depends on them.
        """


@runtime_checkable
class FileDataset(Dataset, Protocol):
    """A dataset whose pictures are in files, any of which may be broken; several threads call its methods."""

    def first_of_each_file(self) -> Sequence[int]:
        """Return one index for each file, in the order of the samples, and one for each part known to be unreadable."""

    def header(self, index: int) -> int:
        """Return the number of pixels of one frame of ``samples[index]``, by the file's header; nothing is decoded.

        Raises:
            UndecodableImage: the file has a format that is not read, or a part of it is missing.
        """

    def first_frame(self, index: int) -> Image.Image:
        """Return the first frame of the clip of ``samples[index]``; no other frame is decoded.

        Raises:
            UndecodableImage: it cannot be decoded.
        """
