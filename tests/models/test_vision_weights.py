"""``model=vision``: weights that are left out or lacking, variants, and configs that are not transformers' own."""

from __future__ import annotations

import dataclasses
import json
import shutil
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from foresight_cli.config import VisionConfig
from foresight_cli.errors import ForesightError
from foresight_cli.models import LatentModel, open_model
from tests.models.published import latents, refusals, rewrite, set_config
from tests.models.vision_networks import NETWORKS

ANOTHER = "Choose another image encoder, for instance model.checkpoint=facebook/dinov2-base"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """``checkpoint("vit")``: its folder, written once."""
    root = tmp_path_factory.mktemp("vision")
    return lru_cache(lambda name: NETWORKS[name].write(root / name))


def vision(folder: Path, **changes) -> LatentModel:
    plain = VisionConfig("vision", str(folder), None, "float32", "pretrained", 0, None, "patch")
    return open_model(dataclasses.replace(plain, **changes))


@pytest.fixture
def copied(checkpoint, tmp_path):
    return lambda name: Path(shutil.copytree(checkpoint(name), tmp_path / name))


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_encoder_passes_the_check(checkpoint, name):
    vision(checkpoint(name)).check_weights()


def test_a_weight_of_the_encoder_without_a_place(copied):
    folder = copied("clip")
    extra = "vision_model.encoder.layers.1.mlp.gate.weight"
    rewrite(folder / "model.safetensors", lambda weights: weights | {extra: torch.ones(3)})
    assert refusals(vision(folder)) == {
        f"the checkpoint {folder} holds 1 weight that CLIPVisionModel has no place for, for instance {extra} in "
        "model.safetensors: it is of another kind of model, or of another version"
    }


def test_a_weight_that_the_encoder_lacks(copied):
    folder = copied("dinov2")
    name = "encoder.layer.1.mlp.fc1.bias"
    rewrite(folder / "model.safetensors", lambda weights: {k: v for k, v in weights.items() if k != name})
    assert refusals(vision(folder)) == {
        f"the checkpoint {folder} lacks 1 weights of Dinov2Model, for instance {name}: it is incomplete, or of another "
        "kind of model"
    }


def test_another_size_of_picture_does_not_fit_the_positions(copied):
    folder = copied("vit")
    set_config(folder / "config.json", image_size=64)
    name = "vit.embeddings.position_embeddings"
    assert refusals(vision(folder)) == {
        f"the checkpoint {folder} does not fit its config.json: {name} in model.safetensors has the shape [1, 17, 32], "
        "and the config makes it [1, 65, 32]"
    }


@pytest.mark.parametrize(
    "name",
    [
        *("classifier.weight", "classifier_distill.linear.weight"),
        *("decoder.mask_token", "logit_scale", "text_model.final.weight"),
    ],
)
def test_another_tower_or_head_is_harmless(copied, name):
    folder = copied("dinov2")
    plain = latents(vision(folder), "final")
    rewrite(folder / "model.safetensors", lambda weights: weights | {name: torch.ones(3)})
    assert torch.equal(latents(vision(folder), "final"), plain)


def test_another_tower_takes_no_memory(copied):
    folder = copied("dinov2")
    alone = vision(folder).size(1)
    rewrite(folder / "model.safetensors", lambda weights: weights | {"language_model.embed.weight": torch.ones(9, 9)})
    assert vision(folder).size(1) == alone


def test_a_tower_of_a_quantised_network(copied):
    """The tower's config does not declare it, and transformers would read the bytes as numbers."""
    folder = copied("clip")
    set_config(folder / "config.json", quantization_config={"quant_method": "fp8", "weight_block_size": [8, 8]})
    (message,) = refusals(vision(folder))
    assert message == (
        f"the checkpoint {folder} is quantised with block-wise fp8 (quantization_config in config.json), which "
        "foresight does not read: take the checkpoint that is not quantised"
    )


def test_a_variant(copied):
    folder = copied("vit")
    plain = latents(vision(folder), "final")
    (folder / "model.safetensors").rename(folder / "model.fp16.safetensors")
    assert torch.equal(latents(vision(folder, variant="fp16"), "final"), plain)
    assert refusals(vision(folder)) == {
        f"cannot read the checkpoint {folder}: it has no model.safetensors. Add model.variant=fp16"
    }


# --- configs that are not transformers' own


def refused(folder: Path) -> str:
    messages = set()
    for step in (lambda m: m.check_layers(["0"]), lambda m: m.all_layers(), lambda m: m.load("cpu")):
        with pytest.raises(ForesightError) as caught:
            step(vision(folder))
        messages.add(str(caught.value))
    (message,) = messages
    return message


def test_a_checkpoint_of_timm(tmp_path):
    config = {
        "architecture": "vit_base_patch16_224",
        "num_classes": 0,
        "num_features": 768,
        "pretrained_cfg": {"input_size": [3, 224, 224], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({"cls_token": torch.zeros(1, 1, 768)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert refused(tmp_path) == (
        f"model=vision cannot take {tmp_path} (model_type unknown): it is a checkpoint of timm, not of "
        f"transformers. {ANOTHER}"
    )


def test_an_autoencoder(tmp_path, ltxv_checkpoint):
    assert refused(ltxv_checkpoint / "vae") == (
        f"model=vision cannot take {ltxv_checkpoint / 'vae'} (model_type unknown): it is a network of diffusers "
        f"(AutoencoderKLLTXVideo). Take model=autoencoder model.checkpoint={ltxv_checkpoint / 'vae'}"
    )


def test_a_config_without_a_kind(copied):
    folder = copied("vit")
    (folder / "config.json").write_text('{"hidden_size": 32}')
    assert refused(folder) == (
        f"model=vision cannot take {folder} (model_type unknown): its config.json names no model_type. {ANOTHER}"
    )


def test_custom_code_is_not_run(copied):
    folder = copied("vit")
    auto_map = {"AutoConfig": "mine.MyConfig", "AutoModel": "mine.MyModel"}
    set_config(folder / "config.json", model_type="mine", auto_map=auto_map)
    (folder / "mine.py").write_text("raise SystemExit('the code was run')")
    model = vision(folder)
    for step in (model.check_weights, lambda: model.load("cpu")):
        with pytest.raises(ForesightError) as caught:
            step()
        assert str(caught.value) == (
            f"model=vision cannot take {folder} (model_type mine): its network is custom code (auto_map in "
            f"config.json), which foresight does not run. {ANOTHER}"
        )


def test_a_checkpoint_without_an_image_processor(copied):
    folder = copied("vit")
    (folder / "preprocessor_config.json").unlink()
    model = vision(folder)
    for step in (model.check_files, lambda: model.load("cpu")):
        with pytest.raises(ForesightError) as caught:
            step()
        assert str(caught.value) == (
            f"{folder} has no image processor (preprocessor_config.json, or image_processor in processor_config.json). "
            "Copy that file from the checkpoint that it was made from"
        )


@pytest.mark.parametrize("cached", [False, True])
def test_the_kind_is_reported_before_the_names_of_files(run, tmp_path, qwen_checkpoint, ltxv_checkpoint, cached):
    """Whether or not the cache holds anything of the model, no message advises to rename weights of another kind."""
    if cached:
        for name in ("vision", "autoencoder"):
            (tmp_path / "outputs/cache" / name).mkdir(parents=True)
    vae = ltxv_checkpoint / "vae"
    vision = run("extract", "model=vision", f"model.checkpoint={vae}", "data.per_category=1")
    assert vision.output.endswith(f"Take model=autoencoder model.checkpoint={vae}\n")
    autoencoder = run("extract", "model=autoencoder", f"model.checkpoint={qwen_checkpoint}", "data.per_category=1")
    assert autoencoder.output.endswith(
        f"It is a network of transformers (qwen2_5_vl): take model=qwen25vl model.checkpoint={qwen_checkpoint}\n"
    )
    again = run("extract", "model=vision", f"model.checkpoint={qwen_checkpoint}", "data.per_category=1")
    assert again.output.endswith(f"Take model=qwen25vl model.checkpoint={qwen_checkpoint}\n")
    assert "rename" not in vision.output + autoencoder.output + again.output
