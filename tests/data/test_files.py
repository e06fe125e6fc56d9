"""The code that image and video folders share, for other suffixes; names and links are in test_imagefolder."""

import hashlib
import os

import pytest

from foresight_cli.data.files import data_folder, find_files, sha256_of_files, top_folder
from foresight_cli.errors import ForesightError


@pytest.fixture
def tree(tmp_path):
    for name in ("b.mp4", "a/deep/1.WebM", "a/2.mp4", "a/.3.mp4", "notes.txt", "B.MP4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def test_files_of_the_suffixes_in_order(tree):
    names = ["B.MP4", "a/2.mp4", "a/deep/1.WebM", "b.mp4"]
    assert list(find_files(tree, (".mp4", ".webm"), "films").files.items()) == [(name, name) for name in names]
    assert find_files(tree, (".txt",), "notes") == ({"notes.txt": "notes.txt"}, {".mp4": 3, ".webm": 1})


def test_labels():
    assert [top_folder(name) for name in ("1.mp4", "a/1.mp4", "a/b/1.mp4")] == [None, "a", "a"]


def test_one_hash_over_ids_and_bytes(tree):
    files = find_files(tree, (".mp4", ".webm"), "films").files
    text = b"".join(name.encode() + b"\0" + hashlib.sha256(name.encode()).digest() for name in files)
    assert sha256_of_files(tree, files) == hashlib.sha256(text).hexdigest()
    assert sha256_of_files(tree, {"other": "b.mp4"}) == (
        hashlib.sha256(b"other\0" + hashlib.sha256(b"b.mp4").digest()).hexdigest()
    )


def test_messages_name_what_is_looked_for(tree):
    with pytest.raises(ForesightError) as caught:
        find_files(tree / "a/deep", (".mp4", ".avi"), "films")
    assert str(caught.value) == f"no films in {tree}/a/deep; the suffixes read are .mp4, .avi; it holds 1 .webm"
    with pytest.raises(ForesightError) as caught:
        data_folder(tree / "b.mp4", "films")
    assert str(caught.value) == f"'{tree}/b.mp4' is a file; data.path= wants a folder of films"
    with pytest.raises(ForesightError) as caught:
        data_folder("", "films")
    assert str(caught.value) == "no folder ''; data.path= wants a folder of films"


def test_a_file_that_changes_after_it_was_hashed_is_refused(tmp_path):
    """Its latents would be stored under the key of the old bytes; the old mtime does not hide the change."""
    from PIL import Image

    from foresight_cli.data.imagefolder import ImageFolder

    for name in "ab":
        Image.new("RGB", (4, 4), "red").save(tmp_path / f"{name}.png")
    data = ImageFolder(tmp_path)
    data.identity()
    assert data.image(0).size == (4, 4)
    state = (tmp_path / "a.png").stat()
    Image.new("RGB", (4, 4), "tan").save(tmp_path / "a.png")
    os.utime(tmp_path / "a.png", ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(ForesightError) as caught:
        data.image(0)
    assert type(caught.value) is ForesightError  # and not a picture that can be skipped
    assert str(caught.value) == f"'a.png' in {tmp_path} has changed since this run began: run the same command again"
    (tmp_path / "b.png").unlink()
    with pytest.raises(ForesightError) as caught:
        data.image(1)
    assert str(caught.value) == f"cannot read 'b.png' in {tmp_path}: No such file or directory"
