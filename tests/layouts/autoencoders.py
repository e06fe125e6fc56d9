"""Autoencoders of diffusers in their published layouts, with tiny random weights.

``autoencoders.yaml`` has the keys of each public ``config.json``, and its source.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FIRST_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
"""Names of the parts of an autoencoder's attention in diffusers before 0.15."""


@dataclass(frozen=True)
class Layout:
    """One published autoencoder.

    Attributes:
        config: its ``config.json``.
        scale: how its pipeline scales latents for the diffusion model: ``factor``, ``shift``, ``statistics``, or the
            name of a pipeline of diffusers that has a function for it.
        source: where the public file was read, or the sources that it was combined from.
        pipeline: the class in ``model_index.json`` of the folder around it; None if it is published alone.
        resolution: of the pictures that are tried.
        frames: of the clip that is tried; 1 for a network of pictures.
        first_names: whether its attention has the names of diffusers before 0.15.
        half: whether a variant ``fp16`` is beside the weights.
        tolerance: of its numbers, absolute and relative.
        denoiser: the folder of the pipeline's largest network.
    """

    config: dict[str, Any]
    scale: str
    source: str
    pipeline: str | None = None
    resolution: int = 32
    frames: int = 1
    first_names: bool = False
    half: bool = False
    tolerance: float = 1e-5
    denoiser: str = "transformer"

    @property
    def subfolder(self) -> str | None:
        """The folder of the autoencoder in the checkpoint."""
        return "vae" if self.pipeline else None

    def write(self, folder: Path) -> Path:
        """Write the checkpoint to ``folder``, like a published one."""
        from safetensors.torch import save_file

        place = folder / (self.subfolder or "")
        place.mkdir(parents=True, exist_ok=True)
        (place / "config.json").write_text(json.dumps(self.config, indent=2) + "\n")
        weights = {self._published(name): value for name, value in random_weights(self.config).items()}
        save_file(weights, place / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
        if self.half:
            rounded = {name: value.half() for name, value in weights.items()}
            save_file(rounded, place / "diffusion_pytorch_model.fp16.safetensors", metadata={"format": "pt"})
        if self.pipeline:
            write_pipeline(folder, self.pipeline, self.config, self.denoiser)
        return folder

    def _published(self, name: str) -> str:
        for now, first in FIRST_NAMES.items() if self.first_names and ".attentions." in name else ():
            name = name.replace(f".{now}.", f".{first}.")
        return name


def random_weights(config: dict[str, Any]) -> dict[str, Any]:
    """Return weights of the network that ``config`` describes: its initial ones, with statistics unlike 0 and 1."""
    import diffusers
    import torch

    torch.manual_seed(0)
    network = getattr(diffusers, config["_class_name"]).from_config(dict(config))
    for name, buffer in network.named_buffers():
        if name.endswith(("latents_mean", "latents_std", "running_mean", "running_var")):
            buffer.uniform_(0.5, 2)
    if config["_class_name"] == "AutoencoderTiny":  # its initial weights hardly distinguish pictures
        for weight in network.parameters():
            weight.data.mul_(1.5)
    return {name: value.contiguous() for name, value in network.state_dict().items()}


def write_pipeline(folder: Path, name: str, config: dict[str, Any], denoiser: str) -> None:
    """Write the files of the pipeline around an autoencoder that have no weights."""
    kinds = {
        "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler", "scheduler_config.json"),
        "text_encoder": ("transformers", "T5EncoderModel", "config.json"),
        "tokenizer": ("transformers", "T5Tokenizer", "tokenizer_config.json"),
        "transformer": ("diffusers", "Transformer2DModel", "config.json"),
        "unet": ("diffusers", "UNet2DConditionModel", "config.json"),
    }
    index: dict[str, Any] = {"_class_name": name, "_diffusers_version": config.get("_diffusers_version", "0.32.0.dev0")}
    for part in ("scheduler", "text_encoder", "tokenizer", denoiser):
        library, kind, file = kinds[part]
        index[part] = [library, kind]
        (folder / part).mkdir()
        (folder / part / file).write_text(json.dumps({"_class_name": kind}))
    index["vae"] = ["diffusers", config["_class_name"]]
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


LAYOUTS = {
    name: Layout(**fields)
    for name, fields in yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")).items()
}
"""The layouts, by their usual names."""
