"""Files that a dataset passes over are counted by suffix: in the log, in the plan, in the manifest, in the results."""

import json
import shutil

import pytest
import yaml
from PIL import Image

from foresight_cli.data.left_alone import LeftAlone, suffix_of
from foresight_cli.data.picture_formats import suffixes
from foresight_cli.data.video_suffixes import SUFFIXES

READS = f"data=imagefolder reads {', '.join(suffixes())}"
PIXELS = ("extract", "model=pixels", "data=imagefolder", "data.path=p")


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no picture")


@pytest.fixture
def photos(tmp_path):
    for i in range(24):
        (tmp_path / "p").mkdir(exist_ok=True)
        Image.effect_noise((16, 16), 20 + i).convert("RGB").save(tmp_path / f"p/{i:02}.png")
    return tmp_path / "p"


def manifests(tmp_path):
    return sorted(tmp_path.glob("outputs/cache/*/*/*/*/manifest.json"))


def test_one_line_in_the_log_and_in_the_plan(run, tmp_path, photos):
    touch(photos, "a/1.CR2", "a/2.cr2", "notes.txt", "a/clip.mp4", "README")
    touch(photos, "attributes.csv.bak", "Thumbs.db", "a/desktop.ini", ".DS_Store", "a/._1.jpg", ".git/config")
    line = (
        f"6 files left alone: 2 .cr2, 1 .bak, 1 .mp4, 1 .txt, 1 without a suffix ({READS}; for .mp4 use data=video)\n"
    )
    assert run(*PIXELS, "dry_run=true").output.endswith(line)
    done = run(*PIXELS)
    assert done.exit_code == 0
    assert line in done.output
    assert "24 rows" in done.output


def test_no_line_if_nothing_is_left_alone(run, tmp_path, photos):
    (photos / "attributes.csv").write_text("id,x\n00.png,1\n")
    touch(photos, "Thumbs.db", ".DS_Store")
    done = run(*PIXELS)
    assert done.exit_code == 0
    assert "left alone" not in done.output
    (manifest,) = manifests(tmp_path)
    assert "left_alone" not in json.loads(manifest.read_bytes())["provenance"]


def test_in_the_manifest_and_not_in_the_key(run, tmp_path, photos):
    assert run(*PIXELS).exit_code == 0
    (bare,) = manifests(tmp_path)
    key = bare.parent
    shutil.rmtree(key)
    touch(photos, "notes.txt", "a/1.heics")
    assert run(*PIXELS).exit_code == 0
    (manifest,) = manifests(tmp_path)
    assert manifest.parent == key
    first = manifest.read_bytes()
    assert json.loads(first)["provenance"]["left_alone"] == {"files": {".heics": 1, ".txt": 1}}
    assert run(*PIXELS).exit_code == 0
    assert manifest.read_bytes() == first


def test_in_the_results_and_the_report(run, tmp_path, photos):
    touch(photos, "notes.txt", "a/1.raw", "a/2.raw")
    for model in ("pixels", "histogram"):
        assert run("extract", f"model={model}", "data=imagefolder", "data.path=p").exit_code == 0
    words = ("experiment=quick", "permutations=19", "controls=[mean_rgb]")
    done = run("analyze", "source=pixels", "target=histogram", *words)
    assert done.exit_code == 0, done.output
    (results,) = tmp_path.glob("outputs/analyze/*/*/results.yaml")
    assert yaml.safe_load(results.read_text())["left_alone"] == {"files": {".raw": 2, ".txt": 1}}


def test_a_raw_count_of_many_kinds_is_cut_short():
    kinds = {f".k{i}": 10 - i for i in range(10)}
    assert LeftAlone({"files": kinds}).line == (
        "55 files left alone: 10 .k0, 9 .k1, 8 .k2, 7 .k3, 6 .k4, 5 .k5, 4 .k6, 3 .k7, 3 of other kinds"
    )
    assert len(LeftAlone({"files": kinds}).as_json()["files"]) == 10
    assert LeftAlone({"files": {".a": 1}, "samples": {}}).line == "1 file left alone: 1 .a"
    assert not LeftAlone({"files": {}})


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a/b.TXT", ".txt"),
        ("a.tar.gz", ".gz"),
        ("a.b/c", "without a suffix"),
        ("a.", "without a suffix"),
        ("a.very long suffix", "without a suffix"),
        ("a.\udcff", "without a suffix"),
        ("a.图", ".图"),
    ],
)
def test_suffixes(name, suffix):
    assert suffix_of(name) == suffix


def test_other_files_beside_videos(run, tmp_path):
    pytest.importorskip("av")
    from tests.data.video_files import encode

    encode(tmp_path / "p/a.mp4", frames=30)
    touch(tmp_path / "p", "b.jpg", "c.MPG", "notes.txt")
    line = (
        f"3 files left alone: 1 .jpg, 1 .mpg, 1 .txt (data=video reads {', '.join(SUFFIXES)}; "
        "for .jpg use data=imagefolder)\n"
    )
    assert run("extract", "model=pixels", "data=video", "data.path=p", "dry_run=true").output.endswith(line)
