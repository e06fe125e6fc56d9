"""The schema of every config: types and ranges, checked before anything loads. The defaults are in ``conf/``."""

from collections.abc import Mapping
from typing import Any

from foresight_cli.config.adapters import (
    ADAPTERS,
    AdapterConfig,
    BudgetConfig,
    LinearConfig,
    LowRankConfig,
    MLPConfig,
    QueryConfig,
    TrainedConfig,
)
from foresight_cli.config.data import (
    DATASETS,
    DataConfig,
    HFConfig,
    ImageFolderConfig,
    PrecomputedDataConfig,
    ShapesConfig,
    VideoConfig,
    WebDatasetConfig,
)
from foresight_cli.config.models import (
    DTYPES,
    MODELS,
    AutoencoderConfig,
    HistogramConfig,
    LTXVConfig,
    ModelConfig,
    NetworkConfig,
    PixelsConfig,
    PrecomputedConfig,
    Qwen25VLConfig,
    RandomNetworkConfig,
    VisionConfig,
    model_schema,
)
from foresight_cli.config.runners import RUNNERS, LocalConfig, RayConfig, RunnerConfig
from foresight_cli.config.stages import (
    POOLINGS,
    AdaptConfig,
    AnalyzeConfig,
    ExtractConfig,
    ReportConfig,
    SpaceConfig,
)
from foresight_cli.config.trackers import (
    TRACKERS,
    MLflowConfig,
    NoTrackerConfig,
    TensorBoardConfig,
    TrackerConfig,
    TrackioConfig,
    WandbConfig,
)
from foresight_cli.config.verdict import Thresholds, Waivers

GROUPS: Mapping[str, Mapping[str, Any]] = {
    "model": MODELS,
    "data": DATASETS,
    "runner": RUNNERS,
    "adapter": ADAPTERS,
    "tracker": TRACKERS,
}
"""The schema of each option, by group and name: the same names as the files of ``conf/``."""
