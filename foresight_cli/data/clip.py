"""The frames of one sample, as a dataset passes them to a model. A still picture is a clip of one frame."""

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
        frames: upright 8-bit RGB images of one size, in order of time; empty if the sample has no pictures.
        fps: frames per second; None for a still picture.
        name: identifies the sample if it has no frames.
    """

    frames: tuple[Image.Image, ...]
    fps: float | None = None
    name: str = ""

    def digest(self) -> bytes:
        """Return SHA-256 of the frames' size and pixels, 32 bytes; equal for duplicates."""
        if not self.frames:
            return hashlib.sha256(b"no picture\0" + self.name.encode()).digest()
        total = hashlib.sha256(f"{self.frames[0].size}".encode())
        for frame in self.frames:
            total.update(frame.tobytes())
        return total.digest()


def resized(frame: Image.Image, side: int) -> Image.Image:
    """Return ``frame``, stretched to ``side`` x ``side`` pixels by PIL's bicubic filter if it has another size."""
    from PIL import Image

    return frame if frame.size == (side, side) else frame.resize((side, side), Image.Resampling.BICUBIC)
