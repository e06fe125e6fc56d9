import builtins
import hashlib
import os
import pickle
import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from foresight_cli.data.dataset import Dataset, Sample, UndecodableImage
from foresight_cli.data.imagefolder import ImageFolder
from foresight_cli.errors import ForesightError
from tests.refusal import refusal

HELP = "To leave such files out, add data.on_error=skip"
READ = (
    ".apng, .avif, .bmp, .gif, .heic, .heif, .hif, .j2k, .jfif, .jp2, .jpe, .jpeg, .jpf, .jpg, .jpx, .mpo, "
    ".pbm, .pgm, .png, .pnm, .ppm, .tif, .tiff, .webp"
)


def touch(root, *names, data=b"not decoded"):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def ids(root):
    return [sample.id for sample in ImageFolder(root).samples]


# --- listing


def test_ids_labels_and_groups(folder):
    dataset: Dataset = ImageFolder(str(folder))
    assert list(dataset.samples) == [
        Sample("a/1.png", "a", "a/1.png", {}),
        Sample("a/2.png", "a", "a/2.png", {}),
        Sample("b.png", None, "b.png", {}),
    ]


def test_order_is_by_code_points_of_the_whole_path(tmp_path):
    names = [
        "a-b/1.png",
        "a.png",
        "a/1.png",
        "a/10.png",
        "a/2.png",
        "B/1.png",
        "é.png",
        "z.png",
        "😀.png",
        "\uff5e.png",
    ]
    touch(tmp_path, *names)
    ordered = [
        "B/1.png",
        "a-b/1.png",
        "a.png",
        "a/1.png",
        "a/10.png",
        "a/2.png",
        "z.png",
        "é.png",
        "\uff5e.png",
        "😀.png",
    ]
    assert ids(tmp_path) == ordered


def test_label_is_the_first_folder(tmp_path):
    touch(tmp_path, "cats/tabby/young/1.png")
    assert ImageFolder(tmp_path).samples[0].label == "cats"


def test_suffixes_in_any_case_and_nothing_else(tmp_path):
    images = [f"lower{suffix}" for suffix in READ.split(", ")] + [
        f"UPPER{suffix.upper()}" for suffix in READ.split(", ")
    ]
    touch(tmp_path, *images, "notes.txt", "png", "x.png.bak", "x.svg", "Thumbs.db")
    assert ids(tmp_path) == sorted(images)


def test_hidden_files_and_folders_are_passed_over(folder):
    touch(folder, ".b.png", "a/.1.png", ".git/1.png", "a/.cache/1.png")
    assert ids(folder) == ["a/1.png", "a/2.png", "b.png"]


def test_a_hidden_root_is_read(tmp_path):
    touch(tmp_path, ".hidden/a.png")
    assert ids(tmp_path / ".hidden") == ["a.png"]


def test_a_folder_named_like_an_image_is_a_folder(tmp_path):
    touch(tmp_path, "x.png/y.jpg")
    assert ids(tmp_path) == ["x.png/y.jpg"]


def test_odd_names(tmp_path):
    names = [
        "two\nlines.png",
        " lead.png",
        "tab\there.png",
        "'quoted\".png",
        "日本/語 1.png",
        "/".join("d" * 60) + "/x.png",
    ]
    Image.new("RGB", (2, 2), "red").save(tmp_path / "source.png")
    touch(tmp_path, *names, data=(tmp_path / "source.png").read_bytes())
    dataset = ImageFolder(tmp_path)
    assert [sample.id for sample in dataset.samples] == sorted([*names, "source.png"])
    assert all(dataset.image(i).getpixel((0, 0)) == (255, 0, 0) for i in range(len(dataset.samples)))
    assert dataset.identity()["count"] == 7


def test_ids_and_labels_are_nfc_whatever_the_disk_says(tmp_path):
    spelled = unicodedata.normalize("NFD", "café/é.png")
    touch(tmp_path, spelled)
    dataset = ImageFolder(tmp_path)
    assert dataset.samples[0] == Sample("café/é.png", "café", "café/é.png")
    (tmp_path / "nfc").mkdir()
    touch(tmp_path / "nfc", "café/é.png")
    assert ImageFolder(tmp_path / "nfc").identity()["sha256"] == sha256_of(("café/é.png", b"not decoded"))


def test_order_is_that_of_the_nfc_ids(tmp_path):
    touch(tmp_path, unicodedata.normalize("NFD", "é.png"), "f.png")  # on the disk, e + accent sorts before f
    assert ids(tmp_path) == ["f.png", "é.png"]


def test_two_spellings_of_one_name_are_refused(tmp_path):
    touch(tmp_path, "é.png", unicodedata.normalize("NFD", "é.png"))
    twins = r"'e\u0301.png' and '\xe9.png'"
    assert (
        refusal(ImageFolder, tmp_path) == f"{twins} in {tmp_path} are one name in Unicode form NFC; rename one of them"
    )


def test_a_name_that_is_not_utf8_is_refused(folder):
    (Path(os.fsdecode(os.fsencode(folder) + b"/a/\xff.png"))).write_bytes(b"")
    assert refusal(ImageFolder, folder) == rf"the name 'a/\udcff.png' in {folder} is not valid UTF-8; rename it"


def test_a_non_image_may_have_any_name(folder):
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff.txt"))).write_bytes(b"")
    assert len(ids(folder)) == 3


# --- names that cannot be listed


def test_no_folder(tmp_path):
    assert refusal(ImageFolder, tmp_path / "x") == f"no folder '{tmp_path}/x'; data.path= wants a folder of images"
    assert refusal(ImageFolder, "") == "no folder ''; data.path= wants a folder of images"
    assert refusal(ImageFolder, "~no-such-user/x") == (
        "no folder '~no-such-user/x'; data.path= wants a folder of images"
    )


def test_a_file_is_no_folder(folder):
    assert refusal(ImageFolder, folder / "b.png") == f"'{folder}/b.png' is a file; data.path= wants a folder of images"


def test_no_images(tmp_path):
    touch(tmp_path, ".hidden.png", "attributes.csv", "Thumbs.db")
    assert refusal(ImageFolder, tmp_path) == f"no images in {tmp_path}; the suffixes read are {READ}"
    touch(tmp_path, "a/notes.txt", "a/1.MP4", "2.mp4", "b/README")
    content = "2 .mp4, 1 .txt, 1 without a suffix; for .mp4 use data=video"
    assert (
        refusal(ImageFolder, tmp_path) == f"no images in {tmp_path}; the suffixes read are {READ}; it holds {content}"
    )


def test_a_folder_that_cannot_be_listed(folder, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert refusal(ImageFolder, folder) == f"cannot list '{folder}/a': Permission denied"


def test_home_and_a_later_working_directory(folder, monkeypatch):
    Image.new("RGB", (3, 2)).save(folder / "b.png")
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.chdir(folder.parent)
    for path in (f"~/{folder.name}", folder.name):
        dataset = ImageFolder(path)
        monkeypatch.chdir("/")
        assert dataset.image(2).size == (3, 2)
        monkeypatch.chdir(folder.parent)


def test_listing_opens_no_image(folder, monkeypatch):
    monkeypatch.setattr(Path, "open", None)
    monkeypatch.setattr(Path, "read_bytes", None)
    monkeypatch.setattr(builtins, "open", None)
    assert len(ImageFolder(folder).samples) == 3


# --- pictures


def test_image_is_the_one_of_its_sample(tmp_path):
    colours = {"b/1.png": (1, 2, 3), "a.bmp": (4, 5, 6), "b/0.tiff": (7, 8, 9)}
    for name, colour in colours.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (5, 4), colour).save(tmp_path / name)
    dataset = pickle.loads(pickle.dumps(ImageFolder(tmp_path)))
    for index, sample in enumerate(dataset.samples):
        image = dataset.image(index)
        assert (image.mode, image.size, image.getpixel((4, 3))) == ("RGB", (5, 4), colours[sample.id])


def test_a_file_that_cannot_be_decoded(folder):
    with pytest.raises(UndecodableImage) as caught:
        ImageFolder(folder).image(0)
    formats = "AVIF, BMP, GIF, HEIF, JPEG, JPEG2000, PNG, PPM, TIFF, WEBP"
    reason = f"not an image, or of a kind that is not read (formats: {formats})"
    assert str(caught.value) == f"cannot decode 'a/1.png': {reason}. {HELP}"


def test_a_file_that_cannot_be_read(folder):
    dataset = ImageFolder(folder)
    (folder / "b.png").unlink()
    with pytest.raises(ForesightError) as caught:
        dataset.image(2)
    assert not isinstance(caught.value, UndecodableImage)  # a fault of the disk must not be skipped for ever
    assert str(caught.value) == f"cannot read 'b.png' in {folder}: No such file or directory"


# --- identity


def sha256_of(*files):
    """The definition: each id, a zero byte, and the sha256 of the file's bytes, one after another."""
    text = b"".join(name.encode() + b"\0" + hashlib.sha256(data).digest() for name, data in files)
    return hashlib.sha256(text).hexdigest()


def test_identity_is_the_stated_hash(tmp_path):
    files = [(f"{i:03}.png", bytes([i]) * (i * 1000)) for i in range(70)]  # more than one task, and an empty file
    for name, data in files:
        touch(tmp_path, name, data=data)
    assert ImageFolder(tmp_path).identity() == {"name": "imagefolder", "count": 70, "sha256": sha256_of(*files)}


def test_identity_stays_where_latents_stay(folder, tmp_path_factory):
    before = ImageFolder(folder).identity()
    moved = tmp_path_factory.mktemp("elsewhere") / "moved"
    shutil.copytree(folder, moved)
    (moved / "attributes.csv").write_text("id,x,label,group\nb.png,1,dog,g\n")
    touch(moved, "readme.txt", ".b.png")
    os.utime(moved / "b.png", (0, 0))
    assert ImageFolder(moved).identity() == before


def test_identity_changes_with_a_byte_a_name_and_the_order(folder):
    seen = [ImageFolder(folder).identity()["sha256"]]
    touch(folder, "b.png", data=b"not decodeD")
    seen.append(ImageFolder(folder).identity()["sha256"])
    (folder / "b.png").rename(folder / "c.png")
    seen.append(ImageFolder(folder).identity()["sha256"])
    (folder / "c.png").rename(folder / "B.png")
    seen.append(ImageFolder(folder).identity()["sha256"])
    touch(folder, "d.png")
    seen.append(ImageFolder(folder).identity()["sha256"])
    assert len(set(seen)) == 5


def test_identity_is_kept(folder):
    dataset = ImageFolder(folder)
    before = dataset.identity()
    before["sha256"] = "spoilt by a caller"
    touch(folder, "b.png", data=b"changed")
    assert dataset.identity()["sha256"] == sha256_of(
        ("a/1.png", b"not decoded"), ("a/2.png", b"not decoded"), ("b.png", b"not decoded")
    )


def test_a_file_that_vanishes_before_it_is_hashed(folder):
    dataset = ImageFolder(folder)
    (folder / "a/2.png").unlink()
    with pytest.raises(ForesightError) as caught:
        dataset.identity()
    assert str(caught.value) == f"cannot read 'a/2.png' in {folder}: No such file or directory"
