"""Configs: every shipped one is composed and checked, code mirrors ``conf/``, and each refusal is asserted whole."""

from __future__ import annotations

from pathlib import Path

import hydra
import pytest
from hydra import initialize_config_dir
from omegaconf import DictConfig

from foresight_cli.cli.overrides import for_hydra
from foresight_cli.config import (
    GROUPS,
    AdaptConfig,
    AnalyzeConfig,
    ExtractConfig,
    ImageFolderConfig,
    MLPConfig,
)
from foresight_cli.config.reader import adapt_config, analyze_config, extract_config
from foresight_cli.config.tree import conf_dir, config_groups, primary_defaults
from foresight_cli.errors import UsageError
from foresight_cli.models import open_model
from foresight_cli.models.qwen25vl import ALL_LAYERS

PACKAGE = Path(__file__).resolve().parents[2] / "foresight_cli"
READERS = {"extract": extract_config, "analyze": analyze_config, "adapt": adapt_config}
NEEDS = {
    "model=precomputed": ("model.path=a.npz",),
    "source=precomputed": ("source.model.path=a.npz",),
    "target=precomputed": ("target.model.path=a.npz",),
    "data=imagefolder": ("data.path=pictures",),
    "data=hf": ("data.path=pictures",),
    "data=webdataset": ("data.path=pictures",),
    "data=video": ("data.path=clips",),
    "data=precomputed": ("data.path=a.npz",),
}


def compose(stage: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return hydra.compose(stage, for_hydra(stage, list(overrides)))


def read(stage: str, *overrides: str) -> ExtractConfig | AnalyzeConfig | AdaptConfig:
    return READERS[stage](compose(stage, *overrides))


# --- every shipped config


CHOICES = [
    (stage, package or group, option)
    for stage in READERS
    for group, _, package in (entry.partition("@") for entry in primary_defaults(stage))
    for option in config_groups()[group]
    if stage != "adapt" or f"{group}@{package}" not in primary_defaults("analyze") or group == "model"
]
"""Every option of every group of every stage; in adapt, only those that analyze does not cover already."""


@pytest.mark.parametrize("stage", READERS)
def test_every_option_of_every_group_is_composed_and_checked(stage):
    for owner, name, option in CHOICES:
        if owner == stage:
            side = ["target=qwen25vl"] if name == "target.layer" else []  # ltxv has no layer but final
            choice = f"{name.removesuffix('.model')}={option}"
            words = [*side, choice, *NEEDS.get(choice, ())]
            if (stage, choice) == ("extract", "data=precomputed"):  # samples without pictures: they fit no other model
                words += ["model=precomputed", "model.path=a.npz"]
            assert read(stage, *words), words


def test_every_file_of_conf_is_covered():
    composed = {(name.rpartition(".")[2], option) for _, name, option in CHOICES}
    shipped = {(file.parent.name, file.stem) for file in conf_dir().glob("*/*.yaml")}
    assert composed == shipped
    assert {file.stem for file in conf_dir().glob("*.yaml")} == {*READERS, "cache", "report"}
    assert {str(f.relative_to(conf_dir())) for f in conf_dir().glob("*/*/*.yaml")} == {
        "hydra/job_logging/foresight.yaml",
        "hydra/launcher/slurm.yaml",
    }


@pytest.mark.parametrize("stage", ["cache", "report"])
def test_configs_without_a_group_are_composed(stage):
    assert compose(stage)


@pytest.mark.parametrize("file", sorted(conf_dir().rglob("*.yaml")), ids=lambda file: str(file.relative_to(conf_dir())))
def test_config_is_data_and_starts_with_a_comment(file):
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert "_target_" not in text.partition("\nhydra:")[0]  # Hydra's own section names a class to call


@pytest.mark.parametrize(("group", "folder"), [("model", "models"), ("data", "data"), ("adapter", "adapters")])
def test_code_mirrors_conf(group, folder):
    """Each ``<group>=<name>`` has conf/<group>/<name>.yaml, a schema in GROUPS and code in <folder>/<name>.py."""
    options = set(config_groups()[group])
    assert set(GROUPS[group]) == options
    for name in options:
        assert (PACKAGE / folder / f"{name}.py").is_file()


def test_runner_mirrors_conf():
    modules = {file.stem for file in (PACKAGE / "extraction/runners").glob("*.py")}
    assert modules >= set(config_groups()["runner"])


@pytest.mark.parametrize("group", ["model", "data", "adapter"])
def test_each_file_has_the_keys_of_its_schema(group):
    import dataclasses

    from omegaconf import OmegaConf

    for name, schema in GROUPS[group].items():
        keys = set(OmegaConf.load(conf_dir() / group / f"{name}.yaml"))
        assert keys == {field.name for field in dataclasses.fields(schema)}, name


def test_layer_files_name_themselves():
    for option in config_groups()["layer"]:
        assert str(compose("extract", f"layer={option}").layer.index) == option
    numbered = {option for option in config_groups()["layer"] if option != "all"}
    assert numbered == {*map(str, ALL_LAYERS), "final"}


def test_model_of_each_option_opens_without_reading_weights():
    for name in config_groups()["model"]:
        model = open_model(read("extract", f"model={name}", *NEEDS.get(f"model={name}", ())).model)
        assert model.recipe("final")["name"] == name


# --- checked settings


def test_defaults_of_extract():
    config = read("extract")
    assert (config.model.name, config.layers, config.poolings) == ("qwen25vl", ("final",), ("channel_mean",))
    assert (config.weights, config.model.dtype, config.model.checkpoint) == (
        "hub",
        "auto",
        "Qwen/Qwen2.5-VL-7B-Instruct",
    )


def test_all_layers_and_poolings():
    config = read("extract", "layer=all", "pooling=all")
    assert (config.layers, config.poolings) == (None, ("channel_mean", "flat"))
    assert open_model(read("extract", "layer=all", "weights=tiny").model).all_layers() == (
        "4",
        "8",
        "16",
        "24",
        "final",
    )
    assert open_model(read("extract", "layer=all", "model=ltxv").model).all_layers() == ("final",)
    assert read("extract", "layer.index=[0,4,4,final]").layers == ("0", "4", "final")
    assert read("analyze").source.layers is None
    assert read("analyze").target.poolings is None


def test_weights_tiny_reaches_both_models():
    config = read("extract", "weights=tiny")
    assert (config.model.checkpoint, config.model.dtype, config.model.resolution) == ("tiny:qwen25vl", "auto", 112)
    assert read("analyze", "weights=tiny").target.model.checkpoint == "tiny:ltxv"


def test_a_path_of_digits_is_a_path():
    data = read("extract", "data=imagefolder", "data.path=2024").data
    assert data == ImageFolderConfig(name="imagefolder", path="2024", on_error="raise")


def test_each_side_has_separate_settings():
    config = read("adapt", "source=pixels", "source.model.resolution=4", "target=pixels", "adapter.hidden=8")
    assert (config.source.model.resolution, config.target.model.resolution) == (4, 8)
    assert isinstance(config.adapter, MLPConfig)
    assert config.split == (0.6, 0.2, 0.2)


# --- refusals


MULTIPLE = "it must be a multiple of"
REFUSED = [
    ("extract model=ltxv layer=8", "model=ltxv has no layer 8. It has one: layer=final"),
    ("extract model=pixels layer=4", "model=pixels has no layer 4. It has one: layer=final"),
    ("extract model=histogram layer.index=[final,0]", "model=histogram has no layer 0. It has one: layer=final"),
    ("analyze target.layer=8", "model=ltxv has no layer 8. It has one: layer=final"),
    ("adapt source=pixels layer=8", "model=pixels has no layer 8. It has one: layer=final"),
    ("extract layer.index=-1", "layer.index=-1: a layer is a whole number from 0 on, final, or all"),
    ("extract layer.index=4.5", "layer.index=4.5: a layer is a whole number from 0 on, final, or all"),
    ("extract layer.index=true", "layer.index=True: a layer is a whole number from 0 on, final, or all"),
    ("extract layer.index=last", "layer.index=last: a layer is a whole number from 0 on, final, or all"),
    ("extract layer.index=[]", "layer.index=[]: name at least one layer"),
    ("analyze layer.index=x", "source.layer.index=x: a layer is a whole number from 0 on, final, or all"),
    ("extract pooling.name=max", "pooling=max: choose one of channel_mean, flat, all"),
    ("extract layer=null", "layer=null: choose one of 4, 8, 16, 24, all, final"),
    ("extract ~pooling", "pooling=null: choose one of all, channel_mean, flat"),
    ("extract data=null", "data=null: choose one of hf, imagefolder, precomputed, shapes, video, webdataset"),
    (
        "adapt source=null",
        "source.model=null: choose one of autoencoder, histogram, ltxv, pixels, precomputed, qwen25vl, "
        "random_network, vision",
    ),
    ("adapt ~adapter", "adapter=null: choose one of linear, lowrank, mlp, query"),
    ("extract model=pixels ~weights", "weights=null: choose one of hub, tiny"),
    ("extract weights=null", "model.checkpoint: Interpolation key 'weights.qwen25vl.checkpoint' not found"),
    (
        "extract model.name=clip",
        "model=clip: choose one of qwen25vl, ltxv, vision, autoencoder, precomputed, pixels, histogram, random_network",
    ),
    ("extract data=imagefolder", "data.path is needed: add data.path=..."),
    ("extract data=imagefolder data.path=x data.on_error=stop", "data.on_error=stop: choose one of raise, skip"),
    ("extract model.dtype=float64", "model.dtype=float64: choose one of auto, float32, bfloat16, float16"),
    ("extract model=ltxv model.dtype=int8", "model.dtype=int8: choose one of auto, float32, bfloat16, float16"),
    ("extract model.tokens=first", "model.tokens=first: choose one of image, text, last, all"),
    ("extract model.resolution=100", f"model.resolution=100: {MULTIPLE} 28, for instance 112"),
    ("extract model.resolution=0", f"model.resolution=0: {MULTIPLE} 28, for instance 28"),
    ("extract model.resolution=-28", f"model.resolution=-28: {MULTIPLE} 28, for instance 28"),
    ("extract model=ltxv model.resolution=250", f"model.resolution=250: {MULTIPLE} 32, for instance 256"),
    ("extract model=pixels model.resolution=0", "model.resolution=0: it must be between 1 and 1024"),
    ("extract model=pixels model.resolution=1025", "model.resolution=1025: it must be between 1 and 1024"),
    (
        "extract model=pixels model.resolution=a",
        "model.resolution: Value 'a' of type 'str' could not be converted to Integer",
    ),
    ("extract model=histogram model.bins=1", "model.bins=1: it must be between 2 and 32"),
    ("extract model=histogram model.bins=33", "model.bins=33: it must be between 2 and 32"),
    ("extract model.final_norm=maybe", "model.final_norm: Value 'maybe' is not a valid bool (type str)"),
    ("extract model.prompt=null", "model.prompt: Incompatible value 'None' for field of type 'str'"),
    ("extract +model.colour=1", "model.colour: Key 'colour' not in 'Qwen25VLConfig'"),
    ("extract data.variant=q2", "data.variant=q2: choose one of default, q1"),
    ("extract data.per_category=0", "data.per_category=0: it must be at least 1"),
    (
        "extract data.per_category=1.5",
        "data.per_category: Value '1.5' of type 'float' could not be converted to Integer",
    ),
    ("extract data.seed=-1", "data.seed=-1: it must be at least 0"),
    ("extract data.size=31", "data.size=31: it must be between 32 and 4096"),
    ("extract dry_run=maybe", "dry_run=maybe: it must be true or false"),
    ("extract runner.workers=0", "runner.workers=0: it must be between 1 and 256"),
    ("extract data=video data.path=x data.frames=8", "data.frames=8: it must be 1 + 8k frames, for instance 9"),
    ("extract model.init=zero", "model.init=zero: choose one of pretrained, random"),
    ("extract batch_size=0", "batch_size=0: it must be at least 1"),
    ("extract batch_size=many", "batch_size=many: it must be a whole number or auto"),
    ("extract batch_size=1e3", "batch_size=1000.0: it must be a whole number or auto"),
    ("extract batch_size=true", "batch_size=True: it must be a whole number or auto"),
    ("extract rows_per_shard=0", "rows_per_shard=0: it must be at least 1"),
    ("extract cache_dir=", "cache_dir=: it must be text"),
    ("extract device=null", "device=None: it must be text"),
    ("analyze seed=-1", "seed=-1: it must be between 0 and 4294967295"),
    ("analyze seed=4294967296", "seed=4294967296: it must be between 0 and 4294967295"),
    ("analyze controls=null", "controls=None: it must be a list, for example controls=[a,b]"),
    ("adapt split=0.5", "split=0.5: it must be a list, for example split=[a,b]"),
    ("analyze max_rows=99", "max_rows=99: it must be at least 100"),
    ("analyze permutations=18", "permutations=18: it must be at least 19"),
    ("analyze folds=1", "folds=1: it must be between 2 and 50"),
    ("analyze neighbors=0", "neighbors=0: it must be between 1 and 100"),
    ("analyze controls=[clip]", "controls=clip: choose one of pixels, histogram, mean_rgb, random_network"),
    ("analyze thresholds.r2=1.5", "thresholds.r2=1.5: it must be between 0 and 1"),
    ("analyze thresholds.ceiling=nan", "thresholds.ceiling=nan: it must be between 0 and 1"),
    ("analyze thresholds.delta=-0.1", "thresholds.delta=-0.1: it must be between 0 and 1"),
    ("analyze thresholds.retention=1", "thresholds.retention=1.0: it must be from 0 to below 1, for instance 0.95"),
    ("analyze verdict.attributes=no", "verdict.attributes=no: choose one of required, waived"),
    ("analyze verdict.controls=none", "verdict.controls=none: choose one of required, waived"),
    ("analyze verdict.categories=off", "verdict.categories=off: choose one of required, waived"),
    ("analyze thresholds.min_groups=3", "thresholds.min_groups=3: it must be at least 20"),
    ("adapt adapter.max_parameters=0", "adapter.max_parameters=0: it must be at least 1"),
    ("adapt split=[0.5,0.5]", "split=[0.5, 0.5]: three shares above 0 that sum to 1, such as [0.6, 0.2, 0.2]"),
    ("adapt split=[0.5,0.5,0]", "split=[0.5, 0.5, 0.0]: three shares above 0 that sum to 1, such as [0.6, 0.2, 0.2]"),
    ("adapt split=[.6,.2,.3]", "split=[0.6, 0.2, 0.3]: three shares above 0 that sum to 1, such as [0.6, 0.2, 0.2]"),
    ("adapt split=[a,b,c]", "split=['a', 'b', 'c']: 'a' is not a number"),
    ("adapt seeds=0", "seeds=0: it must be between 1 and 20"),
    ("adapt memory_gb=-1", "memory_gb=-1.0: it must be at least 0"),
    ("adapt noise_ceiling=blur", "noise_ceiling=blur: choose one of none, jpeg, shift"),
    ("adapt adapter=lowrank adapter.rank=0", "adapter.rank=0: it must be at least 1"),
    ("adapt adapter=query adapter.width=10", "adapter.width=10: it must be a multiple of adapter.heads=4"),
    ("adapt adapter.loss=l1", "adapter.loss=l1: choose one of mse, cosine"),
    ("adapt adapter.expansion=0", "adapter.expansion=0: it must be between 1 and 16"),
    ("adapt adapter.hidden=0", "adapter.hidden=0: it must be at least 1"),
    ("adapt adapter.layers=4", "adapter.layers=4: it must be between 1 and 3"),
    ("adapt adapter.dropout=1", "adapter.dropout=1.0: it must be between 0 and 0.9"),
    ("adapt adapter.lr=0", "adapter.lr=0.0: it must be between 1e-07 and 1"),
    ("adapt adapter.weight_decay=-1", "adapter.weight_decay=-1.0: it must be at least 0"),
    ("adapt adapter.batch_size=0", "adapter.batch_size=0: it must be at least 1"),
    ("adapt adapter.epochs=0", "adapter.epochs=0: it must be at least 1"),
    ("adapt adapter.patience=0", "adapter.patience=0: it must be at least 1"),
]


@pytest.mark.parametrize(("words", "expected"), REFUSED, ids=[words for words, _ in REFUSED])
def test_refused_with_a_whole_message(words, expected):
    stage, *overrides = words.split()
    with pytest.raises(UsageError) as caught:
        read(stage, *overrides)
    assert str(caught.value) == expected
