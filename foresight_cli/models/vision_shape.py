"""The image encoder of a checkpoint, from its config files: number of blocks, class, size of its latents."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from foresight_cli.errors import ForesightError, first_line
from foresight_cli.models.checkpoint import Checkpoint
from foresight_cli.models.model import Tap
from foresight_cli.models.network import ITEMSIZE
from foresight_cli.models.size import transformer_activations


class VisionShape:
    """The image encoder of ``checkpoint``: all of it, or the vision tower where ``config.json`` has two towers."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    @cached_property
    def depth(self) -> int:
        """Number of blocks, or of stages in a staged network; if the file leaves it out, the class's default.

        Raises:
            ForesightError: neither the file nor the class has it.
        """
        if "model_type" not in self.checkpoint.config:
            raise self.refusal(self._unnamed)
        depth = _depth(self._settings.get("depths"), self._settings.get("num_hidden_layers"))
        if depth is None:
            depth = _depth(getattr(self.config, "depths", None), getattr(self.config, "num_hidden_layers", None))
        if depth is None:
            raise self.refusal("its config.json says neither num_hidden_layers nor depths")
        return depth

    @cached_property
    def config(self) -> Any:
        """The encoder's config as transformers reads it.

        Raises:
            ForesightError: it is not one of transformers, or of a network on a package that is not installed.
        """
        from transformers import CONFIG_MAPPING, AutoConfig

        kind = self.checkpoint.config.get("model_type")
        if not isinstance(kind, str | None):
            raise self.refusal("its model_type is no word")
        if kind not in CONFIG_MAPPING and "auto_map" in self.checkpoint.config:
            raise self.refusal("its network is custom code (auto_map in config.json), which foresight does not run")
        if kind is None or "pretrained_cfg" in self._settings:
            raise self.refusal(self._unnamed)
        folder = self.checkpoint.file("config.json").parent
        try:
            with self.checkpoint.reading():
                whole = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        except ForesightError as error:
            if isinstance(error.__cause__, ImportError):
                raise self.refusal(first_line(error.__cause__)) from None
            raise
        return getattr(whole, "vision_config", None) or whole

    def network(self) -> Any:
        """Return the class that transformers' ``AutoModel`` has for :attr:`config`.

        Raises:
            ForesightError: it has none, or one that does not take pictures.
        """
        from transformers import MODEL_MAPPING

        network = MODEL_MAPPING.get(type(self.config), None)
        if getattr(network, "main_input_name", None) != "pixel_values":
            raise self.refusal("transformers' AutoModel has no image encoder for it")
        return network

    def row_bytes(self, tap: Tap, tokens: str, dtype: str) -> int | None:
        """Return the bytes of one sample's latents; None if the files do not say."""
        width = self._settings.get("hidden_size")
        if width is None or "depths" in self._settings:  # each stage has another width and grid
            return None
        if tap.pooling == "channel_mean":
            return 4 * int(width)
        positions = {"cls": 1, "patch": self._patches()}.get(tokens)
        return None if positions is None else ITEMSIZE[dtype] * int(width) * positions

    @property
    def activations(self) -> int | None:
        """Numbers that one picture takes in a block; None if the files do not say how many tokens it has."""
        width, tokens = self._settings.get("hidden_size"), self._patches()
        if not isinstance(width, int) or tokens is None:
            return None
        return transformer_activations(tokens + 1, width, self._settings.get("intermediate_size") or 4 * width)

    def refusal(self, reason: str) -> ForesightError:
        """Return the error for a checkpoint that ``model=vision`` cannot take."""
        kind = self._settings.get("model_type", "unknown")
        whole = self.checkpoint.config
        instead = "Choose another image encoder, for instance model.checkpoint=facebook/dinov2-base"
        if whole.get("model_type") == "qwen2_5_vl":
            instead = f"Take model=qwen25vl model.checkpoint={self.checkpoint.name}"
        elif "_class_name" in whole:
            instead = f"Take model=autoencoder model.checkpoint={self.checkpoint.name}"
        return ForesightError(
            f"model=vision cannot take {self.checkpoint.name} (model_type {kind}): {reason}. {instead}"
        )

    @property
    def _unnamed(self) -> str:
        """Reason for refusing a ``config.json`` without a ``model_type``."""
        config = self.checkpoint.config
        if "pretrained_cfg" in config or "num_features" in config:
            return "it is a checkpoint of timm, not of transformers"
        if "_class_name" in config:
            return f"it is a network of diffusers ({config['_class_name']})"
        return "its config.json names no model_type"

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """``config.json`` or its ``vision_config``. Plain JSON: reading it takes no torch."""
        config = self.checkpoint.config
        tower = config.get("vision_config")
        if not isinstance(tower, dict):
            return config
        return tower | (config.get("vision_config_dict") or {})  # in CLIP's first configs, where it takes precedence

    def _patches(self) -> int | None:
        """Count the positions of the picture; None unless the image processor's file gives every picture one size."""
        patch, size = self._settings.get("patch_size"), self._picture()
        if not isinstance(patch, int) or size is None:
            return None
        return (size[0] // patch) * (size[1] // patch)

    def _picture(self) -> tuple[int, int] | None:
        """Return the height and width that every picture is resized or cropped to; None if they are not known."""
        try:
            settings = json.loads(self.checkpoint.file("preprocessor_config.json").read_text(encoding="utf-8"))
        except (
            ForesightError,
            OSError,
            ValueError,
        ):  # this is an estimate: load() reports what is wrong with the checkpoint
            return None
        if not isinstance(settings, dict):
            return None
        if settings.get("do_center_crop"):
            size = settings.get("crop_size")
        elif "do_center_crop" in settings or "crop_size" not in settings:
            size = settings.get("size") if settings.get("do_resize") else None
        else:
            size = None  # the class's default decides whether it crops
        if isinstance(size, int) and settings.get("do_center_crop"):
            return size, size
        if isinstance(size, dict) and {"height", "width"} <= size.keys():
            return int(size["height"]), int(size["width"])
        return None


def _depth(stages: Any, blocks: Any) -> int | None:
    return len(stages) if isinstance(stages, list | tuple) else blocks if isinstance(blocks, int) else None
