"""A picture that the network does not take is left out like one that cannot be decoded; a bridge works without it."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from foresight_cli.config import VisionConfig
from foresight_cli.data import Sample
from foresight_cli.data.imagefolder import ImageFolder
from foresight_cli.data.picture_formats import SUFFIXES, formats, not_read
from foresight_cli.errors import ForesightError, UnfitSample
from foresight_cli.experiments.every_row import _slices
from foresight_cli.extraction.left_out import _curable
from foresight_cli.extraction.run import extract
from foresight_cli.latents import Entry, Recipe, Shard, load
from foresight_cli.latents.reading.slices import matched_slices
from foresight_cli.latents.samples import write_samples
from foresight_cli.latents.storage.lock import locked
from foresight_cli.latents.upkeep.check import faults
from foresight_cli.results import load_results
from tests.builders import folder_of_pictures, only, pixels, qwen
from tests.models.vision_networks import NETWORKS

RATIO = "2400 x 8 pixels: absolute aspect ratio must be smaller than 200, got 300.0"


@pytest.fixture
def pictures(tmp_path):
    """Squares, and one strip that Qwen's image processor does not take."""
    return folder_of_pictures(tmp_path / "p", {"k/0.png": (84, 84), "k/1.png": (2400, 8), "k/2.png": (56, 84)})


def test_it_stops_the_run_or_is_left_out(tmp_path, qwen_checkpoint, pictures):
    settings = {"resolution": None, "rows_per_shard": 2, "data": pictures}
    with pytest.raises(UnfitSample) as caught:
        extract(qwen(tmp_path / "c", qwen_checkpoint, **settings))
    assert str(caught.value) == (
        f"cannot prepare 'k/1.png': {RATIO}. To resize every picture to a square, add model.resolution=252. "
        "To leave such pictures out, add data.on_error=skip"
    )
    settings["data"] = dataclasses.replace(pictures, on_error="skip")
    entry = only(extract(qwen(tmp_path / "c", qwen_checkpoint, **settings)))
    assert entry.manifest()["skipped"] == [["k/1.png", RATIO]]
    assert load(entry).ids == ["k/0.png", "k/2.png"]


def test_the_error_comes_back_from_another_process():
    error = pickle.loads(pickle.dumps(UnfitSample("a", "too thin", "Add x=1")))
    assert str(error) == "cannot prepare 'a': too thin. Add x=1. To leave such pictures out, add data.on_error=skip"
    assert error.alone == "cannot prepare 'a': too thin. Add x=1"
    assert UnfitSample("a", "too thin").alone == "cannot prepare 'a': too thin"


def test_what_the_network_refuses_in_the_forward_pass_is_left_out(tmp_path):
    """Without a crop, wide pictures stay wide after the processor, and CLIP takes only squares."""
    processing = {"do_center_crop": False, "size": {"shortest_edge": 32}}
    folder = dataclasses.replace(NETWORKS["clip"], processing=processing).write(tmp_path / "clip")
    model = VisionConfig("vision", str(folder), None, "float32", "pretrained", 0, None, "patch")
    squares = {f"{i}.png": (32, 32) for i in range(5)}
    data = folder_of_pictures(tmp_path / "p", {**squares, "1b.png": (64, 32), "1a.png": (64, 32), "4a.png": (32, 99)})
    base = pixels(tmp_path / "c", model=model, layers=("1",), rows_per_shard=16)
    with pytest.raises(UnfitSample, match=r"^cannot prepare '1a.png': its image processor makes it 3 x 32"):
        extract(dataclasses.replace(base, data=data))
    entry = only(extract(dataclasses.replace(base, data=dataclasses.replace(data, on_error="skip"))))
    assert [name for name, _ in entry.manifest()["skipped"]] == ["1a.png", "1b.png", "4a.png"]
    alone = only(extract(dataclasses.replace(base, data=folder_of_pictures(tmp_path / "q", squares))))
    assert load(entry).ids == load(alone).ids == list(squares)
    torch.testing.assert_close(load(entry).values, load(alone).values)
    assert torch.equal(load(entry).pixels, load(alone).pixels)


def test_data_that_cannot_be_left_out_gives_no_such_advice(tmp_path):
    processing = {"do_center_crop": False, "size": {"height": 16, "width": 16}}
    folder = dataclasses.replace(NETWORKS["clip"], processing=processing).write(tmp_path / "clip")
    model = VisionConfig("vision", str(folder), None, "float32", "pretrained", 0, None, "patch")
    with pytest.raises(ForesightError) as caught:
        extract(pixels(tmp_path / "c", model=model, layers=("1",)))
    assert "on_error" not in str(caught.value)


# --- a limit that is raised after a run


def test_a_picture_left_out_is_read_once_the_limit_lets_it_in(run, tmp_path):
    folder_of_pictures(tmp_path / "p", {f"{i}.png": (8, 8 + 4 * (i == 3)) for i in range(6)})
    words = ("extract", "model=pixels", "data=imagefolder", "data.path=p", "data.on_error=skip", "rows_per_shard=2")
    done = run(*words, "data.max_pixels=80")
    assert done.exit_code == 0
    reason = "8 x 12 pixels are more than data.max_pixels=80. To read it, add data.max_pixels=96"
    assert f"warning: 1 sample left out, for instance '3.png': {reason}. All: " in done.output
    (folder,) = tmp_path.glob("outputs/cache/pixels/*/*/*")
    entry = Entry.open(folder)
    before = {path.name for path in entry.shard_files().values()}
    assert "left out can be read now" not in run(*words, "data.max_pixels=80").output
    done = run(*words, "data.max_pixels=96")
    assert done.exit_code == 0
    assert "samples that were left out can be read now (1): computing their shards again\n" in done.output
    assert load(entry).ids == [f"{i}.png" for i in range(6)]
    after = {path.name for path in entry.shard_files().values()}
    assert len(before & after) == 2
    run(*words[:-1], "rows_per_shard=2", "data.max_pixels=96", "cache_dir=fresh")
    (fresh,) = tmp_path.glob("fresh/pixels/*/*/*")
    assert fresh.name == folder.name
    assert {path.name for path in Entry.open(fresh).shard_files().values()} == after


@pytest.mark.parametrize(
    ("reason", "curable"),
    [
        ("8 x 12 pixels are more than data.max_pixels=80. To read it, add data.max_pixels=96", True),
        ("HEIF is not read on this machine yet: pip install 'foresight-latents[heif]'", True),
        ("not an image, or of a kind that is not read (formats: JPEG, PNG)", True),  # more are read by now
        (not_read(), False),
        ("the file is truncated", False),
    ],
)
def test_what_is_tried_again(reason, curable):
    assert _curable(reason) == curable


def test_a_file_that_no_reader_takes_is_tried_once_for_each_further_format(tmp_path, monkeypatch):
    data = dataclasses.replace(
        folder_of_pictures(tmp_path / "p", {f"{i}.png": (8, 8) for i in range(5)}), on_error="skip"
    )
    for name in ("1.png", "4.png"):
        (tmp_path / "p" / name).write_bytes(b"no picture at all")
    config = pixels(tmp_path / "c", data=data, rows_per_shard=2)
    with monkeypatch.context() as former:
        former.setattr(
            "foresight_cli.data.decode.not_read",
            lambda: "not an image, or of a kind that is not read (formats: JPEG, PNG)",
        )
        entry = only(extract(config))
    before, read = entry.shard_files(), list[int]()
    clip = ImageFolder.clip
    monkeypatch.setattr(ImageFolder, "clip", lambda self, index: read.append(index) or clip(self, index))
    extract(config)
    assert read == [1, 4]
    state = (entry.path / "manifest.json").stat().st_mtime_ns
    extract(config)
    assert read == [1, 4]
    assert (entry.path / "manifest.json").stat().st_mtime_ns == state
    assert entry.shard_files() == before
    assert entry.manifest()["provenance"]["formats_tried"] == sorted({*formats()} - {"JPEG", "PNG"})
    assert faults(entry) == []


def test_no_reader_is_looked_for_where_none_can_have_come(monkeypatch):
    asked = []
    monkeypatch.setattr("foresight_cli.extraction.left_out.missing_reader", asked.append)
    every = f"of a kind that is not read (formats: {', '.join(sorted(SUFFIXES))})"
    assert not _curable(every)
    assert not _curable(every.replace("AVIF, ", ""), frozenset({"AVIF"}))
    assert not _curable("the file is truncated")
    assert asked == []


def test_two_runs_at_once_read_what_was_left_out_once(tmp_path, monkeypatch, caplog):
    data = folder_of_pictures(tmp_path / "p", {f"{i}.png": (8, 8 + 4 * (i == 3)) for i in range(6)})
    low, high = (dataclasses.replace(data, on_error="skip", max_pixels=most) for most in (80, 96))
    entry = only(extract(pixels(tmp_path / "c", data=low, rows_per_shard=2)))
    states = []

    def written():
        return {path: path.stat().st_mtime_ns for path in entry.shard_files().values()}

    def lock(*args):
        if not states:  # the first is overtaken by another one while it waits
            states.append(None)
            extract(pixels(tmp_path / "c", data=high, rows_per_shard=2))
            states.append(written())
        return locked(*args)

    monkeypatch.setattr("foresight_cli.extraction.run.locked", lock)
    caplog.set_level("INFO")
    extract(pixels(tmp_path / "c", data=high, rows_per_shard=2))
    assert caplog.messages.count("samples that were left out can be read now (1): computing their shards again") == 1
    assert written() == states[1]
    assert load(entry).ids == [f"{i}.png" for i in range(6)]


# --- two sides that lack different samples


@pytest.fixture(scope="module")
def bridge(tmp_path_factory, qwen_checkpoint):
    """Both sides of a bridge over 44 pictures; the source leaves out the strip, the target takes it."""
    root = tmp_path_factory.mktemp("bridge")
    sizes = {f"{'ab'[i % 2]}/{i:02}.png": (56, 56) for i in range(44)}
    data = folder_of_pictures(root / "p", {**sizes, "b/07.png": (2400, 8)})
    skip = dataclasses.replace(data, on_error="skip")
    extract(qwen(root / "c", qwen_checkpoint, resolution=None, prompt="Describe this.", data=skip))
    extract(pixels(root / "c", data=data))
    model = (f"checkpoint={qwen_checkpoint}", "dtype=float32", "resolution=null", "prompt='Describe this.'")
    return [
        *("source=qwen25vl", "source.layer.index=4", *(f"source.model.{word}" for word in model)),
        *("target=pixels", "target.model.resolution=4", "pooling=channel_mean", f"cache_dir={root / 'c'}"),
    ]


SAID = "samples left out: 1 of qwen25vl and 0 of pixels; both sides leave these 1 out\n"


@pytest.mark.parametrize("in_memory", [True, False])
def test_analyze_works_without_samples_that_one_side_lacks(run, tmp_path, monkeypatch, bridge, in_memory):
    monkeypatch.setattr("foresight_cli.inputs.opening.IN_MEMORY_GB", 1 if in_memory else 0)
    done = run("analyze", *bridge, "permutations=19", "controls=[mean_rgb]", "experiment=quick")
    assert done.exit_code == 0, done.output
    assert SAID in done.output
    results = load_results(next(tmp_path.glob("outputs/analyze/*/*/results.yaml")))
    assert results.duplicates.rows == 43
    assert results.duplicates.skipped == [["b/07.png", RATIO]]
    assert "1 samples could not be used and were left out" in results.warnings
    assert {control.name for control in results.controls} >= {"mean_rgb"}


@pytest.mark.parametrize(
    "words", [["memory_gb=4", "adapter=linear"], ["memory_gb=5e-6", "adapter=mlp", "adapter.epochs=2"]]
)
def test_adapt_works_without_samples_that_one_side_lacks(run, bridge, words):
    done = run("adapt", *bridge, "seeds=1", *words)
    assert done.exit_code == 0, done.output
    assert SAID in done.output


def test_shards_of_any_size_are_matched_without_what_either_side_left_out(tmp_path):
    """The rows are (1, i) and (2, i) for sample i."""
    lacking = {"source": {3, 4, 8}, "target": {0, 4, 9}}
    made = []
    for number, (side, size) in enumerate((("source", 3), ("target", 4)), start=1):
        recipe = Recipe({"name": side}, "final", "flat", {"name": "x"}, rows=10, rows_per_shard=size)
        entry = Entry.create(tmp_path, recipe)
        for shard in range(recipe.shards):
            rows = recipe.slice(shard)
            have = [i for i in rows if i not in lacking[side]]
            latents = torch.tensor([[number, i] for i in have], dtype=torch.float32).reshape(-1, 2)
            skipped = [(f"s{i}", "unfit") for i in rows if i in lacking[side]]
            pixels_ = torch.zeros(len(have), 32, dtype=torch.uint8)
            entry.put(shard, Shard([f"s{i}" for i in have], latents, pixels_, skipped))
        made.append(entry)
    got = list(matched_slices(*made, range(made[0].recipe.shards)))
    both = np.concatenate([torch.cat([x, y], dim=1).numpy() for _, x, y in got])
    np.testing.assert_array_equal(both, [[1, i, 2, i] for i in (1, 2, 5, 6, 7)])
    samples = [Sample(f"s{i}", None, f"s{i}") for i in range(10)]
    for entry in made:
        write_samples(entry.path, samples)
        entry.seal({"data": {}, "versions": {}})
    folds = _slices(*made, {f"s{i}": f"s{i}" for i in (1, 2, 5, 6)}, seed=0).fold  # for example, s7 repeats a picture
    assert [len(folds[number]) for number, *_ in got] == [len(x) for _, x, _ in got]
    assert [fold >= 0 for fold in np.concatenate(folds)] == [True, True, True, True, False]
