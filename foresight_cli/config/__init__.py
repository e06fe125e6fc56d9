"""The schema of every config: types and ranges, checked before anything loads. The defaults are in ``conf/``."""

from typing import Any

from foresight_cli.config.adapters import (
    AdapterConfig,
    BudgetConfig,
    LinearConfig,
    LowRankConfig,
    MLPConfig,
    QueryConfig,
    TrainedConfig,
)
from foresight_cli.config.data import (
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
    ONLY_FINAL,
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
)
from foresight_cli.config.runners import LocalConfig, RayConfig, RunnerConfig
from foresight_cli.config.stages import (
    POOLINGS,
    AdaptConfig,
    AnalyzeConfig,
    ExtractConfig,
    ReportConfig,
    SpaceConfig,
)
from foresight_cli.config.trackers import (
    MLflowConfig,
    NoTrackerConfig,
    TensorBoardConfig,
    TrackerConfig,
    TrackioConfig,
    WandbConfig,
)
from foresight_cli.config.verdict import Thresholds, Waivers

GROUPS: dict[str, dict[str, Any]] = {
    "model": {
        "qwen25vl": Qwen25VLConfig,
        "ltxv": LTXVConfig,
        "vision": VisionConfig,
        "autoencoder": AutoencoderConfig,
        "precomputed": PrecomputedConfig,
        "pixels": PixelsConfig,
        "histogram": HistogramConfig,
        "random_network": RandomNetworkConfig,
    },
    "data": {
        "shapes": ShapesConfig,
        "imagefolder": ImageFolderConfig,
        "video": VideoConfig,
        "precomputed": PrecomputedDataConfig,
        "hf": HFConfig,
        "webdataset": WebDatasetConfig,
    },
    "runner": {"local": LocalConfig, "ray": RayConfig},
    "adapter": {"linear": LinearConfig, "lowrank": LowRankConfig, "mlp": MLPConfig, "query": QueryConfig},
    "tracker": {
        "none": NoTrackerConfig,
        "tensorboard": TensorBoardConfig,
        "wandb": WandbConfig,
        "mlflow": MLflowConfig,
        "trackio": TrackioConfig,
    },
}
"""The schema of each option, by group and name: the same names as the files of ``conf/``."""

__all__ = [
    "DTYPES",
    "GROUPS",
    "ONLY_FINAL",
    "POOLINGS",
    "AdaptConfig",
    "AdapterConfig",
    "AnalyzeConfig",
    "AutoencoderConfig",
    "BudgetConfig",
    "DataConfig",
    "ExtractConfig",
    "HFConfig",
    "HistogramConfig",
    "ImageFolderConfig",
    "LTXVConfig",
    "LinearConfig",
    "LocalConfig",
    "LowRankConfig",
    "MLPConfig",
    "MLflowConfig",
    "ModelConfig",
    "NetworkConfig",
    "NoTrackerConfig",
    "PixelsConfig",
    "PrecomputedConfig",
    "PrecomputedDataConfig",
    "QueryConfig",
    "Qwen25VLConfig",
    "RandomNetworkConfig",
    "RayConfig",
    "ReportConfig",
    "RunnerConfig",
    "ShapesConfig",
    "SpaceConfig",
    "TensorBoardConfig",
    "Thresholds",
    "TrackerConfig",
    "TrackioConfig",
    "TrainedConfig",
    "VideoConfig",
    "VisionConfig",
    "Waivers",
    "WandbConfig",
    "WebDatasetConfig",
]
