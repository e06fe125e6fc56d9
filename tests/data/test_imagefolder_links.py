import os
from pathlib import Path

import pytest

from foresight_cli.data.imagefolder import ImageFolder
from tests.refusal import refusal


def touch(root, *names, data=b"not decoded"):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def ids(root):
    return [sample.id for sample in ImageFolder(root).samples]


def test_links_to_files_and_folders_are_followed(tmp_path):
    touch(tmp_path, "store/1.png", "root/own/2.png")
    (tmp_path / "root/linked").symlink_to(tmp_path / "store")
    (tmp_path / "root/3.png").symlink_to(tmp_path / "store/1.png")
    (tmp_path / "entry").symlink_to(tmp_path / "root")
    assert ids(tmp_path / "root") == ["3.png", "linked/1.png", "own/2.png"]
    assert ids(tmp_path / "entry") == ["3.png", "linked/1.png", "own/2.png"]


def test_links_that_lead_back_up_end(folder):
    touch(folder.parent, "outside.png")
    for name, target in {"a/up": folder, "a/self": folder / "a", "a/out": folder.parent, "a/top": Path("/")}.items():
        (folder / name).symlink_to(target)
    assert ids(folder) == ["a/1.png", "a/2.png", "b.png"]


def test_links_that_chase_each_other_end(tmp_path):
    for name, other in (("p", "q"), ("q", "p")):
        touch(tmp_path, f"store/{name}/{name}.png")
        (tmp_path / "store" / name / "other").symlink_to(tmp_path / "store" / other)
    (tmp_path / "root").mkdir()
    (tmp_path / "root/z").symlink_to(tmp_path / "store/p")
    (tmp_path / "root/y").symlink_to(tmp_path / "store/q")
    assert ids(tmp_path / "root") == ["y/other/p.png", "y/q.png"]


def test_a_folder_is_listed_once_under_its_real_name(tmp_path):
    touch(tmp_path, "z/1.png")
    (tmp_path / "a").symlink_to(tmp_path / "z")
    assert ids(tmp_path) == ["z/1.png"]


@pytest.mark.parametrize("target", ["gone.png", "dead.png"])
def test_a_link_to_nothing_is_refused(folder, target):
    (folder / "a/dead.png").symlink_to(target)
    assert refusal(ImageFolder, folder) == f"'a/dead.png' in {folder} is a broken link; fix or remove it"


def test_pipes_are_passed_over(folder):
    os.mkfifo(folder / "pipe.png")
    assert len(ids(folder)) == 3
