"""A tar that was cut short, damaged or joined with another is never taken for a whole one."""

import shlex
import subprocess
import tarfile

import pytest

from foresight_cli.data.webdataset import WebDataset
from foresight_cli.errors import ForesightError
from tests.data.tars import pack, png


@pytest.fixture
def whole(tmp_path):
    """A tar of three samples, the offset of each header, and that of the end mark."""
    path = pack(tmp_path / "0.tar", [(f"{i}.png", png(i)) for i in range(3)])
    with tarfile.open(path) as tar:
        headers = [info.offset for info in tar]
        return path, headers, tar.offset


AGAIN = "Copy or download it again"
NO_MARK = (
    "{tar} has no end mark: it may have been cut short between two members. "
    f"{AGAIN}; if it is whole all the same, add the mark: truncate -s +1024 {{tar}}"
)
MIDDLE = f"cannot read {{tar}}: it ends in the middle of a member: it is not whole. {AGAIN}"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data, headers, end: data[: headers[2]], NO_MARK),
        (lambda data, headers, end: data[:end], NO_MARK),
        (
            lambda data, headers, end: data[: headers[2] + 100],
            f"{{tar}} ends in the header of a member: it is not whole. {AGAIN}",
        ),
        (lambda data, headers, end: data[: headers[2] + 512 + 10], MIDDLE),
        (lambda data, headers, end: data[: end - 1], MIDDLE),
        (
            lambda data, headers, end: data[: headers[1]] + b"x" * 512 + data[headers[1] + 512 :],
            f"{{tar}} is damaged at byte {{second}}, where a member's header should be. {AGAIN}",
        ),
        (
            lambda data, headers, end: data + data,
            "{tar} has data after its end mark at byte {end}, like tars joined with cat: "
            "give the parts as separate files",
        ),
        (lambda data, headers, end: b"", "cannot read {tar}: empty file"),
        (lambda data, headers, end: data[:300], "cannot read {tar}: truncated header"),
    ],
)
def test_an_incomplete_tar_is_never_taken_for_a_whole_one(whole, spoil, message):
    tar, headers, end = whole
    tar.write_bytes(spoil(tar.read_bytes(), headers, end))
    with pytest.raises(ForesightError) as caught:
        WebDataset(str(tar), None)
    assert str(caught.value) == message.format(tar=tar, second=headers[1], end=end)


def test_every_length_of_a_tar_is_refused_or_whole(whole):
    """The tar is cut at each block: only the padding after the end mark may be missing."""
    tar, _, end = whole
    data = tar.read_bytes()
    for length in range(0, len(data) + 1, 512):
        tar.write_bytes(data[:length])
        if length >= end + 512:
            assert len(WebDataset(str(tar), None).samples) == 3
        else:
            with pytest.raises(ForesightError):
                WebDataset(str(tar), None)


def test_the_remedy_for_a_tar_without_an_end_mark_works(whole):
    tar, _, end = whole
    tar.write_bytes(tar.read_bytes()[:end])
    with pytest.raises(ForesightError) as caught:
        WebDataset(str(tar), None)
    subprocess.run(shlex.split(str(caught.value).rpartition(": ")[2]), check=True)
    assert len(WebDataset(str(tar), None).samples) == 3
