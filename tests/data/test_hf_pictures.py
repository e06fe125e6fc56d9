"""Every way to store a picture in a Hugging Face dataset gives the picture that Pillow reads, under one key."""

import base64
import gc
import io
import json

import numpy as np
import pytest
from PIL import Image

from foresight_cli.config import HFConfig
from foresight_cli.errors import ForesightError

datasets = pytest.importorskip("datasets")

from datasets import Array3D, ClassLabel, Dataset, Features, List, Value  # noqa: E402

from foresight_cli.data.hf import HFDataset  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves files open
STRUCT = {"bytes": Value("binary"), "path": Value("string")}


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf")


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 256, (9, 7, 3), dtype=np.uint8)


def png(seed):
    file = io.BytesIO()
    Image.fromarray(pixels(seed)).save(file, "PNG", compress_level=0)
    return file.getvalue()


def struct(seed):
    return {"bytes": png(seed), "path": None}


def opened(path, **changes):
    return HFDataset(HFConfig(name="hf", path=str(path), on_error="raise", **changes))


def write(folder, kind, values, **columns):
    folder.mkdir(exist_ok=True)
    features = {"x": kind, **{name: kind for name, (kind, _) in columns.items()}}
    rows = {"x": values, **{name: values for name, (_, values) in columns.items()}}
    Dataset.from_dict(rows, features=Features(features)).to_parquet(folder / "train-00000-of-00001.parquet")
    return folder


WAYS = {
    "typed": (datasets.Image(), struct),
    "typed, not decoded": (datasets.Image(decode=False), struct),
    "a list of one": (List(datasets.Image()), lambda i: [struct(i)]),
    "a struct without a type": (STRUCT, struct),
    "a list of structs": (List(STRUCT), lambda i: [struct(i)]),
    "binary": (Value("binary"), png),
    "large binary": (Value("large_binary"), png),
    "pixels": (Array3D((9, 7, 3), "uint8"), lambda i: pixels(i).tolist()),
    "pixels, channels first": (Array3D((3, 9, 7), "uint8"), lambda i: pixels(i).transpose(2, 0, 1).tolist()),
    "pixels in nested lists": (List(List(List(Value("int64")))), lambda i: pixels(i).tolist()),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_store_a_picture(tmp_path, way):
    kind, make = WAYS[way]
    dataset = opened(write(tmp_path / "d", kind, [make(i) for i in range(3)], n=(Value("int64"), [7, 8, 9])))
    for i in range(3):
        np.testing.assert_array_equal(dataset.clip(i).frames[0], pixels(i))
    whole = opened(write(tmp_path / "typed", datasets.Image(), [struct(i) for i in range(3)]))
    assert dataset.identity() == whole.identity()


def test_paths_of_files_beside_the_table(tmp_path):
    (tmp_path / "d/images").mkdir(parents=True)
    for i in range(2):
        (tmp_path / f"d/images/{i}.png").write_bytes(png(i))
    dataset = opened(write(tmp_path / "d", Value("string"), ["images/0.png", str(tmp_path / "d/images/1.png")]))
    for i in range(2):
        np.testing.assert_array_equal(dataset.clip(i).frames[0], pixels(i))
    assert dataset.left_alone.line == "2 files left alone: 2 .png (data.split=train, parquet files are read)"
    bare = opened(write(tmp_path / "e", Value("string"), ["0.png"]), image="x")
    with pytest.raises(ForesightError) as caught:
        bare.identity()
    assert str(caught.value) == ("cannot read the picture of column 'x', row 0: '0.png': No such file or directory")


def test_grey_pixels_and_alpha(tmp_path):
    clear = np.dstack([pixels(0), np.zeros((9, 7), np.uint8)])
    dataset = opened(write(tmp_path / "d", Array3D((9, 7, 4), "uint8"), [clear.tolist()]))
    assert np.asarray(dataset.clip(0).frames[0]).min() == 255
    grey = pixels(1)[:, :, :1]
    dataset = opened(write(tmp_path / "e", Array3D((9, 7, 1), "uint8"), [grey.tolist()]))
    np.testing.assert_array_equal(dataset.clip(0).frames[0], np.repeat(grey, 3, axis=2))


def test_rows_without_a_picture_are_left_out(run, tmp_path):
    values = [[struct(0)], [], None, [None], [{"bytes": None, "path": None}]]
    write(tmp_path / "d", List(datasets.Image()), values)
    done = run("extract", "model=pixels", "data=hf", "data.path=d", "data.on_error=skip")
    assert done.exit_code == 0, done.output
    assert "1 rows (4 left out)" in done.output
    assert "warning: 4 samples left out, for instance '00000001': the row has no picture." in done.output


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (
            List(datasets.Image()),
            [struct(0), struct(1)],
            "column 'x', row 1 has a list of 2 pictures: data=hf takes one a row. Keep one of each list, or make a row "
            "of each picture, with datasets' map()",
        ),
        (
            Array3D((9, 7, 3), "float32"),
            (pixels(0) / 255).tolist(),
            "column 'x', row 1 holds numbers of the shape [9, 7, 3] and type float64: pixels are whole numbers from 0 "
            "to 255, [height, width] or [height, width, 3]",
        ),
        (
            Value("string"),
            base64.b64encode(png(0)).decode(),
            f"cannot read the picture of column 'x', row 1: '{base64.b64encode(png(0)).decode()[:40]}...' is base64 "
            "text; store its bytes instead: base64.b64decode() in datasets' map()",
        ),
        (
            Value("string"),
            "https://a.b/c.jpg",
            "cannot read the picture of column 'x', row 1: 'https://a.b/c.jpg' is an address; download the files first",
        ),
    ],
)
def test_what_is_no_picture_is_refused_before_any_work(run, tmp_path, kind, value, message):
    write(tmp_path / "d", kind, [None, value])
    done = run("extract", "model=pixels", "data=hf", "data.path=d", "data.image=x")
    assert done.exit_code == 1
    assert done.output.endswith(f"foresight extract: {message}\n")


def test_two_columns_that_may_be_meant_want_a_choice(tmp_path):
    columns = {"y": (Value("binary"), [png(1)]), "n": (Value("binary"), [b"no picture"]), "s": (Value("string"), ["a"])}
    folder = write(tmp_path / "d", Value("binary"), [png(0)], **columns)
    with pytest.raises(ForesightError) as caught:
        opened(folder)
    assert str(caught.value) == "the pictures are in x, y: say which column with data.image="
    np.testing.assert_array_equal(opened(folder, image="y").clip(0).frames[0], pixels(1))


def test_rows_of_other_splits_and_files_of_other_kinds_are_counted(run, tmp_path):
    for split, count in (("train", 3), ("test", 2)):
        rows = {"image": [struct(i) for i in range(count)]}
        (tmp_path / "d/data").mkdir(parents=True, exist_ok=True)
        Dataset.from_dict(rows, features=Features({"image": datasets.Image()})).to_parquet(
            tmp_path / f"d/data/{split}-00000-of-00001.parquet"
        )
    for name in ("README.md", "a.heic", "data/b.txt", ".gitattributes"):
        (tmp_path / "d" / name).write_text("")
    line = (
        "2 rows left alone: 2 of the split test; 2 files left alone: 1 .heic, 1 .txt "
        "(data.split={}, parquet files are read)"
    )
    for split in ("train", "train[:2]"):
        assert opened(tmp_path / "d", split=split).left_alone.line == line.format(split)
    assert opened(tmp_path / "d", split="train+test").left_alone.line.startswith("2 files left alone: ")
    assert run("extract", "model=pixels", "data=hf", "data.path=d").exit_code == 0
    (manifest,) = tmp_path.glob("outputs/cache/*/*/*/*/manifest.json")
    assert json.loads(manifest.read_bytes())["provenance"]["left_alone"] == {
        "files": {".heic": 1, ".txt": 1},
        "rows": {"of the split test": 2},
    }


def test_only_existing_splits_of_a_saved_dataset_are_counted(tmp_path):
    splits = {
        name: Dataset.from_dict({"x": [struct(i) for i in range(n)]}, features=Features({"x": datasets.Image()}))
        for name, n in (("train", 2), ("val", 3))
    }
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "both")
    assert opened(tmp_path / "both").left_alone.line == "3 rows left alone: 3 of the split val (data.split=train)"
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "d")
    datasets.load_from_disk(str(tmp_path / "d"))["train"].save_to_disk(tmp_path / "one")
    assert not opened(tmp_path / "one").left_alone


def test_a_folder_of_pictures_with_metadata(tmp_path):
    (tmp_path / "d").mkdir()
    for i in range(2):
        (tmp_path / f"d/{i}.png").write_bytes(png(i))
    (tmp_path / "d/c.heic").write_bytes(b"")
    (tmp_path / "d/metadata.csv").write_text("file_name,label,x\n0.png,cat,1.5\n1.png,dog,2\n")
    dataset = opened(tmp_path / "d", attributes=["x"])
    assert [(s.label, s.attributes) for s in dataset.samples] == [("cat", {"x": 1.5}), ("dog", {"x": 2.0})]
    np.testing.assert_array_equal(dataset.clip(1).frames[0], pixels(1))
    assert dataset.left_alone.line == "1 file left alone: 1 .heic (data.split=train, imagefolder files are read)"
    gc.collect()  # the library leaves metadata.csv open


@pytest.mark.parametrize(
    ("kind", "values", "labels"),
    [
        (Value("string"), ["cat", "", "  ", "nan"], ["cat", None, None, None]),
        (Value("float32"), [1.0, float("nan"), None, 0.5], ["1.0", None, None, None]),
        (ClassLabel(names=["cat", "dog"]), [1, -1, None, 0], ["dog", None, None, "cat"]),
        (Value("bool"), [True, False, None, None], ["True", "False", None, None]),
    ],
)
def test_labels_that_are_none(tmp_path, kind, values, labels):
    folder = write(tmp_path / "d", datasets.Image(), [struct(i) for i in range(4)], label=(kind, values))
    dataset = opened(folder)
    assert [sample.label for sample in dataset.samples] == labels
    assert dataset.left_alone.as_json() == ({"labels": {"number with a fraction": 1}} if 0.5 in values else {})


def test_labels_that_are_lists_are_refused_and_can_be_left_out(tmp_path):
    labels = (List(Value("string")), [["cat", "dog"]])
    folder = write(tmp_path / "d", datasets.Image(), [struct(0)], label=labels, who=(Value("string"), [None]))
    with pytest.raises(ForesightError) as caught:
        opened(folder)
    assert str(caught.value) == (
        "data.label=label: row 0 is of the type list: a label is text or a number. To go without labels, add "
        "data.label=null"
    )
    (sample,) = opened(folder, label=None, group="who").samples
    assert (sample.label, sample.group) == (None, "00000000")
