"""Quantised checkpoints: right numbers if transformers can read them here, else one line before a weight is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from foresight_cli.data.clip import Clip
from foresight_cli.errors import ForesightError
from foresight_cli.models import Tap, open_model
from foresight_cli.models.checkpoint import TINY
from tests.builders import qwen_model

FLAT = Tap("8", "channel_mean")
QUERY = "model.layers.3.self_attn.q_proj.weight"


@pytest.fixture
def folder(tmp_path) -> Path:
    return Path(shutil.copytree(TINY / "qwen25vl", tmp_path / "q"))


def set_config(folder: Path, **changes) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refusals(folder: Path, **changes) -> set[str]:
    """Return the message of the identity, the check before a run, and loading: all the same."""
    messages = set()
    for step in ("identity", "check_weights", "load"):
        model = open_model(qwen_model(folder, **changes))
        with pytest.raises(ForesightError) as caught:
            model.identity(reach_hub=True) if step == "identity" else (
                model.load("cpu") if step == "load" else model.check_weights()
            )
        messages.add(str(caught.value))
    return messages


@pytest.mark.parametrize(
    ("settings", "label", "packages"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"}, "AWQ (4 bits)", "gptqmodel"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "GPTQ (4 bits)", "gptqmodel optimum"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes (4 bits)", "bitsandbytes"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes (8 bits)", "bitsandbytes"),
        ({"load_in_8bit": True}, "bitsandbytes (8 bits)", "bitsandbytes"),
        ({"quant_method": "compressed-tensors", "format": "int-quantized"}, "compressed-tensors", "compressed-tensors"),
        ({"quant_method": "torchao", "quant_type": "int8_weight_only"}, "torchao", "torchao"),
    ],
)  # fmt: skip
def test_a_method_whose_package_is_not_installed(folder, settings, label, packages):
    set_config(folder, quantization_config=settings)
    noun = "packages" if " " in packages else "package"
    assert refusals(folder) == {
        f"the checkpoint {folder} is quantised with {label} (quantization_config in config.json): to read it, install "
        f"the {noun} with pip install {packages}; or take the checkpoint that is not quantised"
    }


def test_it_says_so_wherever_it_is_written(folder):
    decoder = json.loads((folder / "config.json").read_text())["text_config"]
    set_config(folder, text_config=decoder | {"quantization_config": {"quant_method": "awq", "bits": 4}})
    (message,) = refusals(folder)
    assert "is quantised with AWQ (4 bits) (text_config.quantization_config in config.json)" in message


@pytest.mark.parametrize(
    "settings", [{"quant_method": "modelopt", "quant_algo": "FP8"}, {"quant_method": "mine"}, {"bits": 3}]
)
def test_a_method_that_transformers_does_not_know(folder, settings):
    """transformers would leave out the scales, with only a line in its log."""
    set_config(folder, quantization_config=settings)
    (message,) = refusals(folder)
    assert message.startswith(f"the checkpoint {folder} is quantised with ")
    assert message.endswith(", which foresight does not read: take the checkpoint that is not quantised")


@pytest.mark.parametrize("name", ["quantize_config.json", "quant_config.json", "hf_quant_config.json"])
def test_a_file_beside_the_config(folder, name):
    (folder / name).write_text('{"bits": 4}')
    assert refusals(folder) == {
        f"the checkpoint {folder} is quantised with an unknown method ({name}), which foresight does not read: take "
        "the checkpoint that is not quantised"
    }


FP8 = {"float8_e4m3fn": 448.0, "float8_e5m2": 57344.0}


def quantise(folder: Path, dtype: torch.dtype, scale: str | None) -> None:
    """Write the decoder's projections in eight bits, like ComfyUI and vLLM."""
    weights = load_file(folder / "model.safetensors")
    for name in [name for name in weights if name.startswith("model.layers.") and name.endswith("proj.weight")]:
        weight = weights[name].float()
        top = torch.iinfo(dtype).max if not dtype.is_floating_point else torch.finfo(dtype).max
        factor = weight.abs().max() / top if scale else torch.ones(())
        weights[name] = (weight / factor).to(dtype)
        if scale:
            weights[name.removesuffix(".weight") + scale] = factor.reshape(1)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        ("float8_e4m3fn", ".scale_weight"),
        ("float8_e4m3fn", ".weight_scale_inv"),
        ("float8_e5m2", ".weight_scale"),
        ("float8_e4m3fnuz", ".scale"),
        ("float8_e4m3fn", None),
        ("int8", ".SCB"),
        ("uint8", ".weight_scale"),
    ],
)
def test_eight_bits_that_no_config_explains(folder, dtype, scale):
    """Read without their scales, they gave a norm of 3.1e10 instead of 150 at layer 8."""
    quantise(folder, getattr(torch, dtype), scale)
    assert refusals(folder) == {
        f"the checkpoint {folder} holds 196 weights of fewer than 16 bits, for instance "
        f"model.layers.0.mlp.down_proj.weight ({dtype}) in model.safetensors, and no quantization_config in its "
        "config.json says how to scale them: take the checkpoint that is not quantised"
    }


@pytest.mark.parametrize("name", ["scaled_fp8", "model.layers.0.mlp.down_proj.weight_scale"])
def test_scales_beside_wide_weights(folder, name):
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {name: torch.ones(1)}, folder / "model.safetensors", metadata={"format": "pt"})
    for step in (
        lambda: open_model(qwen_model(folder)).check_weights(),
        lambda: open_model(qwen_model(folder)).load("cpu"),
    ):
        with pytest.raises(ForesightError) as caught:
            step()
        assert str(caught.value) == (
            f"the checkpoint {folder} is quantised (1 weight that Qwen2.5-VL has no place for, for instance {name} in "
            "model.safetensors): take the checkpoint that is not quantised"
        )


def test_weights_in_gguf(folder):
    (folder / "model.safetensors").rename(folder / "model-Q4_K_M.gguf")
    assert refusals(folder) == {
        f"cannot read the checkpoint {folder}: its weights are quantised as GGUF (model-Q4_K_M.gguf), which foresight "
        "does not read: take the checkpoint that is not quantised"
    }


def test_random_weights_are_not_quantised(folder):
    set_config(folder, quantization_config={"quant_method": "awq", "bits": 4})
    model = open_model(qwen_model(folder, init="random"))
    model.check_weights()
    assert set(model.identity(reach_hub=True)) == {"sha256"}


def test_block_wise_fp8_is_read_to_the_numbers_that_its_scales_give(folder, tmp_path):
    """Qwen's FP8 checkpoints are like this: a block of 32 x 32 weights shares a scale."""
    weights, plain = load_file(folder / "model.safetensors"), {}
    for name, weight in list(weights.items()):
        plain[name] = weight
        if name.startswith("model.layers.") and name.endswith("proj.weight"):
            blocks = weight.float().unflatten(1, (-1, 32)).unflatten(0, (-1, 32))  # [rows, 32, columns, 32]
            scale = blocks.abs().amax(dim=(1, 3), keepdim=True) / 448
            eight = (blocks / scale).to(torch.float8_e4m3fn)
            weights[name] = eight.flatten(2).flatten(0, 1).contiguous()
            weights[name + "_scale_inv"] = scale[:, 0, :, 0].contiguous()
            plain[name] = (eight.float() * scale).flatten(2).flatten(0, 1).contiguous()
    reference = Path(shutil.copytree(folder, tmp_path / "plain"))
    save_file(plain, reference / "model.safetensors", metadata={"format": "pt"})
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    set_config(
        folder,
        quantization_config={
            "quant_method": "fp8",
            "activation_scheme": "dynamic",
            "weight_block_size": [32, 32],
            "modules_to_not_convert": ["lm_head", "model.visual"],
        },
    )
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (56, 56, 3), dtype=np.uint8))
    latents = {}
    for place in (folder, reference):
        model = open_model(qwen_model(place))
        model.check_weights()
        model.load("cpu")
        latents[place] = model.features([model.prepare(Clip((picture,)), "a")], [FLAT])[FLAT]
    assert latents[reference].norm() > 1
    torch.testing.assert_close(latents[folder], latents[reference], rtol=1e-5, atol=1e-5)
