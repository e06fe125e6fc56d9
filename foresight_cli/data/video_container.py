"""An open video file: the stream to read, the times of its frames, and its faults.

FFmpeg reads it, through PyAV. Of several video streams the first one is read, apart from cover pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from foresight_cli.data.container_size import missing_part
from foresight_cli.data.decode import refuse_large

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer

# Named, because FFmpeg goes by content: a playlist called a.mp4 would otherwise open other files, or the network.
_OPTIONS = {"format_whitelist": "avi,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,flv,mpegts", "protocol_whitelist": "file"}


CONTAINERS = "3GPP, AVI, FLV, Matroska, MP4, MPEG-TS, QuickTime, WebM"


class VideoFault(Exception):
    """A video file, or a part of it, cannot be read; the reason is in one phrase."""


@contextmanager
def opened(path: Path, max_pixels: int) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the file's container and its video stream, and close them at the end.

    Frames of more than ``max_pixels`` are refused.

    Raises:
        VideoFault: it cannot be opened, or fails while it is in use.
    """
    import av

    fault = f"not a video, or of a kind that is not read (containers: {CONTAINERS})"
    try:
        if path.stat().st_size == 0:
            raise VideoFault("the file is empty")
        with av.open(str(path), options=_OPTIONS, metadata_errors="replace") as container:
            fault = "its data are damaged"
            yield container, _video_stream(container, max_pixels)
    except MemoryError as error:
        raise VideoFault("not enough memory for its pixels") from error
    except OSError as error:
        raise VideoFault(error.strerror or type(error).__name__) from error
    except (av.FFmpegError, ValueError) as error:
        raise VideoFault(missing_part(path) or fault) from error


def _video_stream(container: InputContainer, max_pixels: int) -> VideoStream:
    from av.stream import Disposition

    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        raise VideoFault("it has no video stream")
    codec = streams[0].codec_context
    if codec is None:
        raise VideoFault("its codec is unknown")
    try:
        refuse_large(codec.width, codec.height, max_pixels)
    except ValueError as error:
        raise VideoFault(f"its frames of {error}") from error
    codec.thread_count = 1  # clips are decoded in parallel already, and AVI's clock needs frames in order
    return streams[0]


class Clock:
    """The times of the packets and frames of an open file, in ticks of its stream.

    AVI keeps no presentation times, and those that FFmpeg makes up are in the wrong order for many files with B-frames
    (H.264, packed DivX). For AVI, the order in which frames leave the decoder is used, and a frame has the time of the
    packet after which it came out. All frames, the first one too, are late by the same delay.
    """

    def __init__(self, container: InputContainer, *, from_start: bool) -> None:
        self._avi = container.format.name == "avi"
        self._from_start = from_start
        self._first_packet: int | None = None
        self._before: int | None = None

    def packet(self, packet: Packet[VideoStream]) -> int | None:
        """Return the time of ``packet``, None for the empty one at the end. Call it for a packet before its frames."""
        due = packet.dts if self._avi else packet.pts
        if self._first_packet is None:
            self._first_packet = due
        return due

    def frame(self, frame: VideoFrame) -> int | None:
        """Return the time of ``frame``; None if it is not known yet after a seek.

        Raises:
            VideoFault: it has no time, or an earlier one than the frame before it.
        """
        due = frame.dts if self._avi else frame.pts
        if due is None and self._avi:  # it left the decoder at the file's end; AVI ticks once a frame
            if self._before is not None:
                due = self._before + 1
            elif self._from_start:
                due = self._first_packet
            else:
                return None
        if due is None:
            raise VideoFault("it has frames without a timestamp")
        if self._before is not None and due < self._before:
            raise VideoFault("the timestamps of its frames go back in time")
        self._before = due
        return due

    def delay(self, first: int) -> int:
        """Return how much later frames are due than their packets, from the ``first`` frame's time."""
        return first - self._first_packet if self._avi and self._first_packet is not None else 0
