"""What to do about files that a dataset leaves alone: a package to install, or another ``data=``."""

from __future__ import annotations

from collections.abc import Mapping

from foresight_cli.data.picture_formats import remedy, suffixes
from foresight_cli.data.video_suffixes import SUFFIXES as VIDEO_SUFFIXES


def advice(others: Mapping[str, int]) -> str:
    """What makes files of these suffixes readable, to be put behind a list of suffixes; "" where nothing does.

    >>> advice({".mp4": 2, ".txt": 1})
    '; for .mp4 use data=video'
    """
    commands: dict[str, list[str]] = {}
    for suffix in sorted(others):
        if command := remedy(suffix):
            commands.setdefault(command, []).append(suffix)
    text = "".join(f"; for {' and '.join(of)} type {command}" for command, of in commands.items())
    for data, read in (("imagefolder", suffixes()), ("video", VIDEO_SUFFIXES)):
        if there := sorted(suffix for suffix in others if suffix in read):
            text += f"; for {' and '.join(there)} use data={data}"
    return text
