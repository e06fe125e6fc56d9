"""``foresight extract``: files that it writes, samples that it leaves out, and refusals."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from foresight_cli.config import ImageFolderConfig
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.extraction.run import extract
from foresight_cli.latents import load
from foresight_cli.latents.samples import read_samples
from foresight_cli.models import Tap
from foresight_cli.models.pixels import Pixels
from tests.builders import SHAPES, folder_of_pictures, only, pixels, qwen

# --- one pass, many entries


def test_every_layer_and_pooling_in_one_pass(tmp_path, qwen_checkpoint):
    layers, poolings = ("4", "8", "16", "24", "final"), ("channel_mean", "flat")
    from foresight_cli.models.qwen25vl import Qwen25VL

    data = dataclasses.replace(SHAPES, per_category=1)
    calls = []
    plain = Qwen25VL.features
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            Qwen25VL, "features", lambda self, batch, taps: calls.append(len(batch)) or plain(self, batch, taps)
        )
        entries = extract(qwen(tmp_path, qwen_checkpoint, data=data, layers=layers, poolings=poolings, batch_size=3))
    assert calls == [3, 3, 2]
    assert list(entries) == [Tap(layer, pooling) for layer in layers for pooling in poolings]
    for tap, entry in entries.items():
        assert entry.complete
        assert entry.path.parent == tmp_path / "qwen25vl" / f"layer-{tap.layer}" / tap.pooling
        assert load(entry).values.shape == (8, 32 if tap.pooling == "channel_mean" else 4 * 32)
    flat, mean = (load(entries[Tap("8", pooling)]).values for pooling in ("flat", "channel_mean"))
    torch.testing.assert_close(flat.view(8, 4, 32).mean(dim=1), mean, rtol=1e-6, atol=1e-6)
    alone = extract(qwen(tmp_path / "alone", qwen_checkpoint, data=data, layers=("8",), batch_size=1))
    torch.testing.assert_close(load(only(alone)).values, mean, rtol=1e-5, atol=1e-5)


def test_cached_shards_are_not_computed_again(tmp_path):
    mean = only(extract(pixels(tmp_path)))
    times = {path: path.stat().st_mtime_ns for path in mean.path.iterdir()}
    both = extract(pixels(tmp_path, poolings=("channel_mean", "flat")))
    assert both[Tap("final", "channel_mean")] == mean
    assert {path: path.stat().st_mtime_ns for path in mean.path.iterdir()} == times
    assert both[Tap("final", "flat")].complete


def test_a_corrected_label_is_written_and_the_latents_stay(tmp_path, monkeypatch):
    data = folder_of_pictures(tmp_path / "p", {"cat/a.png": (20, 20), "cat/b.png": (20, 20)})
    config = pixels(tmp_path / "cache", data=data)
    entry = only(extract(config))
    assert load(entry).labels == ["cat", "cat"]
    (tmp_path / "p/attributes.csv").write_text("id,label,age\ncat/b.png,dog,3\n")
    monkeypatch.setattr(Pixels, "load", lambda *_: pytest.fail("the model was loaded"))
    assert only(extract(config)) == entry
    assert load(entry).labels == ["cat", "dog"]
    assert load(entry).attributes["age"].tolist()[1] == 3


# --- pictures that cannot be decoded


def with_a_broken_one(root: Path) -> ImageFolderConfig:
    data = folder_of_pictures(root, {f"x/{name}.png": (20, 20) for name in "abcd"})
    (root / "x/b.png").write_bytes((root / "x/b.png").read_bytes()[:100])
    return data


def test_a_broken_picture_stops_the_run_and_is_named(tmp_path):
    config = pixels(tmp_path / "cache", data=with_a_broken_one(tmp_path / "p"))
    with pytest.raises(
        ForesightError, match=r"^cannot decode 'x/b\.png': .*\. To leave such files out, add data\.on_error=skip$"
    ):
        extract(config)


def test_a_broken_picture_is_left_out_and_listed(tmp_path, caplog):
    data = dataclasses.replace(with_a_broken_one(tmp_path / "p"), on_error="skip")
    config = pixels(tmp_path / "cache", data=data, rows_per_shard=2)
    with caplog.at_level("WARNING"):
        entry = only(extract(config))
    ((name, reason),) = entry.manifest()["skipped"]
    assert name == "x/b.png"
    assert caplog.messages == [
        f"warning: 1 sample left out, for instance 'x/b.png': {reason}. All: {entry.path}/manifest.json"
    ]
    assert load(entry).ids == ["x/a.png", "x/c.png", "x/d.png"]
    assert read_samples(entry.path).ids == ["x/a.png", "x/b.png", "x/c.png", "x/d.png"]
    with pytest.raises(ForesightError) as caught:  # a hit must not hide it from a run without on_error=skip
        extract(dataclasses.replace(config, data=dataclasses.replace(data, on_error="raise")))
    assert str(caught.value) == (
        f"1 sample cannot be used, for instance 'x/b.png': {reason}. To leave such samples out, add data.on_error=skip"
    )


def test_a_folder_of_broken_pictures(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p/a.png").write_bytes(b"no picture")
    data = ImageFolderConfig(name="imagefolder", path=str(tmp_path / "p"), on_error="skip")
    with pytest.raises(ForesightError) as caught:
        extract(pixels(tmp_path / "cache", data=data))
    kinds = "AVIF, BMP, GIF, HEIF, JPEG, JPEG2000, PNG, PPM, TIFF, WEBP"
    assert str(caught.value) == (
        "no sample is left: 1 sample cannot be used, for instance 'a.png': "
        f"not an image, or of a kind that is not read (formats: {kinds})"
    )


# --- refusals


def test_layer_that_the_checkpoint_has_not_leaves_no_folder(tmp_path, qwen_checkpoint):
    with pytest.raises(UsageError) as caught:
        extract(qwen(tmp_path, qwen_checkpoint, layers=("4", "28")))
    assert str(caught.value) == f"{qwen_checkpoint} has no layer 28. It has 0 (the embeddings) to 27, and final"
    assert not list(tmp_path.iterdir())


def test_device_that_is_not_there(tmp_path):
    with pytest.raises(ForesightError, match=r"^device=banana cannot be used: [^\n]*$"):
        extract(pixels(tmp_path, device="banana"))


def test_checkpoint_folder_that_is_not_there(shell, tmp_path):
    result = shell("extract", "model.checkpoint=./nope")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "foresight extract: no folder nope. model.checkpoint= wants a folder written by save_pretrained or a hub id; "
        "or leave it out and add weights=tiny\n"
    )


@pytest.mark.parametrize(
    ("model", "checkpoint"), [("qwen25vl", "Qwen/Qwen2.5-VL-7B-Instruct"), ("ltxv", "Lightricks/LTX-Video")]
)
def test_no_network_is_one_line(shell, tmp_path, model, checkpoint):
    away = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "0"}
    result = shell("extract", f"model={model}", **away)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"foresight extract: cannot get {checkpoint} from the Hugging Face hub ([Errno 111] Connection refused). Give "
        "a local copy with model.checkpoint=DIR, or use the small checkpoints that ship for qwen25vl and ltxv: "
        "weights=tiny\n"
    )
    assert not (tmp_path / "outputs/cache").exists()
