"""Latents from a user's file, up to a verdict: alone, and with a model that runs on the same pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foresight_cli.catalog.find import find
from foresight_cli.config import PrecomputedConfig, SpaceConfig
from foresight_cli.latents import load
from foresight_cli.models.precomputed import Precomputed
from foresight_cli.results import load_arrays, load_results
from tests.commands import typed

N = 160
IDS = [f"clip-{i:03d}" for i in range(N)]
LABELS = [("cat", "dog", "owl")[i % 3] for i in range(N)]
FACTORS = np.random.default_rng(0).normal(size=(N, 6))
A = FACTORS.astype(np.float32)
B = (FACTORS @ np.random.default_rng(1).normal(size=(6, 9)) + 3).astype(np.float32)
PAIR = ("source=precomputed", "source.model.path=a.npz", "target=precomputed", "target.model.path=b.npz")


def says(run, *args, code=1):
    result = run(*args)
    assert result.exit_code == code, result.output
    return result.output.splitlines()[-1]


def extract(run, path, *more):
    return typed(run, "extract", "model=precomputed", f"model.path={path}", *more).output


def save(path, values, ids=IDS, **columns):
    np.savez(path, ids=ids, values=values, **columns)


def entries(tmp_path, pooling="channel_mean"):
    return sorted((tmp_path / "outputs/cache/precomputed/layer-final" / pooling).iterdir())


def analysed(tmp_path):
    (results,) = tmp_path.glob("outputs/analyze/*/*/results.yaml")
    return load_results(results), load_arrays(results.with_name("figures.safetensors"))


# --- files alone


def test_two_files_that_are_one_linear_map_apart(run, tmp_path):
    for name, values in (("a.npz", A), ("b.npz", B)):
        save(name, values, labels=LABELS, x=FACTORS[:, 0])
        extract(run, name, "pooling=flat")
    output = typed(run, "analyze", *PAIR, "permutations=19").output
    assert "warning: data=precomputed has no pictures: controls are not measured" in output.splitlines()
    results, arrays = analysed(tmp_path)
    (pair,) = results.pairs
    assert pair.r2.value == pytest.approx(1, abs=1e-6)
    assert results.rows == results.duplicates.groups == N
    assert results.labels == {"cat": 54, "dog": 53, "owl": 53}
    assert {a.name: round(a.through_bridge, 4) for a in results.chosen.attributes} == {"x": 1}
    assert [control.name for control in results.controls] == ["label"]
    assert results.verdict.answer == "INCONCLUSIVE"
    assert results.verdict.reasons == [
        "beyond controls: the controls histogram, mean_rgb, pixels, random_network were not measured"
    ]
    assert "thumbnails" not in arrays


def test_a_file_is_like_itself(run, tmp_path):
    save("a.npz", A, labels=LABELS)
    np.save("b.npy", A)
    Path("b.csv").write_text("\n".join(["id,label", *(f"{i},{label}" for i, label in zip(IDS, LABELS, strict=True))]))
    first = extract(run, "a.npz")
    again = extract(run, "b.npy")
    assert (
        "precomputed: 1 of 1 layers x poolings already in the cache" in again.splitlines()
    )  # the same latents in another format
    assert first.splitlines()[-2] == again.splitlines()[-2]  # the same entry
    typed(run, "analyze", *PAIR[:3], "target.model.path=b.npy", "permutations=19")
    (pair,) = analysed(tmp_path)[0].pairs
    assert (pair.r2.value, pair.cka.value, pair.neighborhood[0].recall.value) == pytest.approx((1, 1, 1), abs=1e-6)


def test_what_is_cached_is_what_the_file_holds(run, tmp_path):
    values = np.random.default_rng(0).normal(size=(N, 3, 4))
    groups = [i // 4 for i in range(N)]
    save("a.npz", values, labels=LABELS, groups=groups, x=np.where(np.arange(N) == 1, np.nan, 2.5))
    extract(run, "a.npz", "pooling=all", "rows_per_shard=37")
    flat, mean = (load(entries(tmp_path, pooling)[0]) for pooling in ("flat", "channel_mean"))
    assert flat.values.numpy().tobytes() == values.tobytes()
    assert mean.values.numpy() == pytest.approx(values.mean(axis=1), abs=1e-6)
    assert (flat.ids, flat.labels, flat.groups) == (IDS, LABELS, [str(g) for g in groups])
    assert flat.attributes["x"].isnan().nonzero().flatten().tolist() == [1]


def test_a_corrected_label_costs_no_reading_and_a_changed_value_does(run, tmp_path, monkeypatch):
    save("a.npz", A, labels=LABELS)
    extract(run, "a.npz")
    (entry,) = entries(tmp_path)
    save("a.npz", A, labels=["bat", *LABELS[1:]])
    with monkeypatch.context() as patched:
        patched.setattr(Precomputed, "load", lambda *_: pytest.fail("the values were loaded"))
        extract(run, "a.npz")
    assert load(entry).labels[:2] == ["bat", "dog"]
    save("a.npz", A + 1)
    extract(run, "a.npz")
    assert len(entries(tmp_path)) == 2


def test_a_hit_imports_no_torch(run, tmp_path):
    save("a.npz", A)
    extract(run, "a.npz")
    code = (
        "import sys\n"
        "from foresight_cli.cli import app\n"
        "try:\n"
        "    app(prog_name='foresight')\n"
        "except SystemExit as end:\n"
        "    print(end.code, sorted({'torch', 'pyarrow', 'PIL', 'transformers'} & set(sys.modules)))\n"
    )
    words = ("extract", "model=precomputed", "model.path=a.npz")
    result = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[0] == "precomputed: 1 of 1 layers x poolings already in the cache"
    assert result.stdout.splitlines()[-1] == "0 []"


@pytest.mark.slow
def test_several_workers_give_the_same_bytes(run, tmp_path):
    save("a.npz", A)
    for workers in (1, 2):
        extract(run, "a.npz", f"runner.workers={workers}", f"cache_dir=cache{workers}", "rows_per_shard=50")
    first, second = (
        {path.name: path.read_bytes() for path in tmp_path.glob(f"cache{workers}/*/*/*/*/shard-*")}
        for workers in (1, 2)
    )
    assert len(first) == 4
    assert first == second


# --- with a model


@pytest.fixture
def photos(tmp_path):
    """30 noisy pictures of one colour each, and the mean colours in another order, with one more row."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    means = {}
    for i in range(30):
        picture = np.clip(rng.integers(20, 236, 3) + rng.integers(-20, 20, (16, 16, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / f"photos/{i:02d}.png")
        means[f"{i:02d}.png"] = picture.mean(axis=(0, 1)) / 255
    ids = [*sorted(means, reverse=True), "other.png"]
    np.savez(tmp_path / "mine.npz", ids=ids, values=[means.get(i, np.ones(3)) for i in ids])
    return means


def test_rows_are_joined_to_pictures_by_id(run, tmp_path, photos):
    data = ("data=imagefolder", "data.path=photos")
    output = extract(run, "mine.npz", *data)
    assert output.splitlines()[0] == "1 of the 31 rows of mine.npz match no sample of the data and were skipped"
    typed(run, "extract", "model=pixels", *data)
    (entry,) = entries(tmp_path)
    latents = load(entry)
    assert latents.ids == sorted(photos)
    assert latents.values.numpy() == pytest.approx(np.array([photos[i] for i in latents.ids]), abs=1e-6)
    output = typed(
        run, "analyze", "source=precomputed", "source.model.path=mine.npz", "target=pixels", "permutations=19"
    ).output
    assert "no pictures" not in output
    results, arrays = analysed(tmp_path)
    assert results.pairs[0].r2.value == pytest.approx(1, abs=1e-4)
    controls = ["pixels", "histogram", "mean_rgb", "random_network", "all_controls"]
    assert [control.name for control in results.controls] == controls
    assert "thumbnails" in arrays


def test_a_picture_that_the_file_lacks(run, tmp_path, photos):
    (tmp_path / "photos/00.png").rename(tmp_path / "photos/new.png")
    message = says(run, "extract", "model=precomputed", "model.path=mine.npz", "data=imagefolder", "data.path=photos")
    assert message == (
        "foresight extract: mine.npz: no row for 1 of 30 samples, such as 'new.png'; its ids are like '29.png'. "
        "Rows are matched to the data by id: each sample must have one. To leave out those without, add "
        "data.on_error=skip"
    )


# --- refusals


@pytest.mark.parametrize("path", [(), ("data.path=a.npz",)])
@pytest.mark.parametrize("model", ["pixels", "histogram", "ltxv", "qwen25vl"])
def test_models_that_need_pictures(run, model, path):
    save("a.npz", A)
    assert says(run, "extract", f"model={model}", "data=precomputed", *path, code=2) == (
        f"foresight extract: model={model} needs pictures; data=precomputed has none. Name the pictures that the "
        "latents were made from, for example data=imagefolder data.path=DIR"
    )


def test_a_file_that_is_not_named(run):
    assert says(run, "extract", "model=precomputed", code=2) == (
        "foresight extract: model.path is needed: add model.path=..."
    )
    save("a.npz", A)
    save("b.npz", B)
    assert says(run, "analyze", *PAIR, "data=precomputed", code=2) == (
        "foresight analyze: data.path is needed: add data.path=X.npz, a file of latents"
    )


def test_a_file_that_is_not_in_the_cache(run):
    save("a.npz", A)
    Path("my latents").mkdir()
    save("my latents/b.npz", B)
    extract(run, "a.npz")
    assert says(run, "analyze", *PAIR[:3], "target.model.path='my latents/b.npz'") == (
        "foresight analyze: target=precomputed layer=all pooling=all: no such latents in the cache. Type: foresight "
        "extract model=precomputed 'model.path=my latents/b.npz' layer=all pooling=all data=precomputed data.path=a.npz"
    )


def test_files_whose_ids_are_in_another_order(run, tmp_path):
    save("a.npz", A, labels=LABELS)
    save("b.npz", B[::-1], ids=IDS[::-1])
    extract(run, "a.npz")
    extract(run, "b.npz")
    assert says(run, "analyze", *PAIR) == (
        "foresight analyze: source=precomputed is cached on data=precomputed data.path=a.npz, target=precomputed on "
        "data=precomputed data.path=b.npz. Type: foresight extract model=precomputed model.path=b.npz layer=all "
        "pooling=all data=precomputed data.path=a.npz"
    )
    before = entries(tmp_path)
    extract(run, "b.npz", "data=precomputed", "data.path=a.npz")
    (joined,) = set(entries(tmp_path)) - set(before)
    assert (load(joined).ids, load(joined).labels) == (IDS, LABELS)
    assert load(joined).values.numpy().tobytes() == B.tobytes()


def test_files_that_differ_in_what_they_know_of_the_samples(run, tmp_path):
    save("a.npz", A, labels=LABELS)
    save("b.npz", B)
    extract(run, "a.npz")
    extract(run, "b.npz")
    assert says(run, "analyze", *PAIR) == (
        f"foresight analyze: {tmp_path}/a.npz and {tmp_path}/b.npz hold different labels, groups or attributes for the "
        "same ids. Extract both with those of one file. Type: foresight extract model=precomputed model.path=b.npz "
        "layer=final pooling=channel_mean data=precomputed data.path=a.npz"
    )
    extract(run, "b.npz", "data=precomputed", "data.path=a.npz")
    spaces = (SpaceConfig(PrecomputedConfig("precomputed", name), None, None) for name in ("a.npz", "b.npz"))
    matches = find("outputs/cache", *spaces, None)
    assert load(matches.target[0]).labels == load(matches.source[0]).labels == LABELS


def test_the_dry_run_knows_the_size(run):
    save("a.npz", A.astype(np.float16))
    output = typed(run, "extract", "model=precomputed", "model.path=a.npz", "pooling=flat", "dry_run=true").output
    Path("b.csv").write_text("id\nabsent\n")
    np.save("b.npy", A[:1])
    assert says(run, "extract", "model=precomputed", "model.path=a.npz", "data.path=b.npy", "dry_run=true").startswith(
        "foresight extract: a.npz: no row for 1 of 1 samples, such as 'absent'"
    )
    assert "160 rows, 1.9 kB of latents, 0 of 1 shards in the cache" in output


def test_the_settings_are_in_the_provenance(run, tmp_path):
    save("a.npz", A)
    extract(run, "a.npz")
    provenance = json.loads((entries(tmp_path)[0] / "manifest.json").read_bytes())["provenance"]
    assert provenance["data"] == {"name": "precomputed", "path": str(tmp_path / "a.npz")} | {
        "id": None,
        "values": None,
        "on_error": "raise",
    }
