"""Shared fixtures of the tests of models: small autoencoders of diffusers with random weights, on disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from foresight_cli.config import AutoencoderConfig
from foresight_cli.models.checkpoint import Checkpoint
from tests.models.qwen_files import write_templates

FOUR = {"block_out_channels": (8, 8, 16, 16), "layers_per_block": 1, "norm_num_groups": 4, "latent_channels": 4}
NETWORKS = {
    "AutoencoderKL": {
        **FOUR,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "shift_factor": 0.25,
    },
    "AutoencoderTiny": {
        "encoder_block_out_channels": (8,) * 4,
        "decoder_block_out_channels": (8,) * 4,
        "num_encoder_blocks": (1,) * 4,
        "num_decoder_blocks": (1,) * 4,
    },
    "VQModel": {
        "down_block_types": ("DownEncoderBlock2D",) * 3,
        "up_block_types": ("UpDecoderBlock2D",) * 3,
        "block_out_channels": (8, 8, 16),
        "norm_num_groups": 4,
        "num_vq_embeddings": 16,
    },
    "AutoencoderDC": {
        "latent_channels": 8,
        "attention_head_dim": 8,
        **{f"{half}_block_types": ("ResBlock", "EfficientViTBlock") for half in ("encoder", "decoder")},
        **{f"{half}_block_out_channels": (8, 16) for half in ("encoder", "decoder")},
        **{f"{half}_layers_per_block": (1, 1) for half in ("encoder", "decoder")},
        **{f"{half}_qkv_multiscales": ((), (5,)) for half in ("encoder", "decoder")},
        "scaling_factor": 0.4,
    },
    "AutoencoderKLWan": {
        "base_dim": 8,
        "z_dim": 4,
        "dim_mult": [1, 1, 2, 2],
        "num_res_blocks": 1,
        "latents_mean": [0.1, -0.2, 0.3, -0.4],
        "latents_std": [0.5, 1.0, 2.0, 3.0],
    },
    "AutoencoderKLCogVideoX": FOUR,
    "AutoencoderKLHunyuanVideo": FOUR,
    "AutoencoderKLHunyuanVideo15": {
        "block_out_channels": (8, 16, 16, 16),
        "layers_per_block": 1,
        "latent_channels": 4,
        "spatial_compression_ratio": 8,
    },
    "AutoencoderKLLTXVideo": {
        "latent_channels": 8,
        "block_out_channels": (8, 8, 16, 16),
        "decoder_block_out_channels": (8, 8, 16, 16),
        "layers_per_block": (1,) * 5,
        "decoder_layers_per_block": (1,) * 5,
    },
    "AutoencoderKLCosmos": {
        "latent_channels": 4,
        "encoder_block_out_channels": (8, 16, 16, 16),
        "decode_block_out_channels": (8, 16, 16, 16),
        "num_layers": 1,
        "resolution": 64,
    },
}
"""The settings that make each class small."""


@pytest.fixture(scope="session")
def autoencoder_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``autoencoder_checkpoint("AutoencoderKLWan")`` -> a folder written by ``save_pretrained``, once a session."""
    import diffusers
    import torch

    @lru_cache
    def saved(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        torch.manual_seed(0)
        network = getattr(diffusers, name)(**NETWORKS[name])
        if name == "AutoencoderTiny":  # its first weights are so narrow that all pictures have nearly the same latents
            for weight in network.parameters():
                weight.data.mul_(1.5)
        for key, buffer in network.named_buffers():
            if key in ("latents_mean", "latents_std"):
                buffer.uniform_(0.5, 2)
        network.save_pretrained(folder)
        return folder

    return saved


@pytest.fixture(scope="session")
def autoencoder_config() -> Callable[..., AutoencoderConfig]:
    """``autoencoder_config(folder, sample=True)`` -> the settings of ``model=autoencoder``, small and exact."""

    def settings(folder: Path, **changes: object) -> AutoencoderConfig:
        values = {
            "name": "autoencoder",
            "checkpoint": str(folder),
            "revision": None,
            "dtype": "float32",
            "init": "pretrained",
            "init_seed": 0,
            "subfolder": None,
            "resolution": 32,
            "sample": False,
            "seed": 0,
            "normalize": False,
        }
        return AutoencoderConfig(**{**values, **changes})

    return settings


@pytest.fixture
def qwen_files(qwen_checkpoint: Path, tmp_path: Path) -> Callable[..., Checkpoint]:
    """``qwen_files({JSON: template})`` -> the small Qwen2.5-VL with templates in these files alone; no weights."""

    def built(templates: dict[str, Any]) -> Checkpoint:
        folder = tmp_path / "q"
        shutil.copytree(qwen_checkpoint, folder, ignore=shutil.ignore_patterns("*.safetensors"))
        write_templates(folder, templates)
        return Checkpoint(str(folder))

    return built
