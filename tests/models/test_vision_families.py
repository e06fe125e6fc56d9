"""Families of image classifiers: what of a checkpoint's weights their image encoder has no place for."""

from __future__ import annotations

import pytest
import torch
import transformers

from foresight_cli.config import VisionConfig
from foresight_cli.errors import ForesightError
from foresight_cli.models import open_model

FOUR = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 12, 16, 24]}
STAGES = {f"stage_{name}": [8, 8, 8, 8] for name in ("mid_channels", "in_channels", "out_channels")}
BLOCKS = {f"stage_{name}": [1, 1, 1, 1] for name in ("num_blocks", "numb_of_layers")}
BUILT_OTHERWISE = "its hidden_states are not what enters and leaves its blocks"

FAMILIES = {
    "ConvNextV2ForImageClassification": ({**FOUR, "num_stages": 4}, ""),
    "RegNetForImageClassification": ({**FOUR, "embedding_size": 8, "groups_width": 4}, ""),
    "PoolFormerForImageClassification": (FOUR, BUILT_OTHERWISE),
    "SwiftFormerForImageClassification": ({"depths": [1] * 4, "embed_dims": [16, 24, 32, 48]}, BUILT_OTHERWISE),
    "HGNetV2ForImageClassification": (
        {**FOUR, "embedding_size": 8, "stem_channels": [3, 8, 8], **STAGES, **BLOCKS},
        BUILT_OTHERWISE,
    ),
}
"""Settings of a small one, by class, and why it is refused; empty where it is read."""


@pytest.mark.parametrize("name", FAMILIES)
def test_the_head_of_a_classifier_is_left_out_and_the_true_reason_is_named(tmp_path, name):
    settings, reason = FAMILIES[name]
    kind = getattr(transformers, name)
    torch.manual_seed(0)
    kind(kind.config_class(**settings)).save_pretrained(tmp_path)
    transformers.ViTImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(tmp_path)
    model = open_model(VisionConfig("vision", str(tmp_path), None, "float32", "pretrained", 0, None, "patch"))
    model.check_weights()
    if not reason:
        model.load("cpu")
        return
    with pytest.raises(ForesightError) as caught:
        model.load("cpu")
    assert f"): {reason}. Choose another image encoder" in str(caught.value)
