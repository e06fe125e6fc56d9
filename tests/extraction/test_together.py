"""Pictures are decoded once for all controls, and each control's cache is the same as when extracted alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import torch

from foresight_cli.config.controls import CONTROL_MODELS
from foresight_cli.data import UndecodableImage
from foresight_cli.data.shapes import Shapes
from foresight_cli.inputs import controls as control_spaces
from foresight_cli.inputs.controls import control_latents
from tests.builders import SHAPES


class Counted(Shapes):
    """A dataset of drawings that counts how often each is drawn."""

    def __init__(self):
        super().__init__("default", SHAPES.per_category, SHAPES.seed, SHAPES.size)
        self.decoded = Counter()

    def clip(self, index):
        self.decoded[index] += 1
        return super().clip(index)


def small_shards(monkeypatch):
    """Use shards of 5 of the 16 pictures, so that there is something to resume."""
    plain = control_spaces._config_of
    monkeypatch.setattr(control_spaces, "_config_of", lambda *args: replace(plain(*args), rows_per_shard=5))


def files_in(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_picture_is_decoded_once_for_all_controls(tmp_path, monkeypatch):
    """Keys and bytes are the same as those of four separate extractions."""
    small_shards(monkeypatch)
    together = Counted()
    got = control_latents(list(CONTROL_MODELS), SHAPES, str(tmp_path / "together"), together)
    assert together.decoded == dict.fromkeys(range(16), 1)
    apart = Counted()
    for name in CONTROL_MODELS:
        control_latents([name], SHAPES, str(tmp_path / "apart"), apart)
    assert apart.decoded == dict.fromkeys(range(16), 4)
    files = files_in(tmp_path / "together")
    assert files == files_in(tmp_path / "apart")
    assert sum(path.endswith(".safetensors") for path in files) == 4 * 4
    again = control_latents(list(CONTROL_MODELS), SHAPES, str(tmp_path / "together"), together)
    assert set(together.decoded.values()) == {1}
    for name, held in got.items():
        assert torch.equal(held.values, again[name].values)


def test_cached_shards_of_one_control_are_not_made_again(tmp_path, monkeypatch):
    small_shards(monkeypatch)
    control_latents(["histogram"], SHAPES, str(tmp_path))
    control_latents(["pixels", "random_network"], SHAPES, str(tmp_path))
    before = files_in(tmp_path)
    (folder,) = tmp_path.glob("random_network/*/*/*")
    lost = sorted(folder.glob("*.safetensors"))[1:3]
    for path in lost:
        path.unlink()
    dataset = Counted()
    control_latents(list(CONTROL_MODELS), SHAPES, str(tmp_path), dataset)  # mean_rgb lacks all, the network 2 shards
    assert set(dataset.decoded.values()) == {1}
    assert {path: data for path, data in files_in(tmp_path).items() if path in before} == before


def test_a_broken_picture_stops_no_other_and_loses_nothing(tmp_path, caplog, monkeypatch):
    """The error comes late: the shards committed before it stay, and the same command resumes from them."""
    small_shards(monkeypatch)

    class Broken(Counted):
        broken = True

        def clip(self, index):
            if index == 12 and self.broken:
                raise UndecodableImage(self.samples[index].id, "it is broken")
            return super().clip(index)

    dataset = Broken()
    assert control_latents(["pixels", "mean_rgb"], SHAPES, str(tmp_path), dataset) == {}
    assert len(list(tmp_path.rglob("*.safetensors"))) == 4  # two of four shards of both
    reason = f"cannot decode {dataset.samples[12].id!r}: it is broken. To leave such files out, add data.on_error=skip"
    assert caplog.messages[-2:] == [
        f"warning: the control {name} is not measured: {reason}" for name in ("pixels", "mean_rgb")
    ]
    dataset.broken = False
    dataset.decoded.clear()
    got = control_latents(["pixels", "mean_rgb"], SHAPES, str(tmp_path), dataset)
    assert dataset.decoded == dict.fromkeys(range(10, 16), 1)
    whole = control_latents(["pixels", "mean_rgb"], SHAPES, str(tmp_path / "other"))
    for name, held in whole.items():
        assert torch.equal(got[name].values, held.values)
