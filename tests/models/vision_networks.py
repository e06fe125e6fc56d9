"""Small image encoders with random weights, written to disk like published ones: network and processor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

PLAIN = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
PATCHES = {"image_size": 32, "patch_size": 8}
TEXT = {**PLAIN, "vocab_size": 30, "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 2}
SQUARE = {"size": {"height": 32, "width": 32}}
CROP = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
STAGES = {"hidden_sizes": [16, 24, 32], "depths": [1, 2, 1], "num_stages": 3}


@dataclass(frozen=True)
class Network:
    """The recipe of a small network, and its tokens.

    Attributes:
        saved: the class whose weights are on disk, by name.
        config: its settings.
        read: the class that the encoder is, by name.
        processor: the image processor, by the name of its PIL class.
        processing: its settings.
        before: class, register and distillation tokens, in front of the picture.
        after: detection tokens, after it.
        depth: blocks or stages.
    """

    saved: str
    config: dict[str, Any]
    read: str
    processor: str
    processing: dict[str, Any]
    before: int
    after: int = 0
    depth: int = 3

    def write(self, folder: Path) -> Path:
        """Write the checkpoint to ``folder``, like a published one."""
        made = getattr(transformers, self.saved)
        torch.manual_seed(0)
        network = made(made.config_class(**self.config))
        for weight in network.parameters():  # wider than the default init, so that every block changes the stream
            if weight.ndim > 1:
                torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
            else:
                torch.nn.init.normal_(weight, mean=1, std=0.2)
        network.save_pretrained(folder)
        getattr(transformers, self.processor)(**self.processing).save_pretrained(folder)
        return folder


def two_towers(**vision: Any) -> dict[str, Any]:
    return {"text_config": TEXT, "vision_config": {**PLAIN, **vision}}


NETWORKS = {
    "vit": Network("ViTForImageClassification", PLAIN | PATCHES, "ViTModel", "ViTImageProcessorPil", SQUARE, 1),
    "deit": Network("DeiTModel", PLAIN | PATCHES, "DeiTModel", "DeiTImageProcessorPil", CROP | SQUARE, 2),
    "beit": Network("BeitModel", PLAIN | PATCHES, "BeitModel", "BeitImageProcessorPil", SQUARE, 1),
    "dinov2": Network(  # trained at another size: its positions are interpolated
        "Dinov2Model", PLAIN | PATCHES | {"image_size": 48}, "Dinov2Model", "BitImageProcessorPil", CROP, 1
    ),
    "dinov2_with_registers": Network(
        "Dinov2WithRegistersModel",
        PLAIN | PATCHES | {"num_register_tokens": 3},
        "Dinov2WithRegistersModel",
        "BitImageProcessorPil",
        CROP,
        4,
    ),
    "dinov3": Network(
        "DINOv3ViTModel",
        PLAIN | PATCHES | {"num_register_tokens": 2},
        "DINOv3ViTModel",
        "ViTImageProcessorPil",
        SQUARE,
        3,
    ),
    "clip": Network("CLIPModel", two_towers(**PATCHES), "CLIPVisionModel", "CLIPImageProcessorPil", CROP, 1),
    "clip_vision": Network("CLIPVisionModel", PLAIN | PATCHES, "CLIPVisionModel", "CLIPImageProcessorPil", CROP, 1),
    "siglip": Network("SiglipModel", two_towers(**PATCHES), "SiglipVisionModel", "SiglipImageProcessorPil", SQUARE, 0),
    "siglip2": Network(
        "Siglip2Model",
        two_towers(patch_size=8, num_patches=16),
        "Siglip2VisionModel",
        "Siglip2ImageProcessorPil",
        {"patch_size": 8, "max_num_patches": 20},
        0,
    ),
    "yolos": Network(
        "YolosModel",
        PLAIN | {"image_size": [32, 32], "patch_size": 8, "num_detection_tokens": 5},
        "YolosModel",
        "ViTImageProcessorPil",
        SQUARE,
        1,
        after=5,
    ),
    "convnext": Network(
        "ConvNextForImageClassification",
        STAGES | {"patch_size": 4},
        "ConvNextModel",
        "ConvNextImageProcessorPil",
        {"size": {"shortest_edge": 64}},
        0,
    ),
    "resnet": Network(
        "ResNetModel",
        {"embedding_size": 16, "hidden_sizes": [16, 24, 32], "depths": [1, 2, 1], "layer_type": "basic"},
        "ResNetModel",
        "ConvNextImageProcessorPil",
        {"size": {"shortest_edge": 64}},
        0,
    ),
    "swin": Network(
        "SwinModel",
        {"embed_dim": 16, "depths": [1, 2, 1], "num_heads": [2, 2, 2], "window_size": 4, "image_size": 64},
        "SwinModel",
        "ViTImageProcessorPil",
        {"size": {"height": 64, "width": 64}},
        0,
    ),
}
"""The networks, by their usual names."""
