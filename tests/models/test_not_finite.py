"""Latents that are NaN or infinite: a weight that is not finite is named, else the advice fits the dtype."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from foresight_cli.config import VisionConfig
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.run import extract
from foresight_cli.models import open_model
from tests.builders import SHAPES, pixels, qwen_model
from tests.models.published import WEIGHTS, ltxv, rewrite, tiny
from tests.models.vision_networks import NETWORKS

NORM = "model.norm.weight"
ADVICE = {
    "float16": "float16 overflows in large models: use model.dtype=bfloat16, or model.dtype=float32",
    "bfloat16": "Use model.dtype=float32",
    "float32": "float32 is the widest dtype there is: the network itself gives no finite numbers for these samples",
}
DATA = dataclasses.replace(SHAPES, per_category=1)


def refusal(cache: Path, model) -> str:
    with pytest.raises(ForesightError) as caught:
        extract(pixels(cache, model=model, data=DATA))
    return str(caught.value)


@pytest.mark.parametrize(("dtype", "value"), [("float16", 1e5), ("bfloat16", 3e38), ("float32", 3e38)])
def test_the_advice_fits_the_dtype(tmp_path, dtype, value):
    folder = tiny(tmp_path / "q")
    rewrite(folder / WEIGHTS["qwen25vl"], lambda weights: weights | {NORM: torch.full((64,), value)})
    message = refusal(tmp_path / "cache", qwen_model(folder, dtype=dtype))
    assert message.startswith("layer=final: the latents of 8 samples are not finite ('circle-0000', ")
    assert message.endswith(f"). {ADVICE[dtype]}")


@pytest.mark.parametrize(("value", "word"), [(torch.nan, "NaN"), (torch.inf, "inf")])
@pytest.mark.parametrize("model", ["qwen25vl", "ltxv"])
def test_a_weight_that_is_so_already_is_named(tmp_path, model, value, word):
    folder = tiny(tmp_path / "q", model)
    file = folder / WEIGHTS[model]
    name = {"qwen25vl": NORM, "ltxv": "encoder.conv_out.conv.bias"}[model]

    def spoil(weights):
        weights[name][3] = value
        return weights

    rewrite(file, spoil)
    config = qwen_model(folder) if model == "qwen25vl" else ltxv(folder).config
    assert refusal(tmp_path / "cache", config) == (
        f"the checkpoint {folder} is damaged: {name} in {file.name} holds {word}. Copy or download it again, or "
        "take one that was saved before its training failed"
    )


def test_an_image_encoder_with_nan_is_not_taken_for_another_kind(tmp_path):
    folder = NETWORKS["vit"].write(tmp_path / "vit")
    name = "vit.embeddings.patch_embeddings.projection.weight"

    def spoil(weights):
        weights[name][0] = torch.nan
        return weights

    rewrite(folder / "model.safetensors", spoil)
    model = open_model(VisionConfig("vision", str(folder), None, "float32", "pretrained", 0, None, "patch"))
    model.check_weights()
    with pytest.raises(ForesightError) as caught:
        model.load("cpu")
    assert str(caught.value) == (
        f"the checkpoint {folder} is damaged: {name} in model.safetensors holds NaN. Copy or download it again, or "
        "take one that was saved before its training failed"
    )
