"""The size of a video file against the size that its container declares, which shows a truncated file.

FFmpeg reads a truncated file to its end without an error, so missing frames would go unnoticed. The sizes are in a few
headers, which are read here: MediaInfo would report a flag without the sizes, and adds a native library of 6 MB.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_MP4_BOXES = (
    b"ftyp",
    b"styp",
    b"moov",
    b"mdat",
    b"moof",
    b"free",
    b"skip",
    b"wide",
    b"uuid",
    b"udta",
    b"sidx",
    b"mfra",
)
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def missing_part(path: Path) -> str | None:
    """Describe in one phrase a file that ends before its container; None if it is whole, or its size is not declared.

    Source: ISO/IEC 14496-12, 4.2 (boxes), RFC 8794, 4 (EBML element sizes), and the chunks of RIFF and OpenDML.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        file.seek(0)
        if start[:4] == _EBML:
            wanted = _matroska_end(file)
        elif start[:4] == b"RIFF":
            wanted = _riff_end(file)
        else:
            wanted = _mp4_end(file)
    return f"the file is truncated: it has {size} bytes, but its container declares {wanted}" if wanted > size else None


def _mp4_end(file: BinaryIO) -> int:
    end = 0
    while len(header := file.read(16)) >= 8 and header[4:8] in _MP4_BOXES:
        size = int.from_bytes(header[:4], "big")
        if size == 1:
            size = int.from_bytes(header[8:], "big")
        if size < 8:  # 0: the box continues to the end of the file
            break
        end += size
        file.seek(end)
    return end


def _riff_end(file: BinaryIO) -> int:
    end = 0
    while len(header := file.read(8)) == 8 and header[:4] == b"RIFF":
        size = int.from_bytes(header[4:], "little")
        if size in (0, 0xFFFFFFFF):  # written while recording, and never filled in
            break
        end = file.tell() + size
        file.seek(end + size % 2)
    return end


def _matroska_end(file: BinaryIO) -> int:
    file.seek(len(_EBML))
    header = _ebml_number(file)
    if header is None:
        return 0
    file.seek(header, os.SEEK_CUR)
    size = _ebml_number(file) if file.read(4) == _SEGMENT else None
    return 0 if size is None else file.tell() + size


def _ebml_number(file: BinaryIO) -> int | None:
    """Read a length in EBML; None for "unknown", as in a live recording, and if there is no number."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()  # the zero bits before the first one count the bytes that follow
    bits = 7 * (more + 1)
    value = int.from_bytes(first + file.read(more), "big") & (1 << bits) - 1
    return None if value == (1 << bits) - 1 else value
