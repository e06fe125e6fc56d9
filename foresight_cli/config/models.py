"""Schemas of ``model=``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar

from foresight_cli.config.checks import at_least, between, multiple, one_of
from foresight_cli.errors import UsageError

DTYPES = ("float32", "bfloat16", "float16")
DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
"""Strategies of accelerate to spread a network over GPUs, memory and disk."""


@dataclass(frozen=True)
class LabelledConfig:
    """Settings and traits of every model.

    Attributes:
        label: a display name, which changes no number and is not part of any key.
        kind: ``encoder``, ``autoencoder``, which decodes its ``flat`` latents to pictures, or ``file``.
        layered: whether it has layers to tap beside its output.
        tokens_first: whether its rows are stored token by token, and not channel by channel.
        named_after: the checkpoint whose latents are labelled with the model's own name.
        channel_figures: whether reports show its channels one by one.
    """

    kind: ClassVar[str] = "encoder"
    layered: ClassVar[bool] = False
    tokens_first: ClassVar[bool] = False
    named_after: ClassVar[str | None] = None
    channel_figures: ClassVar[bool] = False

    label: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.label is not None and not re.fullmatch(r"\S(.{0,58}\S)?", self.label):
            raise UsageError(f"model.label={self.label!r}: it must be a name of 1 to 60 characters on one line")


@dataclass(frozen=True)
class NetworkConfig(LabelledConfig):
    """Settings of every model with weights."""

    name: str
    checkpoint: str
    revision: str | None
    dtype: str
    init: str
    init_seed: int
    # With defaults, because caches from before these keys existed are read too.
    variant: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant is not None and not re.fullmatch(r"[\w-]+", self.variant):
            raise UsageError(f"model.variant: must be a word such as fp16, got {self.variant!r}")
        _inside("model.subfolder", getattr(self, "subfolder", None))
        one_of("model.dtype", self.dtype, ("auto", *DTYPES))
        one_of("model.init", self.init, ("pretrained", "random"))
        at_least("model.init_seed", self.init_seed, 0)


@dataclass(frozen=True)
class Qwen25VLConfig(NetworkConfig):
    """``model=qwen25vl``."""

    layered: ClassVar[bool] = True
    tokens_first: ClassVar[bool] = True
    named_after: ClassVar[str | None] = "Qwen/Qwen2.5-VL-7B-Instruct"

    resolution: int | None
    tokens: str
    prompt: str
    final_norm: bool
    subfolder: str | None = field(default=None, kw_only=True)
    device_map: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("model.tokens", self.tokens, ("image", "text", "last", "all"))
        multiple("model.resolution", self.resolution, 28)
        if self.device_map is not None:
            one_of("model.device_map", self.device_map, DEVICE_MAPS)


@dataclass(frozen=True)
class LTXVConfig(NetworkConfig):
    """``model=ltxv``."""

    kind: ClassVar[str] = "autoencoder"
    named_after: ClassVar[str | None] = "Lightricks/LTX-Video"
    channel_figures: ClassVar[bool] = True

    subfolder: str | None
    resolution: int
    sample: bool
    seed: int
    normalize: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        multiple("model.resolution", self.resolution, 32)


@dataclass(frozen=True)
class VisionConfig(NetworkConfig):
    """``model=vision``."""

    layered: ClassVar[bool] = True
    tokens_first: ClassVar[bool] = True

    subfolder: str | None
    tokens: str

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("model.tokens", self.tokens, ("patch", "cls", "all"))


@dataclass(frozen=True)
class AutoencoderConfig(NetworkConfig):
    """``model=autoencoder``."""

    kind: ClassVar[str] = "autoencoder"

    subfolder: str | None
    resolution: int
    sample: bool
    seed: int
    normalize: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        multiple("model.resolution", self.resolution, 8)


@dataclass(frozen=True)
class PrecomputedConfig(LabelledConfig):
    """``model=precomputed``."""

    kind: ClassVar[str] = "file"

    name: str
    path: str
    # With defaults, because caches from before these keys existed are read too.
    id: str | None = None
    values: str | None = None


@dataclass(frozen=True)
class PixelsConfig(LabelledConfig):
    """``model=pixels``."""

    name: str
    resolution: int

    def __post_init__(self) -> None:
        super().__post_init__()
        between("model.resolution", self.resolution, 1, 1024)


@dataclass(frozen=True)
class HistogramConfig(LabelledConfig):
    """``model=histogram``."""

    name: str
    bins: int

    def __post_init__(self) -> None:
        super().__post_init__()
        between("model.bins", self.bins, 2, 32)


@dataclass(frozen=True)
class RandomNetworkConfig(LabelledConfig):
    """``model=random_network``."""

    name: str
    resolution: int
    seed: int

    def __post_init__(self) -> None:
        super().__post_init__()
        multiple("model.resolution", self.resolution, 16)
        at_least("model.seed", self.seed, 0)


ModelConfig = (
    Qwen25VLConfig
    | LTXVConfig
    | VisionConfig
    | AutoencoderConfig
    | PrecomputedConfig
    | PixelsConfig
    | HistogramConfig
    | RandomNetworkConfig
)


def _inside(key: str, folder: str | None) -> None:
    """Refuse a path that leaves the checkpoint."""
    if folder is not None and (folder.startswith(("/", "~")) or ".." in folder.split("/")):
        raise UsageError(f"{key}: must be a folder inside the checkpoint, such as vae, got {folder!r}")


MODELS: dict[str, type[LabelledConfig]] = {
    "qwen25vl": Qwen25VLConfig,
    "ltxv": LTXVConfig,
    "vision": VisionConfig,
    "autoencoder": AutoencoderConfig,
    "precomputed": PrecomputedConfig,
    "pixels": PixelsConfig,
    "histogram": HistogramConfig,
    "random_network": RandomNetworkConfig,
}
"""The schema of each ``model=``."""


def model_schema(name: object) -> type[LabelledConfig]:
    """Return the schema of the model ``name`` of a recipe; for an unknown name the base, with its default traits."""
    return MODELS.get(str(name), LabelledConfig)
