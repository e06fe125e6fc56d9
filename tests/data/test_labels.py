"""Labels, groups and numbers of shards that are empty, or are something else."""

import pytest

from foresight_cli.data.webdataset import WebDataset
from foresight_cli.errors import ForesightError
from tests.data.tars import pack, png


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        (("a.cls", b" \n"), (None, "a")),
        (("a.cls", b"NaN"), (None, "a")),
        (("a.cls", b"None"), ("None", "a")),
        (("a.cls", b"0.5"), (None, "a")),
        (("a.cls", b"-.25e-3"), (None, "a")),
        (("a.cls", b"inf"), ("inf", "a")),
        (("a.cls", b"1e3"), ("1e3", "a")),
        (("a.json", b'{"label": Infinity}'), (None, "a")),
        (("a.json", b'{"label": 0.5}'), (None, "a")),
        (("a.cls", b"3.0\n"), ("3.0", "a")),
        (("a.cls", b"1" * 300), ("1" * 300, "a")),
        (("a.cls", "\ufeffchat é".encode()), ("chat é", "a")),
        (("a.json", b'{"label": NaN, "group": NaN}'), (None, "a")),
        (("a.json", b'{"label": null, "group": ""}'), (None, "a")),
        (("a.json", b'{"label": true, "group": 7}'), ("True", "7")),
        (("a.json", b'{"label": 12, "group": " g "}'), ("12", "g")),
        (("a.json", b"[1, 2]"), (None, "a")),
    ],
)
def test_labels_that_are_none_and_groups(tmp_path, member, expected):
    pack(tmp_path / "0.tar", [("a.png", png(0)), member])
    (sample,) = WebDataset(str(tmp_path), None).samples
    assert (sample.label, sample.group) == expected


def test_numbers_of_json(tmp_path):
    fields = (
        b'{"a": 1, "b": 2.5, "c": NaN, "d": 1e400, "e": 1'
        + b"0" * 400
        + b', "f": [1], "g": {"h": 1}, "i": "3", "j": false}'
    )
    pack(tmp_path / "0.tar", [("a.png", png(0)), ("a.json", fields)])
    (sample,) = WebDataset(str(tmp_path), None).samples
    assert sample.attributes == {"a": 1.0, "b": 2.5}


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (
            ("a.cls", (7).to_bytes(8, "little")),
            "a.cls in {tar} is '\\x07\\x00\\x00\\x00\\x00\\x00\\x00\\x00': a label holds no control characters",
        ),
        (("a.cls", b"x" * 1001), "a.cls in {tar} has 1,001 letters: it is no label"),
        (
            ("a.json", b'{"label": ["cat"]}'),
            "label of a.json in {tar} is of the type list: a label is text or a number",
        ),
        (
            ("a.json", b'{"group": {"a": 1}}'),
            "group of a.json in {tar} is of the type dict: a group is text or a number",
        ),
        (("a.json", b"[" * 100_000), "a.json in {tar} is not JSON"),
        (("a.json", b"1" * 5000), "a.json in {tar} is not JSON"),
    ],
)
def test_labels_that_are_something_else_are_refused(tmp_path, member, message):
    tar = pack(tmp_path / "0.tar", [("a.png", png(0)), member])
    with pytest.raises(ForesightError) as caught:
        WebDataset(str(tmp_path), None)
    assert str(caught.value) == message.format(tar=tar)
