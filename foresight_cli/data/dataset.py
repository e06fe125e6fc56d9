"""What every data source gives: an ordered, finite list of samples that know their id, label, group and attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from foresight_cli.clip import Clip
from foresight_cli.data.left_alone import LeftAlone
from foresight_cli.errors import UnusableSample

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Sample:
    """One row of a dataset, without its pixels.

    Attributes:
        id: unique within the dataset; latents of two models are joined by it.
        label: the category, or None where the data has none.
        group: samples of one group (frames of a clip, views of an object) never stand on both sides of a split.
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
        """What is beside the samples and is not read, by kind. It enters no key."""

    def clip(self, index: int) -> Clip:
        """The frames of ``samples[index]``, upright 8-bit RGB; one for a still picture. Called from several threads.

        Raises:
            UndecodableImage: they cannot be read.
        """

    def identity(self) -> dict[str, Any]:
        """What fixes the ids, the pixels and their order, as JSON values: it enters the cache key.

        Labels, groups and attributes are not in it, since no latent depends on them.
        """


@runtime_checkable
class FileDataset(Dataset, Protocol):
    """A dataset whose pictures are in files, any of which may be broken; it is asked from several threads."""

    def first_of_each_file(self) -> Sequence[int]:
        """An index for each file, in the order of the samples, and one for each part that is known to be unreadable."""

    def header(self, index: int) -> int:
        """The pixels of one frame of ``samples[index]``, by what its file says first; nothing is decoded.

        Raises:
            UndecodableImage: the file is of no kind that is read, or a part of it is missing.
        """

    def first_frame(self, index: int) -> Image.Image:
        """The first frame of the clip of ``samples[index]``, and no more than that is decoded.

        Raises:
            UndecodableImage: it cannot be decoded.
        """
