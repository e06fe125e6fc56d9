"""The command line: overrides, flags, printed text, exit status, and the files of a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from foresight_cli.cli.overrides import for_hydra
from foresight_cli.config.tree import conf_dir

PIXELS = ("model=pixels", "data.per_category=2", "data.size=32")
HEAVY = ("torch", "numpy", "hydra", "omegaconf", "transformers", "diffusers", "PIL", "scipy", "sklearn", "matplotlib")


def jobs(root: str = "outputs/extract") -> list[Path]:
    return sorted(path.parents[1] for path in Path(root).rglob(".hydra/config.yaml"))


def composed(run, *args: str) -> dict:
    result = run(*args, "--cfg", "job")
    assert result.exit_code == 0, result.output
    return yaml.safe_load(result.stdout)


def compose(stage: str, *overrides: str) -> DictConfig:
    """Compose the config of ``foresight <stage> <overrides>`` without the cost of a run."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return hydra.compose(stage, for_hydra(stage, list(overrides)))


# --- traces of a run


def test_run_leaves_no_trace(run):
    argv, env = list(sys.argv), dict(os.environ)
    result = run("extract", *PIXELS)
    assert result.exit_code == 0, result.output
    assert sys.argv == argv
    assert dict(os.environ) == env
    assert not GlobalHydra.instance().is_initialized()


def test_failed_run_leaves_no_trace(run):
    argv, env = list(sys.argv), dict(os.environ)
    for wrong in ("modle=ltxv", "batch_size=0"):
        assert run("extract", wrong).exit_code == 2
        assert sys.argv == argv
        assert dict(os.environ) == env
        assert not GlobalHydra.instance().is_initialized()


def test_output_folder_holds_the_config_the_overrides_and_the_log(run):
    assert run("extract", *PIXELS).exit_code == 0
    (folder,) = jobs()
    assert folder.relative_to("outputs/extract").parts[0].count("-") == 2  # the date, then the time
    assert yaml.safe_load((folder / ".hydra/overrides.yaml").read_text()) == list(PIXELS)
    assert yaml.safe_load((folder / ".hydra/config.yaml").read_text())["model"]["name"] == "pixels"
    assert "pixels: shard 0 committed, 16 of 16 samples" in (folder / "extract.log").read_text()


def test_a_second_run_is_a_hit(run):
    run("extract", *PIXELS)
    result = run("extract", *PIXELS)
    entry = next(Path("outputs/cache/pixels/layer-final/channel_mean").iterdir())
    assert result.stdout.splitlines()[1:-1] == [  # after the warning about the small sample
        "pixels: 1 of 1 layers x poolings already in the cache",
        f"pixels layer=final channel_mean: 16 rows -> {entry}",
    ]


# --- overrides


@pytest.mark.parametrize(
    "words", [("layer=4", "--cfg", "job"), ("--cfg", "job", "layer=4"), ("batch_size=3", "--cfg", "job", "layer=4")]
)
def test_overrides_may_come_before_and_after_flags(run, words):
    result = run("extract", *words)
    assert result.exit_code == 0, result.output
    assert yaml.safe_load(result.stdout)["layer"] == {"index": 4}


@pytest.mark.parametrize(
    ("sweep", "layers"),
    [
        ("layer=4,8,final", ["4", "8", "final"]),
        ("layer=choice(4,8,final)", ["4", "8", "final"]),
        ("layer=glob(*)", ["4", "8", "16", "24", "final"]),
        ("layer=glob([*4,f*])", ["4", "24", "final"]),
        ("layer=range(8,25,8)", ["8", "16", "24"]),
        ("layer.index=range(1,4)", ["1", "2", "3"]),
    ],
)
def test_sweep_runs_one_job_for_each_value(run, monkeypatch, sweep, layers):
    seen = []
    monkeypatch.setattr("foresight_cli.extract.run", lambda cfg: seen.append(str(cfg.layer.index)))
    result = run("extract", "-m", sweep)
    assert result.exit_code == 0, result.output
    assert seen == layers
    assert [p.name for p in jobs()] == [f"{i}_qwen25vl_layer-{layer}_channel_mean" for i, layer in enumerate(layers)]


def test_sweep_of_two_groups_runs_every_combination(run, monkeypatch):
    seen = []
    monkeypatch.setattr("foresight_cli.extract.run", lambda cfg: seen.append((cfg.model.name, cfg.pooling.name)))
    assert run("extract", "model=pixels,histogram", "-m", "pooling=flat,channel_mean").exit_code == 0
    assert seen == [(m, p) for m in ("pixels", "histogram") for p in ("flat", "channel_mean")]


SHORT_NAMES = [
    ("source=pixels", ("source", "model", "name"), "pixels"),
    ("target=histogram", ("target", "model", "name"), "histogram"),
    ("layer=4", ("source", "layer", "index"), 4),
    ("layer.index=5", ("source", "layer", "index"), 5),
    ("++layer.index=5", ("source", "layer", "index"), 5),
    ("pooling=flat", ("target", "pooling", "name"), "flat"),
    ("source.layer=8", ("source", "layer", "index"), 8),
    ("source.pooling=flat", ("source", "pooling", "name"), "flat"),
    ("target.layer=final", ("target", "layer", "index"), "final"),
    ("source.model.prompt=Look.", ("source", "model", "prompt"), "Look."),
    ("model@source.model=pixels", ("source", "model", "name"), "pixels"),
]


@pytest.mark.parametrize("stage", ["analyze", "adapt"])
def test_short_names_of_the_two_sides(stage):
    plain = compose(stage)
    for override, (side, *path), value in SHORT_NAMES:
        config = compose(stage, override)
        node = config[side]
        for name in path:
            node = node[name]
        assert node == value, override
        other = {"source": "target", "target": "source"}[side]
        assert config[other] == plain[other], override


def test_bare_layer_and_pooling_leave_the_other_side_alone(run):
    config = composed(run, "adapt", "layer=4", "pooling=flat")
    assert (config["source"]["layer"], config["source"]["pooling"]) == ({"index": 4}, {"name": "channel_mean"})
    assert (config["target"]["layer"], config["target"]["pooling"]) == ({"index": "final"}, {"name": "flat"})


def test_data_null_is_the_default_of_analyze(run):
    assert composed(run, "analyze", "data=null") == composed(run, "analyze")
    assert composed(run, "analyze", "data=shapes")["data"]["name"] == "shapes"


# --- Hydra's own flags


def test_cfg_prints_the_job_and_runs_nothing(run):
    assert composed(run, "extract", "layer=4")["layer"] == {"index": 4}
    assert not Path("outputs").exists()


def test_cfg_resolves_and_picks_a_package(run):
    result = run("extract", "--cfg", "job", "--resolve", "--package", "model", "weights=tiny")
    assert yaml.safe_load(result.stdout)["checkpoint"] == "tiny:qwen25vl"


def test_info_lists_the_plugins_and_the_defaults(run):
    assert "hydra_plugins.hydra_joblib_launcher" in run("extract", "--info", "plugins").stdout
    assert "model: pixels" not in run("extract", "--info", "defaults-tree").stdout
    assert "model: pixels" in run("extract", "--info", "defaults-tree", "model=pixels").stdout


def test_config_dir_adds_an_option(run, tmp_path):
    (tmp_path / "configs/data").mkdir(parents=True)
    (tmp_path / "configs/data/few.yaml").write_text(
        "name: shapes\nvariant: default\nper_category: 1\nseed: 7\nsize: 32\n"
    )
    result = run("extract", "--config-dir", "configs", "data=few", "model=pixels")
    assert result.exit_code == 0, result.output
    assert "8 rows" in result.stdout


def test_config_name_composes_another_primary_config(run, tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/quick.yaml").write_text("defaults: [extract, _self_]\nbatch_size: 3\n")
    assert composed(run, "extract", "--config-dir", "configs", "--config-name", "quick")["batch_size"] == 3


# --- help


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from foresight_cli.cli import app\n"
        "for words in (['--help'], ['--version'], []):\n"
        "    CliRunner().invoke(app, words)\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & set(sys.argv[1:])))\n"
    )
    result = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_help_lists_what_is_imported():
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import foresight_cli.cli\n"
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(result.stdout.split()) <= {
        "annotated_doc", "click", "foresight_cli", "rich", "shellingham", "typer", "typing_extensions",
    }  # fmt: skip


def test_help_names_every_stage(shell):
    result = shell("--help")
    assert result.returncode == 0
    for stage in ("extract", "analyze", "adapt", "report", "cache"):
        assert f" {stage} " in result.stdout


def test_help_of_a_stage_lists_its_groups(run):
    result = run("extract", "--help")
    assert result.exit_code == 0
    assert "layer=    4  8  16  24  all  final" in result.stdout
    assert "source=" in run("analyze", "--help").stdout


def test_version(run):
    from foresight_cli import __version__

    assert run("--version").stdout == f"foresight {__version__}\n"
