"""Weights that loading would fill at random or leave out: named with their file and refused, before they are read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from foresight_cli.errors import ForesightError
from foresight_cli.models.network import foresee_transformers
from tests.models.published import WEIGHTS, latents, ltxv, qwen, refusals, rewrite, set_config, split, tiny

GATE = "model.layers.3.mlp.gate_proj.weight"
NAMED = "model.language_model.layers.3.mlp.gate_proj.weight"
OTHER = "it is of another kind of model, or of another version"


@pytest.fixture
def folder(tmp_path) -> Path:
    return tiny(tmp_path / "q")


@pytest.fixture
def vae(tmp_path) -> Path:
    return tiny(tmp_path / "v", "ltxv")


# --- weights that the checkpoint lacks


def test_a_weight_that_is_missing(folder):
    rewrite(folder / "model.safetensors", lambda weights: {k: v for k, v in weights.items() if k != GATE})
    assert refusals(qwen(folder)) == {
        f"the checkpoint {folder} lacks 1 weights of Qwen2.5-VL, for instance {NAMED}: it is incomplete, or of another "
        "kind of model"
    }


def test_a_weight_with_an_unknown_name(folder):
    rewrite(folder / "model.safetensors", lambda w: {k.replace("gate_proj", "gate"): v for k, v in w.items()})
    lacking = NAMED.replace(".3.", ".0.")
    (message,) = refusals(qwen(folder))
    assert message == (
        f"the checkpoint {folder} lacks 36 weights of Qwen2.5-VL, for instance {lacking}, and holds 36 weights that "
        "Qwen2.5-VL has no place for, for instance model.layers.0.mlp.gate.weight in model.safetensors: it is "
        "incomplete, or of another kind of model"
    )


def test_a_head_that_no_hidden_state_depends_on_may_be_missing(folder):
    set_config(folder / "config.json", tie_word_embeddings=False)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    qwen(folder).check_weights()


# --- weights that the network has no place for


@pytest.mark.parametrize(
    "name", ["model.layers.28.mlp.gate_proj.weight", "visual.blocks.0.attn.q_norm.weight", "encoder.weight"]
)
def test_a_weight_without_a_place(folder, name):
    rewrite(folder / "model.safetensors", lambda weights: weights | {name: torch.ones(4)})
    assert refusals(qwen(folder)) == {
        f"the checkpoint {folder} holds 1 weight that Qwen2.5-VL has no place for, for instance {name} in "
        f"model.safetensors: {OTHER}"
    }


def test_it_is_named_with_its_shard(folder):
    rewrite(
        folder / "model.safetensors", lambda w: w | {"visual.zz.weight": torch.ones(4), "visual.zz.bias": torch.ones(4)}
    )
    split(folder / "model.safetensors")
    assert refusals(qwen(folder)) == {
        f"the checkpoint {folder} holds 2 weights that Qwen2.5-VL has no place for, for instance visual.zz.bias in "
        f"model-00002-of-00002.safetensors: {OTHER}"
    }


def test_what_comes_after_the_last_layer_is_harmless(folder):
    set_config(folder / "config.json", tie_word_embeddings=False)
    plain = latents(qwen(folder), "final")
    names = ("score.weight", "v_head.summary.weight", "model.layers.0.self_attn.rotary_emb.inv_freq")
    extra = {"lm_head.weight": torch.ones(381, 64), **dict.fromkeys(names, torch.ones(4))}
    rewrite(folder / "model.safetensors", lambda weights: weights | {name: t.clone() for name, t in extra.items()})
    assert torch.equal(latents(qwen(folder), "final"), plain)


# --- shapes


def test_a_shape_that_is_not_that_of_the_config(folder):
    text = json.loads((folder / "config.json").read_text())["text_config"]
    set_config(folder / "config.json", text_config=text | {"intermediate_size": 96})
    assert refusals(qwen(folder)) == {
        f"the checkpoint {folder} does not fit its config.json: model.layers.0.mlp.down_proj.weight in "
        "model.safetensors has the shape [64, 128], and the config makes it [64, 96] (83 more do not fit)"
    }


def test_a_shape_of_an_autoencoder(vae):
    set_config(vae / "vae/config.json", block_out_channels=[16, 16, 16, 16])
    (message,) = refusals(ltxv(vae))
    assert message.startswith(f"the checkpoint {vae} does not fit its config.json: encoder.")
    assert " in diffusion_pytorch_model.safetensors has the shape [" in message


# --- autoencoders


def test_an_autoencoder_s_weight_that_is_missing(vae):
    name = "encoder.conv_out.conv.bias"
    rewrite(vae / WEIGHTS["ltxv"], lambda weights: {k: v for k, v in weights.items() if k != name})
    assert refusals(ltxv(vae)) == {
        f"the checkpoint {vae} lacks 1 weights of LTX-Video's autoencoder, for instance {name}: it is incomplete, "
        "or of another kind of model"
    }


def test_an_autoencoder_s_weight_without_a_place(vae):
    rewrite(vae / WEIGHTS["ltxv"], lambda weights: weights | {"per_channel_statistics.x": torch.ones(4)})
    assert refusals(ltxv(vae)) == {
        f"the checkpoint {vae} holds 1 weight that LTX-Video's autoencoder has no place for, for instance "
        f"per_channel_statistics.x in diffusion_pytorch_model.safetensors: {OTHER}"
    }


def test_a_loss_beside_an_autoencoder_is_harmless(vae):
    plain = latents(ltxv(vae), "final")
    rewrite(vae / WEIGHTS["ltxv"], lambda weights: weights | {"loss.logvar": torch.ones(1)})
    assert torch.equal(latents(ltxv(vae), "final"), plain)


def test_what_transformers_cannot_foresee_is_left_to_loading(folder, monkeypatch):
    """The check runs steps of ``from_pretrained`` that are not public."""
    from transformers import Qwen2_5_VLForConditionalGeneration as Network

    rewrite(folder / "model.safetensors", lambda weights: weights | {"encoder.weight": torch.ones(4)})
    model = qwen(folder)
    with monkeypatch.context() as patched:
        patched.delattr("transformers.PreTrainedModel._load_pretrained_model")
        foresee_transformers(Network, model.checkpoint, what="Qwen2.5-VL")
    with pytest.raises(ForesightError, match=OTHER):
        model.load("cpu")
