"""``model.init=random``: the same network with random weights, a control for the effect of training."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

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


def test_another_process_draws_the_same(no_weights):
    code = (
        "import sys, json, torch\n"
        "torch.manual_seed(123)\n"
        "from pathlib import Path\n"
        "from tests.models.qwen_reference import SQUARES, features, fresh, settings\n"
        "from foresight_cli.models import Tap\n"
        "tap = Tap('8', 'channel_mean')\n"
        "model = fresh(settings(Path(sys.argv[1]), init='random'))\n"
        "print(json.dumps(features(model, SQUARES[:1], [tap])[tap][0].tolist()))\n"
    )
    result = subprocess.run([sys.executable, "-c", code, no_weights], capture_output=True, text=True, check=True)
    expected = features(fresh(settings(no_weights, init="random")), SQUARES[:1], [TAP])[TAP][0]
    torch.testing.assert_close(torch.tensor(json.loads(result.stdout)), expected, rtol=1e-6, atol=1e-7)


def test_it_is_the_same_network_otherwise(no_weights):
    model = fresh(settings(no_weights, init="random"))
    batched, alone = (features(model, MIXED, batch=batch) for batch in (8, 1))
    for tap in TAPS:
        for a, b in zip(batched[tap], alone[tap], strict=True):
            assert_equal(a, b)
