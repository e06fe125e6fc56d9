"""``model.init=random``: the same network with random weights, a control for the effect of training."""

from __future__ import annotations

import shutil

import pytest
import torch

from foresight_cli.models import Tap, open_model
from tests.models.qwen_reference import MIXED, SQUARES, TAPS, assert_equal, features, fresh, settings

TAP = Tap("8", "channel_mean")


@pytest.fixture(scope="module")
def no_weights(qwen_checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("random") / "qwen"
    shutil.copytree(qwen_checkpoint, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    return folder


def test_no_weights_are_read_and_none_are_named(qwen_checkpoint, no_weights):
    full, bare = (open_model(settings(folder, init="random")) for folder in (qwen_checkpoint, no_weights))
    assert full.identity(reach_hub=True) == bare.identity(reach_hub=True)
    assert full.identity(reach_hub=True) != open_model(settings(qwen_checkpoint)).identity(reach_hub=True)
    assert full.recipe("8")["init"] == "random"
    assert "init" not in open_model(settings(qwen_checkpoint)).recipe("8")


def test_the_seed_alone_decides(no_weights):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, same, third = (
        features(fresh(settings(no_weights, init="random", init_seed=seed)), SQUARES[:1], [TAP])[TAP][0]
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, same)
    assert not torch.allclose(first, third, atol=0.01)
    assert torch.equal(torch.random.get_rng_state(), before)  # the global random state is unchanged


def test_it_is_the_same_network_otherwise(no_weights):
    model = fresh(settings(no_weights, init="random"))
    batched, alone = (features(model, MIXED, batch=batch) for batch in (8, 1))
    for tap in TAPS:
        for a, b in zip(batched[tap], alone[tap], strict=True):
            assert_equal(a, b)
