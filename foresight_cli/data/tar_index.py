"""The index of a tar file: the place of each member, and a check that the tar is whole."""

from __future__ import annotations

import shlex
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from foresight_cli.errors import ForesightError

BLOCK = 512
"""Bytes of a block: a header fills one, and two blocks of zeros mark the end of the archive."""

COMPRESSED = (b"\x1f\x8b", b"BZ", b"\xfd7", b"(\xb5")


@dataclass(frozen=True)
class Member:
    """The place of a member in a tar file, in bytes."""

    tar: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            ForesightError: the tar is shorter than it was.
            OSError: it cannot be read.
        """
        with Path(self.tar).open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) < self.size:
            raise ForesightError(f"{self.tar} ends early: it is not whole")
        return data


def members_of(tar: str) -> Iterator[tuple[str, Member | None]]:
    """Yield name and place of each member of ``tar``, from the headers alone; None for the place of a link or a device.

    Folders are passed over. A tar that does not reach its end mark is refused. Python's ``tarfile`` accepts it: it
    takes the end of the file, and also a damaged header, for the end of the archive.

    Raises:
        ForesightError: the tar is compressed, damaged or incomplete, or a member is stored sparsely.
    """
    try:
        with tarfile.open(tar, "r:") as opened:
            for info in opened:
                if info.isdir():
                    continue
                if info.issparse():
                    raise ForesightError(f"{tar}: {info.name} is stored sparsely; pack it again with a plain tar")
                name = info.name.removeprefix("./")
                if name.encode(errors="ignore").decode() != name:
                    raise ForesightError(f"the name {name!r} in {tar} is not valid UTF-8; pack it again under another")
                yield name, Member(tar, info.offset_data, info.size) if info.isreg() else None
            end = opened.offset
    except tarfile.TarError as error:
        raise ForesightError(f"cannot read {tar}: {_reason(tar, error)}") from None
    except OSError as error:
        raise ForesightError(f"cannot read {tar}: {error.strerror or error}") from None
    _refuse_incomplete(tar, end)


def _reason(tar: str, error: tarfile.TarError) -> str:
    with Path(tar).open("rb") as file:
        if file.read(2) in COMPRESSED:
            return "it is compressed, so that no sample can be read by itself: unpack it first, for example with gunzip"
    if "unexpected end" in str(error):
        return "it ends in the middle of a member: it is not whole. Copy or download it again"
    return str(error)


def _refuse_incomplete(tar: str, end: int) -> None:
    """Refuse a tar unless the blocks from ``end`` on are the end mark, with nothing but zeros after it."""
    with Path(tar).open("rb") as file:
        file.seek(end)
        block = file.read(BLOCK)
        if block == bytes(BLOCK):
            while data := file.read(1 << 20):
                if data.count(0) < len(data):
                    raise ForesightError(
                        f"{tar} has data after its end mark at byte {end}, like tars joined with cat: "
                        "give the parts as separate files"
                    )
            return
    if not block:
        raise ForesightError(
            f"{tar} has no end mark: it may have been cut short between two members. Copy or download it again; "
            f"if it is whole all the same, add the mark: truncate -s +1024 {shlex.quote(tar)}"
        )
    if len(block) < BLOCK:
        raise ForesightError(f"{tar} ends in the header of a member: it is not whole. Copy or download it again")
    raise ForesightError(
        f"{tar} is damaged at byte {end}, where a member's header should be. Copy or download it again"
    )
