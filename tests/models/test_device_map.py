"""``model.device_map``: a network spread over devices has the same latents; these tests use memory and disk."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.models import Tap, open_model
from foresight_cli.models.checkpoint import Checkpoint
from foresight_cli.models.network import input_device
from tests.builders import pixels
from tests.models.qwen_reference import SQUARES, features, fresh, settings

pytest.importorskip("accelerate")
TAPS = [Tap(layer, pooling) for layer in ("4", "final") for pooling in ("channel_mean", "flat")]


@pytest.fixture
def little_memory(monkeypatch):
    """So little memory that most of a tiny network must stay on the disk."""
    monkeypatch.setattr("transformers.integrations.accelerate.accelerate_max_memory", lambda _: {"cpu": 700_000})


def assert_same(first, second):
    for tap in TAPS:
        for a, b in zip(first[tap], second[tap], strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("final_norm", [True, False])
def test_half_of_it_on_the_disk(qwen_checkpoint, little_memory, final_norm):
    chosen = settings(qwen_checkpoint, final_norm=final_norm)
    spread = fresh(dataclasses.replace(chosen, device_map="auto"))
    places = set(spread._network.hf_device_map.values())
    assert places == {"cpu", "disk"}
    assert input_device(spread._network) == torch.device("cpu")
    plain = features(fresh(chosen), SQUARES, TAPS)
    assert_same(features(spread, SQUARES, TAPS), plain)
    assert_same(features(spread, SQUARES, TAPS), plain)  # the first pass left no weight loaded or lost
    assert any(weight.is_meta for weight in spread._network.parameters())


@pytest.mark.parametrize("device_map", ["auto", "balanced", "balanced_low_0", "sequential"])
@pytest.mark.parametrize("init", ["pretrained", "random"])
def test_one_device_is_enough(qwen_checkpoint, init, device_map):
    plain = settings(qwen_checkpoint, init=init)
    spread = fresh(dataclasses.replace(plain, device_map=device_map))
    if spread._network.device.type != "cpu":
        pytest.skip("it went to a graphics processor, which rounds in another way")
    assert_same(features(spread, SQUARES, TAPS), features(fresh(plain), SQUARES, TAPS))


def test_random_weights_that_do_not_fit(qwen_checkpoint, monkeypatch):
    monkeypatch.setattr("accelerate.utils.modeling.get_max_memory", lambda *_: {"cpu": 300_000})
    with pytest.raises(ForesightError) as refused:
        fresh(settings(qwen_checkpoint, init="random", device_map="auto"))
    assert str(refused.value) == (
        "model.init=random with model.device_map=auto: the network does not fit on the GPUs and in memory together. "
        "Use model.dtype=bfloat16 or a machine with more"
    )


def test_it_does_not_change_what_the_latents_are_named_by(qwen_checkpoint):
    plain = settings(qwen_checkpoint)
    recipes = [open_model(dataclasses.replace(plain, device_map=name)).recipe("final") for name in (None, "auto")]
    assert recipes[0] == recipes[1]


def test_inputs_go_to_the_first_graphics_processor():
    network = torch.nn.Linear(1, 1)
    network.device = torch.device("cpu")
    assert input_device(network) == torch.device("cpu")
    network.hf_device_map = {"a": "cpu", "b": 1, "c": 0, "d": "disk"}
    assert input_device(network) == torch.device("cuda:1")


def test_without_accelerate_nothing_is_fetched(qwen_checkpoint, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(Checkpoint, "fetch", lambda self: pytest.fail("fetched"))
    with pytest.raises(ForesightError) as refused:
        open_model(settings(qwen_checkpoint, device_map="auto")).load("cpu")
    assert str(refused.value) == "model.device_map= needs accelerate: pip install 'foresight-latents[accelerate]'"


def test_what_cannot_be(qwen_checkpoint, tmp_path):
    with pytest.raises(UsageError) as refused:
        settings(qwen_checkpoint, device_map="cuda")
    assert str(refused.value) == ("model.device_map=cuda: choose one of auto, balanced, balanced_low_0, sequential")
    model = settings(qwen_checkpoint, device_map="auto")
    plain = pixels(tmp_path)
    with pytest.raises(UsageError) as refused:
        dataclasses.replace(plain, model=model)
    assert str(refused.value) == "model.device_map=auto chooses the devices itself: leave device=cpu out"
    with pytest.raises(UsageError) as refused:
        dataclasses.replace(plain, model=model, device="auto", runner=dataclasses.replace(plain.runner, workers=4))
    assert str(refused.value) == (
        "model.device_map=auto gives one process all GPUs: leave runner.workers=4 out, or give each worker its own "
        "GPUs with runner=ray runner.gpus_per_worker=2"
    )
