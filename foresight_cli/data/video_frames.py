"""Decoding the frames of one clip of a video file, from the keyframe before it.

The frame shown at a time is the last one that has begun: a file with a variable frame rate gives what a player shows,
and a rate above the file's repeats frames.

The rotation or mirroring that the file asks for is applied, to the nearest quarter turn. FFmpeg converts each frame to
8-bit RGB, with its handling of colour spaces, high dynamic range and transparency. Pixels stay as they are stored: if
they are not square the picture is not stretched, and interlaced fields are not separated.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain, pairwise
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from foresight_cli.config.data import MAX_PIXELS
from foresight_cli.data.video_container import Clock, VideoFault, opened
from foresight_cli.data.video_listing import Listing, slack

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

_TURNS = {  # by the signs of a and d, or of b and c: the pixel at (x, y) shows at (ax + cy, bx + dy)
    ("ad", 1, 1): None,
    ("ad", -1, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    ("ad", 1, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    ("ad", -1, -1): Image.Transpose.ROTATE_180,
    ("bc", 1, 1): Image.Transpose.TRANSPOSE,
    ("bc", 1, -1): Image.Transpose.ROTATE_270,
    ("bc", -1, 1): Image.Transpose.ROTATE_90,
    ("bc", -1, -1): Image.Transpose.TRANSVERSE,
}


class _Due(NamedTuple):
    at: int  # ticks
    frame: VideoFrame


def frames_at(
    path: Path, listing: Listing, seconds: Sequence[Fraction], max_pixels: int = MAX_PIXELS
) -> tuple[Image.Image, ...]:
    """Return the upright 8-bit RGB frame that shows at each of the ascending ``seconds`` after the file's first frame.

    Raises:
        VideoFault: they cannot all be decoded.
    """
    times = [listing.first + second / listing.tick for second in seconds]
    for offset in _seek_points(listing, times[0]):
        with opened(path, max_pixels) as (container, stream):
            frames = _decoded(container, stream, offset, by=times[0] + slack(listing.tick))
            start = next(frames, None)
            if start is not None:
                return _pictures(_shown(chain([start], frames), times, listing))
    raise VideoFault("the file has changed since it was listed")


def _seek_points(listing: Listing, target: Fraction) -> Iterator[int | None]:
    """Yield the ticks to seek to for the frame that shows at ``target``, nearest first; None is the file's beginning.

    A seek may lead to a keyframe that is decoded before ``target`` but due after it, or to none.
    """
    back = Fraction(0)
    while target - back > listing.first:
        yield floor(target - back)
        back = 2 * back or 1 / listing.tick
    yield None


def _decoded(container: InputContainer, stream: VideoStream, offset: int | None, *, by: Fraction) -> Iterator[_Due]:
    """Yield frames in display order from a keyframe on; none if the seek finds no keyframe due at or before ``by``."""
    from av import FFmpegError

    if offset is not None:
        try:
            container.seek(offset, stream=stream)
        except FFmpegError:  # there is no index
            return
    clock, started = Clock(container, from_start=offset is None), offset is None
    for packet in container.demux(stream):
        clock.packet(packet)
        for frame in packet.decode():
            at = clock.frame(frame)
            # Frames that come out before the keyframe may depend on earlier frames, which were not read.
            started = started or (at is not None and at <= by and frame.key_frame)
            if at is None or (at > by and not started):
                return
            if started:
                yield _Due(at, frame)


def _shown(frames: Iterator[_Due], times: Sequence[Fraction], listing: Listing) -> Iterator[VideoFrame]:
    """Yield, for each of ``times``, the last of ``frames`` that has begun."""
    waiting, late, damaged = deque(times), slack(listing.tick), False
    for now, after in pairwise(chain(frames, (None,))):
        assert now is not None
        damaged = now.frame.is_corrupt or (damaged and not now.frame.key_frame)  # later frames depend on it
        if after is None and now.at < listing.last:
            raise VideoFault(
                f"it ends before its frame at {_seconds(listing.last, listing)}, which its container lists"
            )
        while waiting and (after is None or waiting[0] + late < after.at):
            if damaged:
                raise VideoFault(f"its frame at {_seconds(now.at, listing)} is damaged")
            yield now.frame
            waiting.popleft()
        if not waiting:
            return


def _seconds(at: int, listing: Listing) -> str:
    return f"{float((at - listing.first) * listing.tick):.3f} s"


def _pictures(frames: Iterator[VideoFrame]) -> tuple[Image.Image, ...]:
    pictures: list[Image.Image] = []
    before: VideoFrame | None = None
    for frame in frames:
        picture = pictures[-1] if frame is before else _upright(frame)
        if pictures and picture.size != pictures[0].size:
            sizes = " and ".join("{}x{}".format(*size) for size in (pictures[0].size, picture.size))
            raise VideoFault(f"its frames are of different sizes, {sizes}")
        pictures.append(picture)
        before = frame
    return tuple(pictures)


def _upright(frame: VideoFrame) -> Image.Image:
    picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return picture
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    kind, first, second = ("ad", a, d) if abs(a) + abs(d) >= abs(b) + abs(c) else ("bc", b, c)
    turn = _TURNS[kind, -1 if first < 0 else 1, -1 if second < 0 else 1]
    return picture if turn is None else picture.transpose(turn)
