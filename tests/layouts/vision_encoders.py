"""Image encoders of transformers in their published layouts, with tiny random weights.

``vision_encoders.yaml`` has the keys of the public files, and their sources.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Layout:
    """One published image encoder.

    Attributes:
        source: where the public files were read, or the sources that they were combined from.
        saved: the class whose weights are in the file.
        before: class, register and distillation tokens in front of the picture.
        held: names of weights that the public file has.
        processor: its ``preprocessor_config.json``.
        config: its ``config.json``.
        tower: the part of ``saved`` that takes pictures; None for all of it, or for the part that ``AutoModel`` reads.
        counted: names of buffers that the public file has, though the class computes them today.
        absent: prefixes of the names of weights that the public file lacks.
        subfolder: the folder of the encoder in the checkpoint.
        processor_in: the folder of its processor, if that is another.
        reason: why foresight refuses it; empty if foresight reads it.
    """

    source: str
    saved: str
    before: int
    held: tuple[str, ...]
    processor: dict[str, Any]
    config: dict[str, Any]
    tower: str | None = None
    counted: tuple[str, ...] = ()
    absent: str = "-"
    subfolder: str | None = None
    processor_in: str | None = None
    reason: str = ""

    def write(self, folder: Path) -> Path:
        """Write the checkpoint to ``folder``, like a published one."""
        import torch
        import transformers
        from safetensors.torch import load_file, save_file

        place, beside = folder / (self.subfolder or ""), folder / (self.processor_in or self.subfolder or "")
        place.mkdir(parents=True, exist_ok=True)
        beside.mkdir(exist_ok=True)
        kind = getattr(transformers, self.saved)
        torch.manual_seed(0)
        network = kind(kind.config_class.from_dict(self.config))
        for weight in network.parameters():  # wider than the default init, so that every block changes the stream
            if weight.ndim > 1:
                torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
            else:
                torch.nn.init.normal_(weight, mean=1, std=0.2)
        network.save_pretrained(place)
        weights = load_file(place / "model.safetensors")
        weights = {name: value for name, value in weights.items() if not name.startswith(self.absent)}
        for name in self.counted:
            weights[name] = torch.arange(1000 if "index" in name else 77).view(1, -1)
        assert set(self.held) <= set(weights), sorted(weights)
        save_file(weights, place / "model.safetensors", metadata={"format": "pt"})
        (place / "config.json").write_text(json.dumps(self.config, indent=2) + "\n")
        (beside / "preprocessor_config.json").write_text(json.dumps(self.processor, indent=2) + "\n")
        if self.subfolder:
            index = {"_class_name": "StableVideoDiffusionPipeline", self.subfolder: ["transformers", self.saved]}
            (folder / "model_index.json").write_text(json.dumps(index))
        return folder


LAYOUTS = {
    name: Layout(**fields)
    for name, fields in yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")).items()
}
"""The layouts, by their usual names."""
