"""``data=video``: a folder of video files, each cut into clips; see ``Video`` for how names become ids and groups."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import Any

from PIL import Image

from foresight_cli.config import VideoConfig
from foresight_cli.data.attributes import add_attributes
from foresight_cli.data.clip import Clip
from foresight_cli.data.dataset import Sample, UndecodableImage
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
from foresight_cli.data.suffix_advice import advice
from foresight_cli.data.video_container import VideoFault
from foresight_cli.data.video_frames import frames_at
from foresight_cli.data.video_listing import Listing, list_clips
from foresight_cli.data.video_suffixes import SUFFIXES
from foresight_cli.errors import ForesightError

DECODING = 1
"""Version of ``video_frames``, to be raised with every change of pixels: it is part of the cache key."""


class Video:
    """The clips of the video files under one folder: files in the code-point order of their ids, clips by time.

    A clip is ``frames`` frames, ``fps`` a second, and the next clip starts where one more frame would have been. Its id
    is the file's, ``#`` and its number ("dogs/rex.mp4#0003"); see ``files`` for the files that are found and their
    names. The label is the first sub-folder's name, None for files directly in the folder; the group is the file. A
    file whose rest cannot be read, or that is shorter than one clip, has one more sample for the missing part, which
    cannot be decoded.

    ``attributes.csv`` at the top is that of ``ImageFolder``; a row with a file's id applies to all of its clips, and a
    row with a clip's id overrides it.
    """

    def __init__(self, config: VideoConfig) -> None:
        """List the clips under ``config.path`` from the files' timestamps, and read attributes.csv.

        Raises:
            ForesightError: no PyAV, no folder, no videos, a name that cannot be an id, or a fault in attributes.csv.
        """
        if find_spec("av") is None:
            raise ForesightError("data=video needs PyAV: pip install 'foresight-latents[video]'")
        self.config = config
        self._fps = Fraction(str(config.fps))  # the typed decimal: 29.97 is 2997/100
        self.root = data_folder(config.path, "videos")
        self._files, others = find_files(self.root, SUFFIXES, "videos", advice)
        self.left_alone = LeftAlone({"files": others}, f"data=video reads {', '.join(SUFFIXES)}{advice(others)}")
        self._paths = [self.root / path for path in self._files.values()]
        with ThreadPoolExecutor() as pool:
            clips_of = partial(
                list_clips,
                frames=config.frames,
                fps=self._fps,
                most=config.clips_per_file,
                max_pixels=config.max_pixels,
            )
            self._listings = list(pool.map(clips_of, self._paths))
        self._starts = [0, *accumulate(listing.samples for listing in self._listings)]
        clips = {
            file_id: [f"{file_id}#{number:04d}" for number in range(listing.samples)]
            for file_id, listing in zip(self._files, self._listings, strict=True)
        }
        samples = {id_: Sample(id_, top_folder(file), group=file) for file, ids in clips.items() for id_ in ids}
        if os.path.lexists(self.root / "attributes.csv"):
            add_attributes(samples, self.root / "attributes.csv", clips)
        self.samples: Sequence[Sample] = list(samples.values())
        self._sha256: str | None = None
        self._states: dict[str, State] | None = None

    def clip(self, index: int) -> Clip:
        """Return the frames of ``samples[index]``; see ``video_frames`` for what is done to them.

        Raises:
            UndecodableImage: the file cannot be read, or this part of it cannot be decoded.
        """
        return Clip(self._frames(index, self.config.frames), fps=float(self._fps))

    def first_of_each_file(self) -> Sequence[int]:
        """See :class:`FileDataset`."""
        rows = set(self._starts[:-1])
        rows |= {end - 1 for end, listing in zip(self._starts[1:], self._listings, strict=True) if listing.fault}
        return sorted(rows)

    def header(self, index: int) -> int:
        """See :class:`FileDataset`."""
        listing, number = self._listing(index)[1:]
        if number == listing.clips:
            raise UndecodableImage(self.samples[index].id, str(listing.fault))
        return listing.pixels

    def first_frame(self, index: int) -> Image.Image:
        """See :class:`FileDataset`."""
        return self._frames(index, 1)[0]

    def _listing(self, index: int) -> tuple[Path, Listing, int]:
        """Return the file of ``samples[index]``, its listing, and the clip's number in it."""
        index = range(len(self.samples))[index]  # a negative index counts from the end
        file = bisect_right(self._starts, index) - 1
        return self._paths[file], self._listings[file], index - self._starts[file]

    def _frames(self, index: int, count: int) -> tuple[Image.Image, ...]:
        """Decode the first ``count`` frames of a clip."""
        path, listing, number = self._listing(index)
        refuse_changed(self.root, str(path.relative_to(self.root)), self._states)
        try:
            if number == listing.clips:
                raise VideoFault(str(listing.fault))
            times = [(number * self.config.frames + i) / self._fps for i in range(count)]
            return frames_at(path, listing, times, self.config.max_pixels)
        except VideoFault as fault:
            raise UndecodableImage(self.samples[index].id, str(fault)) from fault

    def identity(self) -> dict[str, Any]:
        """Return how clips are cut, and one hash over the files' ids and bytes. Only the first call reads the files.

        The count also covers ``clips_per_file``: with equal files, equal counts are the same clips.

        Raises:
            ForesightError: a file cannot be read.
        """
        if self._sha256 is None:
            self._states = states_of(self.root, self._files)
            self._sha256 = sha256_of_files(self.root, self._files)
        return {
            "name": "video",
            "count": len(self.samples),
            "frames": self.config.frames,
            "fps": float(self._fps),
            "decoding": DECODING,
            "sha256": self._sha256,
        }
