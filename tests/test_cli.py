"""The command line: what a user types, what is printed, the exit status, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
import yaml
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig
from typer.testing import CliRunner

from foresight_cli.cli import app
from foresight_cli.config_groups import conf_dir
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.overrides import for_hydra

PIXELS = ("model=pixels", "data.per_category=2", "data.size=32")
HEAVY = ("torch", "numpy", "hydra", "omegaconf", "transformers", "diffusers", "PIL", "scipy", "sklearn", "matplotlib")


def jobs(root: str = "outputs/extract") -> list[Path]:
    return sorted(path.parents[1] for path in Path(root).rglob(".hydra/config.yaml"))


def composed(run, *args: str) -> dict:
    result = run(*args, "--cfg", "job")
    assert result.exit_code == 0, result.output
    return yaml.safe_load(result.stdout)


def compose(stage: str, *overrides: str) -> DictConfig:
    """The config of ``foresight <stage> <overrides>``, without the cost of a run."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return hydra.compose(stage, for_hydra(stage, list(overrides)))


# --- what a run leaves behind


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
    assert "pixels: shard 0 committed, 16 of 16 images" in (folder / "extract.log").read_text()


def test_a_second_run_is_a_hit(run):
    run("extract", *PIXELS)
    result = run("extract", *PIXELS)
    entry = next(Path("outputs/cache/pixels/layer-final/channel_mean").iterdir())
    assert result.stdout == (
        f"1 of 1 already in the cache\npixels layer=final channel_mean: 16 rows -> {entry}\n"
    )


# --- overrides


@pytest.mark.parametrize(
    "words", [("layer=4", "--cfg", "job"), ("--cfg", "job", "layer=4"), ("batch_size=3", "--cfg", "job", "layer=4")]
)
def test_overrides_stand_before_and_after_flags(run, words):
    result = run("extract", *words)
    assert result.exit_code == 0, result.output
    assert yaml.safe_load(result.stdout)["layer"] == {"index": 4}


@pytest.mark.parametrize(
    ("sweep", "layers"),
    [
        ("layer=4,8,final", ["4", "8", "final"]),
        ("layer=choice(4,8,final)", ["4", "8", "final"]),
        ("layer=glob(*)", ["4", "8", "16", "24", "all", "final"]),
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


def test_config_dir_adds_an_option_of_the_users_own(run, tmp_path):
    (tmp_path / "mine/data").mkdir(parents=True)
    (tmp_path / "mine/data/few.yaml").write_text(
        "name: shapes\nvariant: default\nper_category: 1\nseed: 7\nsize: 32\n"
    )
    result = run("extract", "--config-dir", "mine", "data=few", "model=pixels")
    assert result.exit_code == 0, result.output
    assert "8 rows" in result.stdout


def test_config_name_composes_another_primary_config(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/quick.yaml").write_text("defaults: [extract, _self_]\nbatch_size: 3\n")
    assert composed(run, "extract", "--config-dir", "mine", "--config-name", "quick")["batch_size"] == 3


# --- errors: one or two lines, and the exit status


WRONG = [
    ("extract layer=5", "no option '5' in group 'layer'.\n  layer: 4, 8, 16, 24, all, final"),
    (
        "extract model=qwen",
        "no option 'qwen' in group 'model'. Did you mean 'qwen25vl'?\n  model: histogram, ltxv, pixels, qwen25vl",
    ),
    ("extract modle=ltxv", "no setting 'modle'. Did you mean 'model'?"),
    ("extract bath_size=4", "no setting 'bath_size'. Did you mean 'batch_size'?"),
    ("extract model.resoluton=4", "no setting 'model.resoluton'. Did you mean 'model.resolution'?"),
    ("extract foo", "cannot read the override 'foo'. Write KEY=VALUE"),
    ("extract layer=[", "cannot read the override 'layer=['. Write KEY=VALUE"),
    (
        "extract layer=4,8",
        "Ambiguous value for argument 'layer='4','8''. To run one job for each value, add -m",
    ),
    (
        "extract layer=[4,8]",
        "layer=[4,8]: a group takes one option. To run one job for each, write layer=4,8 and add -m",
    ),
    ("extract layer=null", "layer=null: choose one of 4, 8, 16, 24, all, final"),
    ("extract ~model", "model=null: choose one of histogram, ltxv, pixels, qwen25vl"),
    ("extract +layer=4", "Multiple values for layer. To override a value use 'override layer: 4'"),
    ("extract source=ltxv", "no setting 'source'."),
    ("extract model@source.model=ltxv", "no config group 'model@source.model' here."),
    ("analyze model=ltxv", "no config group 'model' here. Write source= or target="),
    ("analyze surce=ltxv", "no setting 'surce'. Did you mean 'source'?"),
    ("analyze source.layr=4", "no setting 'source.layr'. Did you mean 'source.layer'?"),
    (
        "adapt adapter=mpl",
        "no option 'mpl' in group 'adapter'. Did you mean 'mlp'?\n  adapter: linear, mlp",
    ),
    ("extract hydra/launcher=jobib", "no option 'jobib' in group 'hydra/launcher'. Did you mean 'joblib'?\n  "),
]


@pytest.mark.parametrize(("words", "says"), WRONG)
def test_wrong_override_is_one_short_error(run, words, says):
    stage, *overrides = words.split()
    result = run(stage, *overrides)
    assert result.exit_code == 2
    said = result.stderr.removesuffix("\n")
    assert said == f"foresight {stage}: {says}" or (says.endswith("  ") and said.startswith(f"foresight {stage}: {says}"))
    assert result.stdout == ""
    assert not Path("outputs/cache").exists()


def test_multirun_with_cfg_is_refused(run):
    result = run("extract", "-m", "--cfg", "job")
    assert result.exit_code == 2
    assert "give only one of --multirun, --cfg and --info" in result.stderr


@pytest.mark.parametrize(("error", "status"), [(ForesightError("the disk is on fire"), 1), (UsageError("no such"), 2)])
def test_users_error_in_a_job_is_one_line(run, monkeypatch, error, status):
    def fail(cfg):
        raise error

    monkeypatch.setattr("foresight_cli.extract.run", fail)
    result = run("extract")
    assert (result.exit_code, result.stdout, result.stderr) == (status, "", f"foresight extract: {error}\n")


def test_users_error_in_a_sweep_names_the_job(run):
    result = run("extract", "-m", "model=pixels,ltxv", "layer=8")
    assert result.exit_code == 2
    assert result.stderr == (
        "Error executing job with overrides: ['model=pixels', \"layer='8'\"]\n"
        "foresight extract: model=pixels has no layer 8. It has one: layer=final\n"
    )


def test_unknown_error_in_a_job_keeps_its_own_traceback(run, monkeypatch):
    def divide(cfg):
        return 1 / 0

    monkeypatch.setattr("foresight_cli.extract.run", divide)
    result = run("extract")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert lines[:2] == ["Error executing job with overrides: []", "Traceback (most recent call last):"]
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert [line for line in lines if line.startswith("  File")] == [
        f'  File "{__file__}", line {divide.__code__.co_firstlineno + 1}, in divide'
    ]


@pytest.mark.parametrize(("override", "error"), [("batch_size=0", UsageError), ("modle=3", Exception)])
def test_hydra_full_error_gives_the_traceback(run, monkeypatch, override, error):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    result = run("extract", *PIXELS, override)
    assert result.exit_code == 1
    assert isinstance(result.exception, error)
    assert os.environ["HYDRA_FULL_ERROR"] == "1"


def test_hydra_full_error_prints_the_traceback(shell):
    result = shell("extract", "batch_size=0", HYDRA_FULL_ERROR="1")
    assert result.returncode == 1
    assert "Traceback (most recent call last):" in result.stderr
    assert "in extract_config" in result.stderr
    assert result.stderr.endswith("foresight_cli.errors.UsageError: batch_size=0: it must be at least 1\n")


def test_ctrl_c_in_a_job_says_that_nothing_is_lost(run, monkeypatch):
    def interrupt(cfg):
        raise KeyboardInterrupt

    monkeypatch.setattr("foresight_cli.extract.run", interrupt)
    result = run("extract")
    says = "foresight extract: stopped. Nothing finished is lost: run the same command again to go on\n"
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", says)


def test_ctrl_c_stops_a_process_which_then_goes_on(tmp_path, shell):
    words = ("extract", "model=pixels", "data.per_category=25", "data.size=64", "rows_per_shard=2")
    process = subprocess.Popen(
        [sys.executable, "-m", "foresight_cli", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert first.startswith("pixels: shard 0 committed, 2 of 200 images")
    assert process.returncode == 130
    assert said == "foresight extract: stopped. Nothing finished is lost: run the same command again to go on\n"
    shards = set(tmp_path.rglob("shard-*"))
    assert 0 < len(shards) < 100
    times = {path: path.stat().st_mtime_ns for path in shards}
    assert shell(*words).returncode == 0
    assert len(list(tmp_path.rglob("shard-*"))) == 100
    assert {path: path.stat().st_mtime_ns for path in shards} == times  # what was there was not done again


# --- help, completion and speed


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


def completed(*words: str) -> list[str]:
    """What bash is offered for the last of ``words``, as typer's completion script asks."""
    env = {"_FORESIGHT_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    return CliRunner().invoke(app, [], prog_name="foresight", env=env).stdout.split()


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        (("extract", "la"), ["layer=4", "layer=8", "layer=16", "layer=24", "layer=all", "layer=final"]),
        (("extract", "model=p"), ["model=pixels"]),
        (("extract", "layer=4,"), ["layer=4,8", "layer=4,16", "layer=4,24", "layer=4,all", "layer=4,final"]),
        (("extract", "layer=4,f"), ["layer=4,final"]),
        (("extract", "nope=x"), []),
        (("analyze", "source"), ["source.model=", "source=", "source.layer=", "source.pooling="]),
        (("analyze", "source=q"), ["source=qwen25vl"]),
        (("analyze", "pooling=f"), ["pooling=flat"]),
        (("adapt", "adapter=m"), ["adapter=mlp"]),
        (("cache", "v"), ["verify"]),
    ],
)
def test_completion(words, offers):
    assert completed("foresight", *words) == offers


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        (("extract", "model", "=", ""), ["histogram", "ltxv", "pixels", "qwen25vl"]),
        (("extract", "model", "=", "q"), ["qwen25vl"]),
        (("extract", "model", "=", "pixels", "layer", "=", "4,f"), ["4,final"]),
    ],
)
def test_completion_where_bash_breaks_words_at_the_equals_sign(words, offers):
    assert completed("foresight", *words) == offers


def test_completion_through_the_shell(tmp_path):
    env = {**os.environ, "_FORESIGHT_COMPLETE": "complete_bash", "COMP_WORDS": "foresight extract la", "COMP_CWORD": "2"}
    result = subprocess.run(
        [Path(sys.executable).with_name("foresight")], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.stdout.split() == [f"layer={option}" for option in ("4", "8", "16", "24", "all", "final")]


def test_version(run):
    from foresight_cli import __version__

    assert run("--version").stdout == f"foresight {__version__}\n"


# --- cache ls, cache verify


def test_cache_before_anything_is_extracted(run):
    result = run("cache", "ls")
    assert (result.exit_code, result.stderr) == (
        1,
        "foresight cache: no cache at outputs/cache: run foresight extract first, or say where it is with cache_dir=DIR\n",
    )


def test_cache_ls_and_verify(run):
    run("extract", *PIXELS, "pooling=all")
    listed = run("cache", "ls")
    entries = sorted(Path("outputs/cache").glob("*/*/*/*"))
    assert [line.split() for line in listed.stdout.splitlines()[1:]] == [
        ["pixels", "final", entry.parent.name, "shapes", "16", "0.0", "MB", "complete", entry.name] for entry in entries
    ]
    assert run("cache", "verify").stdout == "".join(f"{entry}: whole\n" for entry in entries)
    assert len(jobs()) == 1  # looking at the cache leaves no folder behind


def test_cache_verify_names_the_shard_with_a_flipped_bit(run):
    run("extract", *PIXELS, "rows_per_shard=4")
    (entry,) = Path("outputs/cache").glob("*/*/*/*")
    shard = sorted(entry.glob("shard-00002*"))[0]
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    result = run("cache", "verify")
    assert result.exit_code == 1
    assert result.stdout == (
        f"{entry}: {shard} does not match its hash: its bytes changed on the disk. It was moved aside; "
        "run the same extract again to redo shard 2 alone\n"
    )
    assert result.stderr == (
        "foresight cache: 1 of 1 entries are damaged: run their extract again to redo those shards\n"
    )
    assert "3 of 4 shards" in run("cache", "ls").stdout
    assert "pixels: shard 2 committed, 4 of 4 images" in run("extract", *PIXELS, "rows_per_shard=4").stdout
    assert run("cache", "verify").stdout == f"{entry}: whole\n"


def test_cache_verify_goes_on_after_a_recipe_that_cannot_be_read(run):
    run("extract", *PIXELS, "pooling=all")
    mean, flat = sorted(Path("outputs/cache").glob("*/*/*/*"))
    (mean / "recipe.json").write_text("{")
    result = run("cache", "verify")
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{mean}: cannot read {mean}/recipe.json: ")
    assert second == f"{flat}: whole"
    listed = run("cache", "ls")
    assert listed.exit_code == 0
    assert "unreadable" in listed.stdout
