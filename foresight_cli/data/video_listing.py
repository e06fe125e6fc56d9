"""The clips of a video file, from the timestamps of its packets: only the first frame is decoded.

A clip is whole if none of its times is after the last frame's timestamp.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING

from foresight_cli.config.data import MAX_PIXELS
from foresight_cli.data.container_size import missing_part
from foresight_cli.data.video_container import Clock, VideoFault, opened

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import InputContainer

MOST_CLIPS = 1_000_000
"""Most clips of one file: broken timestamps can span millennia."""


@dataclass(frozen=True)
class Listing:
    """The clips of a file.

    Attributes:
        clips: whole clips.
        fault: why the rest cannot be read; None if there is no fault.
        first: the first frame's timestamp, in ticks.
        last: the last timestamp that was read, in ticks.
        tick: length of a tick, in seconds.
        pixels: of one frame.
    """

    clips: int
    fault: str | None
    first: int = 0
    last: int = 0
    tick: Fraction = Fraction(1)
    pixels: int = 0

    @property
    def samples(self) -> int:
        """Number of clips, plus one for the missing part if there is a fault."""
        return self.clips + (self.fault is not None)


def slack(tick: Fraction) -> Fraction:
    """Return how many ticks after a time a frame may begin and still show at it: half a tick, for rounded timestamps.

    It is a millisecond at most: longer ticks (of ``tick`` seconds) are those of whole frames, which need no rounding.
    """
    return min(Fraction(1, 2), Fraction(1, 1000) / tick)


def list_clips(path: Path, frames: int, fps: Fraction, most: int | None, max_pixels: int = MAX_PIXELS) -> Listing:
    """List the clips of ``frames`` frames, ``fps`` a second, one after another, in a file; at most ``most``.

    Never raises for a fault of the file, which is in :attr:`Listing.fault`.
    """
    try:
        with opened(path, max_pixels) as (container, stream):
            return _list(path, container, stream, frames, fps, most)
    except VideoFault as fault:
        return Listing(0, str(fault))


def _list(
    path: Path, container: InputContainer, stream: VideoStream, frames: int, fps: Fraction, most: int | None
) -> Listing:
    tick, pixels = stream.time_base or Fraction(1), stream.codec_context.width * stream.codec_context.height
    step = 1 / (fps * tick)
    enough = None if most is None else (most * frames - 1) * step - slack(tick)
    first, last, cut = _span(container, stream, enough)
    if first is None or last is None:
        raise VideoFault(missing_part(path) or cut or "it has no frame that can be decoded")
    clips = max(0, (floor((last - first + slack(tick)) / step) + 1) // frames)
    if most is not None and clips >= most:  # the rest of the file does not matter
        return Listing(most, None, first, last, tick, pixels)
    if clips > MOST_CLIPS:
        raise VideoFault(f"its timestamps make more than {MOST_CLIPS} clips; give data.clips_per_file=")
    fault = missing_part(path) or cut
    if clips == 0 and fault is None:
        span, wanted = (round(float(time), 3) for time in ((last - first) * tick, (frames - 1) / fps))
        fault = (
            f"shorter than one clip: {span} s from its first frame to its last, "
            f"and {frames} frames at {float(fps):g} fps take {wanted} s"
        )
    return Listing(clips, fault, first, last, tick, pixels)


def _span(
    container: InputContainer, stream: VideoStream, enough: Fraction | None
) -> tuple[int | None, int | None, str | None]:
    """Return the times of the first and last frame (or one ``enough`` after the first), and what cut the file short."""
    clock, cut = Clock(container, from_start=True), None
    first: int | None = None
    last: int | None = None
    for packet in container.demux(stream):
        if packet.is_corrupt:  # the file ended in the middle of it
            cut = "the file is truncated"
            break
        due = clock.packet(packet)
        if first is None:
            first = next((clock.frame(frame) for frame in packet.decode()), None)
        if due is not None and not packet.is_discard:  # an edit list discards packets
            last = due if last is None else max(last, due)
        if enough is not None and first is not None and last is not None and last - first >= enough:
            break
    if first is not None and last is not None:
        last += clock.delay(first)
    return first, last, cut
