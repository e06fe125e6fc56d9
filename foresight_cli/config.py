"""The schema of every config: types and ranges, checked before anything loads. The defaults live in ``conf/``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from foresight_cli.errors import UsageError

DTYPES = ("float32", "bfloat16", "float16")
EXTRACT_ALL_LAYERS = ("4", "8", "16", "24", "final")
POOLINGS = ("channel_mean", "flat")
ONLY_FINAL = ("ltxv", "pixels", "histogram")  # models with nothing to tap but what they put out


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{key}={value}: choose one of {', '.join(allowed)}")


def _at_least(key: str, value: float, least: float) -> None:
    if not value >= least:
        raise UsageError(f"{key}={value}: it must be at least {least:g}")


def _between(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{key}={value}: it must lie in [{low:.10g}, {high:.10g}]")


def _multiple(key: str, value: int | None, unit: int) -> None:
    if value is not None and (value < unit or value % unit):
        near = max(unit, round(value / unit) * unit)
        raise UsageError(f"{key}={value}: it must be a multiple of {unit}, for instance {near}")


# --- model=


@dataclass(frozen=True)
class Qwen25VLConfig:
    """``model=qwen25vl``."""

    name: str
    checkpoint: str
    revision: str | None
    dtype: str
    resolution: int | None
    tokens: str
    prompt: str
    final_norm: bool

    def __post_init__(self) -> None:
        _one_of("model.dtype", self.dtype, DTYPES)
        _one_of("model.tokens", self.tokens, ("image", "all"))
        _multiple("model.resolution", self.resolution, 28)


@dataclass(frozen=True)
class LTXVConfig:
    """``model=ltxv``."""

    name: str
    checkpoint: str
    revision: str | None
    subfolder: str | None
    dtype: str
    resolution: int
    sample: bool
    seed: int
    normalize: bool

    def __post_init__(self) -> None:
        _one_of("model.dtype", self.dtype, DTYPES)
        _multiple("model.resolution", self.resolution, 32)


@dataclass(frozen=True)
class PixelsConfig:
    """``model=pixels``."""

    name: str
    resolution: int

    def __post_init__(self) -> None:
        _between("model.resolution", self.resolution, 1, 1024)


@dataclass(frozen=True)
class HistogramConfig:
    """``model=histogram``."""

    name: str
    bins: int

    def __post_init__(self) -> None:
        _between("model.bins", self.bins, 2, 32)


ModelConfig = Qwen25VLConfig | LTXVConfig | PixelsConfig | HistogramConfig

# --- data=


@dataclass(frozen=True)
class ShapesConfig:
    """``data=shapes``."""

    name: str
    variant: str
    per_category: int
    seed: int
    size: int

    def __post_init__(self) -> None:
        _one_of("data.variant", self.variant, ("default", "q1"))
        _at_least("data.per_category", self.per_category, 1)
        _at_least("data.seed", self.seed, 0)
        _between("data.size", self.size, 32, 4096)


@dataclass(frozen=True)
class ImageFolderConfig:
    """``data=imagefolder``."""

    name: str
    path: str
    on_error: str

    def __post_init__(self) -> None:
        _one_of("data.on_error", self.on_error, ("raise", "skip"))


DataConfig = ShapesConfig | ImageFolderConfig

# --- adapter=


@dataclass(frozen=True)
class LinearConfig:
    """``adapter=linear``."""

    name: str


@dataclass(frozen=True)
class MLPConfig:
    """``adapter=mlp``."""

    name: str
    hidden: int
    layers: int
    dropout: float
    lr: float
    weight_decay: float
    batch_size: int
    epochs: int
    patience: int

    def __post_init__(self) -> None:
        _at_least("adapter.hidden", self.hidden, 1)
        _between("adapter.layers", self.layers, 1, 3)
        _between("adapter.dropout", self.dropout, 0, 0.9)
        _between("adapter.lr", self.lr, 1e-7, 1)
        _at_least("adapter.weight_decay", self.weight_decay, 0)
        for key in ("batch_size", "epochs", "patience"):
            _at_least(f"adapter.{key}", getattr(self, key), 1)


AdapterConfig = LinearConfig | MLPConfig

GROUPS: dict[str, dict[str, Any]] = {
    "model": {
        "qwen25vl": Qwen25VLConfig,
        "ltxv": LTXVConfig,
        "pixels": PixelsConfig,
        "histogram": HistogramConfig,
    },
    "data": {"shapes": ShapesConfig, "imagefolder": ImageFolderConfig},
    "adapter": {"linear": LinearConfig, "mlp": MLPConfig},
}
"""The schema of each option, by group and name: the same names as the files of ``conf/``."""


# --- the stages


@dataclass(frozen=True)
class ExtractConfig:
    """``foresight extract``."""

    model: ModelConfig
    layers: tuple[str, ...]
    poolings: tuple[str, ...]
    data: DataConfig
    weights: str
    runner: str
    cache_dir: str
    device: str
    batch_size: int
    rows_per_shard: int

    def __post_init__(self) -> None:
        _one_of("runner", self.runner, ("local",))
        _at_least("batch_size", self.batch_size, 1)
        _at_least("rows_per_shard", self.rows_per_shard, 1)


@dataclass(frozen=True)
class SpaceConfig:
    """``source=`` or ``target=``: a model, and which of its cached layers and poolings. None means every one."""

    model: ModelConfig
    layers: tuple[str, ...] | None
    poolings: tuple[str, ...] | None


@dataclass(frozen=True)
class Thresholds:
    """``thresholds.*`` of ``foresight analyze``: policy, printed with the verdict."""

    r2: float
    spearman: float
    recall: float
    cka: float
    delta: float
    retention: float
    min_groups: int

    def __post_init__(self) -> None:
        for key in ("r2", "spearman", "recall", "cka", "delta", "retention"):
            _between(f"thresholds.{key}", getattr(self, key), 0, 1)
        _at_least("thresholds.min_groups", self.min_groups, 20)


@dataclass(frozen=True)
class AnalyzeConfig:
    """``foresight analyze``."""

    source: SpaceConfig
    target: SpaceConfig
    data: DataConfig | None
    weights: str
    cache_dir: str
    seed: int
    max_rows: int
    permutations: int
    folds: int
    neighbors: int
    controls: tuple[str, ...]
    thresholds: Thresholds

    def __post_init__(self) -> None:
        _between("seed", self.seed, 0, 2**32 - 1)
        _at_least("max_rows", self.max_rows, 100)
        _at_least("permutations", self.permutations, 19)
        _between("folds", self.folds, 2, 50)
        _between("neighbors", self.neighbors, 1, 100)
        for name in self.controls:
            _one_of("controls", name, ("pixels", "histogram"))


@dataclass(frozen=True)
class AdaptConfig:
    """``foresight adapt``."""

    source: SpaceConfig
    target: SpaceConfig
    adapter: AdapterConfig
    data: DataConfig | None
    weights: str
    cache_dir: str
    seed: int
    device: str
    split: tuple[float, float, float]
    max_parameters: int

    def __post_init__(self) -> None:
        _between("seed", self.seed, 0, 2**32 - 1)
        _at_least("max_parameters", self.max_parameters, 1)
        if len(self.split) != 3 or not all(share > 0 for share in self.split) or abs(sum(self.split) - 1) > 1e-9:
            raise UsageError(f"split={list(self.split)}: three shares above 0 that add up to 1, as [0.6, 0.2, 0.2]")
