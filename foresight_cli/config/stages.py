"""Schemas of the stages: the checked form of ``conf/<stage>.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, field

from foresight_cli.config.adapters import AdapterConfig
from foresight_cli.config.checks import at_least, between, one_of
from foresight_cli.config.controls import CONTROL_MODELS
from foresight_cli.config.data import DataConfig, ShapesConfig
from foresight_cli.config.models import ModelConfig
from foresight_cli.config.runners import LocalConfig, RunnerConfig
from foresight_cli.config.trackers import NoTrackerConfig, TrackerConfig
from foresight_cli.config.verdict import Thresholds, Waivers
from foresight_cli.errors import UsageError

POOLINGS = ("channel_mean", "flat")
ROWS_PER_SHARD = 256
"""Default of ``rows_per_shard``, as in ``conf/extract.yaml``."""


@dataclass(frozen=True)
class ExtractConfig:
    """``foresight extract``."""

    model: ModelConfig
    layers: tuple[str, ...] | None  # None: all layers of the model
    poolings: tuple[str, ...]
    data: DataConfig
    weights: str
    runner: RunnerConfig
    cache_dir: str
    device: str
    batch_size: int | None  # None: from free memory
    rows_per_shard: int = ROWS_PER_SHARD
    dry_run: bool = False
    tracker: TrackerConfig = field(default_factory=NoTrackerConfig)

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            at_least("batch_size", self.batch_size, 1)
        at_least("rows_per_shard", self.rows_per_shard, 1)
        if self.data.name == "precomputed" and self.model.name != "precomputed":
            raise UsageError(
                f"model={self.model.name} needs pictures; data=precomputed has none. Name the pictures that the "
                "latents were made from, for example data=imagefolder data.path=DIR"
            )
        self._check_device_map(getattr(self.model, "device_map", None))

    def _check_device_map(self, device_map: str | None) -> None:
        """With ``model.device_map``, one process uses all GPUs: refuse ``device=`` and more than one local worker."""
        if device_map is None:
            return
        if self.device != "auto":
            raise UsageError(
                f"model.device_map={device_map} chooses the devices itself: leave device={self.device} out"
            )
        if isinstance(self.runner, LocalConfig) and self.runner.workers > 1:
            raise UsageError(
                f"model.device_map={device_map} gives one process all GPUs: leave runner.workers={self.runner.workers} "
                "out, or give each worker its own GPUs with runner=ray runner.gpus_per_worker=2"
            )


@dataclass(frozen=True)
class SpaceConfig:
    """``source=`` or ``target=``: a model, with its layers and poolings. None means all that are cached."""

    model: ModelConfig
    layers: tuple[str, ...] | None
    poolings: tuple[str, ...] | None


@dataclass(frozen=True)
class AnalyzeConfig:
    """``foresight analyze``."""

    source: SpaceConfig
    target: SpaceConfig
    data: DataConfig | None
    weights: str
    cache_dir: str
    device: str
    seed: int
    max_rows: int
    permutations: int
    folds: int
    neighbors: int
    controls: tuple[str, ...]
    thresholds: Thresholds
    verdict: Waivers  # verdict.attributes=waived and others: evidence that is not required
    extract: bool = False  # first extract whatever is not cached
    study_table: bool = False
    preset: str | None = None
    tracker: TrackerConfig = field(default_factory=NoTrackerConfig)
    runner: RunnerConfig = field(default_factory=lambda: LocalConfig("local", 1))
    every_row: bool = True  # measure the chosen pair on all rows too, if only a sample was scored

    def __post_init__(self) -> None:
        between("seed", self.seed, 0, 2**32 - 1)
        at_least("max_rows", self.max_rows, 100)
        at_least("permutations", self.permutations, 19)
        between("folds", self.folds, 2, 50)
        between("neighbors", self.neighbors, 1, 100)
        for name in self.controls:
            one_of("controls", name, tuple(CONTROL_MODELS))
        if self.extract and self.data is None:
            raise UsageError("extract=true needs the data: add data=shapes, or data=imagefolder data.path=DIR")
        if self.study_table and not (isinstance(self.data, ShapesConfig) and self.data.variant == "q1"):
            raise UsageError("study_table=true needs the study's own drawings: add data=shapes data.variant=q1")


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
    seeds: int  # trainings, from seed on
    memory_gb: float
    unfinished_dir: str
    noise_ceiling: str
    push: str | None
    tracker: TrackerConfig = field(default_factory=NoTrackerConfig)

    def __post_init__(self) -> None:
        between("seed", self.seed, 0, 2**32 - 1)
        one_of("noise_ceiling", self.noise_ceiling, ("none", "jpeg", "shift"))
        between("seeds", self.seeds, 1, 20)
        at_least("memory_gb", self.memory_gb, 0)
        if len(self.split) != 3 or not all(share > 0 for share in self.split) or abs(sum(self.split) - 1) > 1e-9:
            raise UsageError(f"split={list(self.split)}: three shares above 0 that sum to 1, such as [0.6, 0.2, 0.2]")
        for side, space in (("source", self.source), ("target", self.target)):
            if not (space.layers and len(space.layers) == 1 and space.poolings):
                raise UsageError(
                    f"adapt takes one layer and one pooling of the {side}: {side}.layer=final {side}.pooling=flat. "
                    f"To try several, add -m and separate them with commas: {_sweep_example(side, space)}"
                )


def _sweep_example(side: str, space: SpaceConfig) -> str:
    """Return an example sweep over what was given several values: layers, or poolings if there is one layer."""
    one_layer = space.layers is not None and len(space.layers) == 1
    if one_layer or not space.model.layered:
        return f"{side}.pooling={','.join(POOLINGS)}"
    layers = [layer for layer in space.layers or ("4", "8") if layer != "final"]
    return f"{side}.layer={','.join([*layers[:2], 'final'])}"


@dataclass(frozen=True)
class ReportConfig:
    """``foresight report``."""

    outputs_dir: str
    run: str | None = None  # None: the newest
    runs: tuple[str, ...] = ()  # several analyses side by side
    format: str = "text"
    fail_on: str | None = None

    def __post_init__(self) -> None:
        one_of("format", self.format, ("text", "json"))
        if self.fail_on is not None:
            one_of("fail_on", self.fail_on, ("pivot", "inconclusive"))
        if self.run is not None and self.runs:
            raise UsageError("run= is for one analysis and runs= for several: give one of them")
