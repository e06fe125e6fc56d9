import hashlib
import io
import json
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from foresight_cli.data.imagefolder import ImageFolder
from foresight_cli.data.picture_formats import suffixes
from foresight_cli.data.webdataset import WebDataset
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, load
from tests.data.tars import pack, png


@pytest.fixture
def shards(tmp_path):
    """Two tars of three samples: with a class, with JSON, and bare."""
    folder = tmp_path / "shards"
    folder.mkdir()
    fields = json.dumps({"label": "b", "group": "g", "x": 1.5, "n": 2, "flag": True, "text": "t", "bad": float("nan")})
    pack(folder / "000.tar", [
        ("red/a.png", png(1)), ("red/a.cls", b"7\n"), ("red/a.txt", b"words"),
        ("c.d.json", b"{}"), ("b.json", fields.encode()), ("b.PNG", png(2)),
    ])  # fmt: skip
    pack(folder / "001.tar", [("c.png", png(3)), ("README", b"no key"), (".hidden.png", b"")])
    return folder


def test_samples_and_pictures(shards, tmp_path):
    dataset = WebDataset(str(shards), None)
    assert [(s.id, s.label, s.group, s.attributes) for s in dataset.samples] == [
        ("red/a", "7", "red/a", {}),
        ("b", "b", "g", {"x": 1.5, "n": 2.0}),
        ("c", None, "c", {}),
    ]
    plain = tmp_path / "plain"
    plain.mkdir()
    for seed, name in ((1, "1.png"), (2, "2.png"), (3, "3.png")):
        (plain / name).write_bytes(png(seed))
    folder = ImageFolder(plain)
    for index in range(3):
        same = [np.asarray(d.clip(index).frames[0]) for d in (dataset, folder)]
        np.testing.assert_array_equal(*same)


def test_braces_and_one_tar(shards):
    both = WebDataset(f"{shards}/{{000..001}}.tar", None)
    assert both.identity() == WebDataset(str(shards), None).identity()
    assert [s.id for s in WebDataset(f"{shards}/001.tar", None).samples] == ["c"]
    assert [s.id for s in WebDataset(f"{shards}/{{001,000}}.tar", None).samples] == ["c", "red/a", "b"]


def test_identity_tells_pictures_apart_and_their_order(shards):
    whole = WebDataset(str(shards), None).identity()
    assert whole["count"] == 3
    assert WebDataset(f"{shards}/{{001,000}}.tar", None).identity() != whole
    pack(shards / "001.tar", [("c.png", png(4))])
    assert WebDataset(str(shards), None).identity() != whole


def test_a_tar_that_changes_in_the_run_is_refused(shards):
    dataset = WebDataset(str(shards), None)
    dataset.identity()
    dataset.clip(2)
    pack(shards / "001.tar", [("c.png", png(4))])
    os.utime(shards / "001.tar", ns=(1, 1))
    with pytest.raises(ForesightError, match="has changed since this run began"):
        dataset.clip(2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves its files open
def test_as_the_package_itself_packs_and_reads_them(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "0.tar")) as writer:
        for i in range(3):
            writer.write({"__key__": f"s{i}", "png": png(i), "cls": i, "json": {"x": i / 2}})
    dataset = WebDataset(str(tmp_path), None)
    theirs = [
        (s["__key__"], s["cls"].decode(), json.loads(s["json"])["x"], s["png"])
        for s in webdataset.WebDataset(str(tmp_path / "0.tar"), shardshuffle=False)
    ]
    rows = [(s.id, s.label, s.attributes["x"]) for s in dataset.samples]
    assert rows == [row[:3] for row in theirs]
    for index, (*_, data) in enumerate(theirs):
        np.testing.assert_array_equal(dataset.clip(index).frames[0], Image.open(io.BytesIO(data)))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves its files open
def test_pictures_of_mixed_suffixes_are_the_samples_that_the_package_has(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    names = ["a.jpg", "a.txt", "b.PNG", "x/c.d/e.webp", "./f.jpeg", "g.h.cls", "g.jfif", "i.rgb.png", "日本.png"]
    long = "n" * 120 + ".png"  # longer than the first tar format allows
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        with tarfile.open(tmp_path / "0.tar", "w", format=kind) as tar:
            for name in (*names, long):
                info = tarfile.TarInfo(name)
                info.size = len(png(len(name)))
                tar.addfile(info, io.BytesIO(png(len(name))))
        dataset = WebDataset(str(tmp_path), None)
        theirs = list(webdataset.WebDataset(str(tmp_path / "0.tar"), shardshuffle=False))
        assert [s.id for s in dataset.samples] == [s["__key__"].removeprefix("./") for s in theirs]
        for index, sample in enumerate(theirs):
            (data,) = (value for key, value in sample.items() if key.endswith(("jpg", "png", "webp", "jpeg", "jfif")))
            np.testing.assert_array_equal(dataset.clip(index).frames[0], Image.open(io.BytesIO(data)))
    assert dataset.identity()["image"] == "jfif,jpeg,jpg,png,rgb.png,webp"


def test_a_set_of_one_suffix_keeps_its_key(shards):
    """The hash is that of older versions, whether the suffix is given or not."""
    total = hashlib.sha256(b"".join(hashlib.sha256((shards / f"00{i}.tar").read_bytes()).digest() for i in range(2)))
    for image in (None, "png", "PNG", ".png"):
        identity = {"name": "webdataset", "count": 3, "image": "png", "sha256": total.hexdigest()}
        assert WebDataset(str(shards), image).identity() == identity


def test_a_sample_with_several_pictures_wants_a_choice(shards):
    pack(shards / "002.tar", [("d.rgb.png", png(5)), ("d.seg.png", png(6))])
    with pytest.raises(ForesightError) as caught:
        WebDataset(str(shards), None)
    assert str(caught.value) == ("the sample 'd' has 2 pictures (rgb.png, seg.png): say which with data.image=rgb.png")
    dataset = WebDataset(str(shards), "seg.png")
    assert [s.id for s in dataset.samples] == ["d"]
    assert dataset.left_alone.line == (
        "3 samples left alone: 3 without .seg.png; 2 members left alone: 1 .rgb.png, 1 without a suffix "
        "(data=webdataset reads .seg.png, .cls and .json; the first sample without .seg.png is 'red/a')"
    )
    with pytest.raises(ForesightError) as caught:
        WebDataset(str(shards), "jpg")
    assert str(caught.value) == (
        f"no member of {shards} ends in .jpg; data.image= names the pictures' extension; it holds "
        "3 .png, 1 .cls, 1 .d.json, 1 .json, 1 .rgb.png, 1 .seg.png, 1 .txt, 1 without a suffix"
    )


def test_what_is_left_alone_is_counted(run, tmp_path):
    (tmp_path / "s").mkdir()
    pack(tmp_path / "s/0.tar", [
        ("a.png", png(0)), ("a.txt", b"words"), ("a.pyd", b""), ("b.cls", b"1"), ("b.txt", b""), ("c.json", b"{}"),
        ("README.md", b""), ("LICENSE", b""), (".DS_Store", b""), ("e.png", png(1)), ("e.cls", b"0.5"),
    ])  # fmt: skip
    with tarfile.open(tmp_path / "s/1.tar", "w") as tar:
        tar.addfile(link("f.png", "e.png"))
    for name in ("0.parquet", "2.tar.gz", "x/3.tar"):
        (tmp_path / "s" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "s" / name).write_bytes(b"")
    done = run("extract", "model=pixels", "data=webdataset", "data.path=s")
    assert done.exit_code == 0, done.output
    line = (
        "2 samples left alone: 2 without a picture; "
        "5 members left alone: 1 .md, 1 .pyd, 1 .txt, 1 link or device, 1 without a suffix; "
        "3 files left alone: 1 .gz, 1 .parquet, 1 .tar in sub-folders; "
        "1 label left alone: 1 number with a fraction "
        f"(data=webdataset reads {', '.join(suffixes())}, .cls and .json; the first sample without a picture is 'b')\n"
    )
    assert line in done.output
    assert line in run("extract", "model=pixels", "data=webdataset", "data.path=s", "dry_run=true").output
    (manifest,) = tmp_path.glob("outputs/cache/*/*/*/*/manifest.json")
    assert json.loads(manifest.read_bytes())["provenance"]["left_alone"] == {
        "files": {".gz": 1, ".parquet": 1, ".tar in sub-folders": 1},
        "labels": {"number with a fraction": 1},
        "members": {".md": 1, ".pyd": 1, ".txt": 1, "link or device": 1, "without a suffix": 1},
        "samples": {"without a picture": 2},
    }


def test_a_folder_without_tars_says_what_it_holds(tmp_path):
    for name in ("0.tar.gz", "1.tgz", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ForesightError) as caught:
        WebDataset(str(tmp_path), None)
    assert str(caught.value) == (
        f"no .tar files in {tmp_path}; it holds 1 .gz, 1 .tgz, 1 .txt; data.path= wants WebDataset shards"
    )


def link(name, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def test_hostile_members_are_names_and_nothing_more(tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        tar.addfile(link("evil.png", "/etc/passwd"))
    pack(tmp_path / "1.tar", [("../../out.png", png(0)), ("/abs.png", png(1))])
    dataset = WebDataset(str(tmp_path), None)
    assert [s.id for s in dataset.samples] == ["../../out", "/abs"]
    assert dataset.clip(0).frames[0].size == (16, 20)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.tar", "1.tar"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda f: pack(f / "001.tar", [("b.png", png(0))]),
            "duplicate b.png in .*000.tar and .*001.tar: keys must be unique",
        ),
        (lambda f: pack(f / "001.tar", [("c.png", png(0))], "w:gz"), "it is compressed, so that no sample can be read"),
        (lambda f: pack(f / "001.tar", [("b.jpg", png(0))]), "duplicate key 'b' in .*000.tar and .*001.tar"),
        (lambda f: (f / "001.tar").write_bytes(b"no tar at all" * 100), "cannot read .*001.tar: "),
        (lambda f: (f / "001.tar").write_bytes((f / "001.tar").read_bytes()[:700]), "001.tar"),
        (lambda f: pack(f / "001.tar", [("c.png", png(0)), ("c.json", b"{")]), "c.json in .*001.tar is not JSON"),
        (lambda f: pack(f / "001.tar", [("c.png", png(0)), ("c.cls", b"\xff")]), "c.cls in .* is not UTF-8 text"),
        (lambda f: pack(f / "001.tar", [("c.png", png(0)), ("c.cls", b"1" * 2_000_000)]), "2,000,000 bytes: it is no"),
        (lambda f: [p.unlink() for p in f.iterdir()], "no .tar files in "),
    ],
)
def test_faults_are_named(shards, spoil, message):
    spoil(shards)
    with pytest.raises(ForesightError, match=message):
        WebDataset(str(shards), None)


def test_no_such_file(tmp_path):
    pack(tmp_path / "0.tar", [("a.png", png(0))])
    with pytest.raises(ForesightError, match=r"no file '.*/1.tar'; data.path= wants a folder of .tar files"):
        WebDataset(f"{tmp_path}/{{0..1}}.tar", None)


def test_same_latents_as_of_a_folder(run, tmp_path):
    (tmp_path / "plain").mkdir()
    members = [(f"s{i}.png", png(i, (32, 32))) for i in range(4)]
    for name, data in members:
        (tmp_path / "plain" / name).write_bytes(data)
    pack(tmp_path / "s.tar", [*members, ("s4.png", b"broken")])
    for words in (
        ["data=imagefolder", "data.path=plain"],
        ["data=webdataset", "data.path=s.tar", "data.on_error=skip"],
    ):
        done = run("extract", "model=pixels", *words)
        assert done.exit_code == 0, done.output
    assert "1 sample left out" in done.output

    loaded = [
        load(Entry.open(folder)) for folder in (tmp_path / "outputs/cache/pixels/layer-final/channel_mean").iterdir()
    ]
    assert sorted(len(latents.ids) for latents in loaded) == [4, 4]
    assert {tuple(id_.removesuffix(".png") for id_ in latents.ids) for latents in loaded} == {("s0", "s1", "s2", "s3")}
    np.testing.assert_array_equal(*(latents.values.numpy() for latents in loaded))
