"""What a dataset hands to a model: the frames of one sample. A still picture is a clip of one frame."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Clip:
    """One sample's pictures.

    Attributes:
        frames: upright 8-bit RGB images of one size, in order of time; none where a sample has no pictures.
        fps: frames a second; None for a still picture.
        name: what the sample is known by where it has no frames.
    """

    frames: tuple[Image.Image, ...]
    fps: float | None = None
    name: str = ""

    def digest(self) -> bytes:
        """SHA-256 of the frames' size and pixels, 32 bytes: what a duplicate is known by."""
        if not self.frames:
            return hashlib.sha256(b"no picture\0" + self.name.encode()).digest()
        total = hashlib.sha256(f"{self.frames[0].size}".encode())
        for frame in self.frames:
            total.update(frame.tobytes())
        return total.digest()


def resized(frame: Image.Image, side: int) -> Image.Image:
    """``frame`` as a square of ``side`` pixels, by PIL's bicubic filter; itself where it is one already."""
    from PIL import Image

    return frame if frame.size == (side, side) else frame.resize((side, side), Image.Resampling.BICUBIC)
