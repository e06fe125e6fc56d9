"""Advice about files that a dataset does not read: a package to install, or another ``data=``."""

from __future__ import annotations

from collections.abc import Mapping

from foresight_cli.data.picture_formats import remedy, suffixes
from foresight_cli.data.video_suffixes import SUFFIXES as VIDEO_SUFFIXES


def advice(others: Mapping[str, int]) -> str:
    """Return how to read files of these suffixes, to append to a list of suffixes; "" if nothing helps.

    >>> advice({".mp4": 2, ".txt": 1})
    '; for .mp4 use data=video'
    """
    commands: dict[str, list[str]] = {}
    for suffix in sorted(others):
        if command := remedy(suffix):
            commands.setdefault(command, []).append(suffix)
    text = "".join(f"; for {' and '.join(of)} type {command}" for command, of in commands.items())
    for data, read in (("imagefolder", suffixes()), ("video", VIDEO_SUFFIXES)):
        if readable := sorted(suffix for suffix in others if suffix in read):
            text += f"; for {' and '.join(readable)} use data={data}"
    return text
