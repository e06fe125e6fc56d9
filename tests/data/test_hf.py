import io

import numpy as np
import pytest
from PIL import Image

from foresight_cli.config import HFConfig
from foresight_cli.errors import ForesightError

datasets = pytest.importorskip("datasets")

from foresight_cli.data.hf import HFDataset  # noqa: E402


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # a failed request takes half a minute
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf")


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def made(n=4, **columns):
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    rows = {"image": [picture(i) for i in range(n)], "label": [i % 2 for i in range(n)]}
    for name, (kind, values) in columns.items():
        features[name], rows[name] = kind, values
    return datasets.Dataset.from_dict(rows, features=datasets.Features(features))


NUMBER, TEXT = datasets.Value("float32"), datasets.Value("string")


def opened(path, **changes):
    return HFDataset(HFConfig(name="hf", path=str(path), on_error="raise", **changes))


def test_samples_of_a_saved_dataset(tmp_path):
    made(x=(NUMBER, [0.5, None, 2, 3]), who=(TEXT, list("aabb")), name=(TEXT, list("wxyz"))).save_to_disk(
        tmp_path / "d"
    )
    dataset = opened(tmp_path / "d", attributes=["x"], group="who", id="name")
    assert [(s.id, s.label, s.group, s.attributes) for s in dataset.samples] == [
        ("w", "cat", "a", {"x": 0.5}),
        ("x", "dog", "a", {}),
        ("y", "cat", "b", {"x": 2.0}),
        ("z", "dog", "b", {"x": 3.0}),
    ]
    bare = opened(tmp_path / "d", label=None)
    first, second = bare.samples[:2]
    assert (first.id, first.label, first.group) == ("00000000", None, "00000000")
    assert second.id == "00000001"
    np.testing.assert_array_equal(dataset.clip(2).frames[0], Image.open(io.BytesIO(picture(2)["bytes"])))


def test_identity_is_of_ids_and_pictures_however_they_are_stored(tmp_path):
    made().save_to_disk(tmp_path / "saved")
    (tmp_path / "parquet").mkdir()
    made(extra=(NUMBER, [1, 2, 3, 4])).to_parquet(tmp_path / "parquet" / "train.parquet")
    datasets.DatasetDict(train=made()).save_to_disk(tmp_path / "several")
    identities = [opened(tmp_path / name).identity() for name in ("saved", "parquet", "several")]
    assert identities[0] == identities[1] == identities[2]
    assert identities[0]["count"] == 4
    parts = [opened(tmp_path / "parquet", split=f"train[{part}]").identity() for part in (":2", "2:")]
    assert parts[0]["count"] == parts[1]["count"] == 2
    assert parts[0] != parts[1]


def test_pictures_in_files(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / "d" / label).mkdir(parents=True)
        (tmp_path / "d" / label / "1.png").write_bytes(picture(len(label))["bytes"])
    dataset = opened(tmp_path / "d")
    assert [s.label for s in dataset.samples] == ["cat", "dog"]
    np.testing.assert_array_equal(dataset.clip(0).frames[0], Image.open(tmp_path / "d/cat/1.png"))


def test_a_row_without_a_picture_is_skipped_when_asked(run, tmp_path):
    rows = {"image": [picture(0), None, {"bytes": b"broken", "path": None}, picture(3)]}
    features = datasets.Features({"image": datasets.Image()})
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "d")
    done = run("extract", "model=pixels", "data=hf", "data.path=d")
    assert done.exit_code == 1
    assert "cannot decode" in done.output or "cannot be decoded" in done.output
    done = run("extract", "model=pixels", "data=hf", "data.path=d", "data.on_error=skip")
    assert done.exit_code == 0, done.output
    assert "2 rows (2 left out)" in done.output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": "label"}, "data.image=label: the columns of pictures are image"),
        ({"label": "kind"}, "data.label: no column 'kind'; there are image, label, name"),
        ({"id": "key"}, "data.id: no column 'key'"),
        ({"id": "name"}, "data.id=name: duplicate id 'w' in rows 0 and 3"),
        ({"attributes": ["name"]}, "data.attributes: the column 'name' holds 'w', which is no number"),
        ({"group": "who"}, "data.group: no column 'who'"),
    ],
)
def test_columns_that_cannot_be_used_are_named(tmp_path, changes, message):
    made(name=(TEXT, list("wxyw"))).save_to_disk(tmp_path / "d")
    with pytest.raises(ForesightError) as caught:
        opened(tmp_path / "d", **changes)
    assert str(caught.value).startswith(message)


def test_what_is_missing_is_named_in_one_line(tmp_path):
    datasets.DatasetDict(train=made(), test=made()).save_to_disk(tmp_path / "d")
    with pytest.raises(ForesightError, match=r"data.split=val: .* has train, test"):
        opened(tmp_path / "d", split="val")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", "no-one/nothing"):
        with pytest.raises(ForesightError) as caught:
            opened(path)
        assert str(caught.value).startswith(f"data.path={path}: ")
        assert "\n" not in str(caught.value)
    two = made(other=(datasets.Image(), [picture(i) for i in range(4)]))
    two.save_to_disk(tmp_path / "two")
    with pytest.raises(ForesightError, match=r"the pictures are in image, other: say which column with data.image="):
        opened(tmp_path / "two")
    assert len(opened(tmp_path / "two", image="other").samples) == 4


def test_without_the_package_the_extra_is_named(run, monkeypatch):
    monkeypatch.setattr("foresight_cli.data.hf.find_spec", lambda name: None)
    done = run("extract", "model=pixels", "data=hf", "data.path=d")
    assert done.exit_code == 1
    message = "foresight extract: data=hf needs the package datasets: pip install 'foresight-latents[hf]'\n"
    assert done.output == message


def test_analyze_opens_the_pictures_again(run, tmp_path):
    shapes = [f"shape-{i}" for i in range(60)]
    made(60, name=(TEXT, shapes)).save_to_disk(tmp_path / "d")
    for model in ("pixels", "histogram"):
        assert run("extract", f"model={model}", "data=hf", "data.path=d", "data.id=name").exit_code == 0
    done = run("analyze", "source=pixels", "target=histogram", "permutations=19", "controls=[mean_rgb]")
    assert done.exit_code == 0, done.output
    assert "controls are not measured" not in done.output
