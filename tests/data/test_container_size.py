"""The size that each kind of container declares, on files of a few bytes."""

import pytest

from foresight_cli.data.container_size import missing_part


def box(name: bytes, size: int) -> bytes:
    return size.to_bytes(4, "big") + name + bytes(size - 8)


LARGE = (1).to_bytes(4, "big") + b"mdat" + (100).to_bytes(8, "big") + bytes(84)
RIFF = b"RIFF" + (93).to_bytes(4, "little") + b"AVI " + bytes(89)  # 101 bytes, and one of padding
SECOND = b"RIFF" + (50).to_bytes(4, "little") + b"AVIX" + bytes(46)
EBML = b"\x1a\x45\xdf\xa3\x84" + bytes(4)  # a header of 4 bytes
SEGMENT = b"\x18\x53\x80\x67"

WHOLE = {
    "mp4": box(b"ftyp", 20) + box(b"mdat", 100) + box(b"moov", 50),
    "mp4, 64-bit size": box(b"ftyp", 20) + LARGE,
    "avi": RIFF,
    "avi of two parts": RIFF + b"\0" + SECOND,
    "matroska, 1-byte size": EBML + SEGMENT + bytes([0x80 | 90]) + bytes(90),
    "matroska, 8-byte size": EBML + SEGMENT + b"\x01" + (90).to_bytes(7, "big") + bytes(90),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_file_and_one_that_lacks_its_last_byte(tmp_path, kind):
    path, data = tmp_path / "file", WHOLE[kind]
    path.write_bytes(data)
    assert missing_part(path) is None
    path.write_bytes(data + bytes(30))  # other programs append such bytes
    assert missing_part(path) is None
    path.write_bytes(data[:-1])
    message = f"the file is truncated: it has {len(data) - 1} bytes, but its container declares {len(data)}"
    assert missing_part(path) == message


UNKNOWN = {
    "nothing": b"",
    "four bytes": b"RIFF",
    "text": b"a letter" * 10,
    "mp4 whose last box continues to the end": box(b"ftyp", 20) + (0).to_bytes(4, "big") + b"mdat" + bytes(9),
    "mp4 with a box of another kind": box(b"ftyp", 20) + box(b"abcd", 100)[:50],
    "avi that was never closed": b"RIFF" + bytes(4) + b"AVI " + bytes(80),
    "avi of a live recording": b"RIFF" + b"\xff" * 4 + b"AVI " + bytes(80),
    "matroska of a live recording": EBML + SEGMENT + b"\x01" + b"\xff" * 7 + bytes(80),
    "matroska that ends after its header": EBML,
    "matroska whose size is no number": EBML + SEGMENT + b"\0" + bytes(80),
    "matroska that ends in its header": EBML[:4],
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_a_file_that_gives_no_size(tmp_path, kind):
    (tmp_path / "file").write_bytes(UNKNOWN[kind])
    assert missing_part(tmp_path / "file") is None
