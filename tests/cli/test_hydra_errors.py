"""Errors of a stage: one or two lines, the exit status, and a traceback only where it helps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from foresight_cli.errors import ForesightError, UsageError

PIXELS = ("model=pixels", "data.per_category=2", "data.size=32")


WRONG = [
    (
        "extract model=qwen",
        "no option 'qwen' in group 'model'. Did you mean 'qwen25vl'?\n"
        "  model: autoencoder, histogram, ltxv, pixels, precomputed, qwen25vl, random_network, vision",
    ),
    ("extract modle=ltxv", "no setting 'modle'. Did you mean 'model'?"),
    ("extract bath_size=4", "no setting 'bath_size'. Did you mean 'batch_size'?"),
    ("extract model.resoluton=4", "no setting 'model.resoluton'. Did you mean 'model.resolution'?"),
    ("extract foo", "cannot read the override 'foo'. Write KEY=VALUE"),
    (
        "extract layer=[",
        "no option '[' in group 'layer'. A layer is a whole number from 0 on, final or all\n"
        "  layer: 4, 8, 16, 24, all, final",
    ),
    (
        "extract layer=4,8",
        "layer=4,8: a group takes one option. To run one job for each, add -m; for one pass over all write "
        "'layer.index=[4,8]'",
    ),
    (
        "extract layer=[4,8]",
        "layer=[4,8]: a group takes one option. To run one job for each, write layer=4,8 and add -m",
    ),
    ("extract layer=null", "layer=null: choose one of 4, 8, 16, 24, all, final"),
    (
        "extract ~model",
        "model=null: choose one of autoencoder, histogram, ltxv, pixels, precomputed, qwen25vl, random_network, vision",
    ),
    ("extract +layer=4", "Multiple values for layer. To override a value use 'override layer: 4'"),
    ("extract source=ltxv", "no setting 'source' in extract, which takes one model. Write model=..."),
    (
        "extract model@source.model=ltxv",
        "no setting 'model@source.model'. To list all settings: foresight extract --cfg job",
    ),
    ("analyze model=ltxv", "no config group 'model' here. Write source= or target="),
    (
        "adapt adapter=linear adapter.hidden=64",
        "no setting 'adapter.hidden' with adapter=linear; it belongs to adapter=mlp",
    ),
    ("analyze surce=ltxv", "no setting 'surce'. Did you mean 'source'?"),
    ("analyze source.layr=4", "no setting 'source.layr'. Did you mean 'source.layer'?"),
    (
        "adapt adapter=mpl",
        "no option 'mpl' in group 'adapter'. Did you mean 'mlp'?\n  adapter: linear, lowrank, mlp, query",
    ),
    ("extract hydra/launcher=jobib", "no option 'jobib' in group 'hydra/launcher'. Did you mean 'joblib'?\n  "),
]


@pytest.mark.parametrize(("words", "expected"), WRONG)
def test_wrong_override_is_one_short_error(run, words, expected):
    stage, *overrides = words.split()
    result = run(stage, *overrides)
    assert result.exit_code == 2
    message = result.stderr.removesuffix("\n")
    assert message == f"foresight {stage}: {expected}" or (
        expected.endswith("  ") and message.startswith(f"foresight {stage}: {expected}")
    )
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


def test_ctrl_c_in_a_job_reports_that_nothing_is_lost(run, monkeypatch):
    def interrupt(cfg):
        raise KeyboardInterrupt

    monkeypatch.setattr("foresight_cli.extract.run", interrupt)
    result = run("extract")
    expected = "foresight extract: stopped. Nothing finished is lost: run the same command again to resume\n"
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", expected)


def test_ctrl_c_stops_a_process_and_the_next_run_resumes(tmp_path, shell):
    words = ("extract", "model=pixels", "data.per_category=250", "data.size=128", "rows_per_shard=8")
    process = subprocess.Popen(
        [sys.executable, "-m", "foresight_cli", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a runner started in the background hands down an ignored SIGINT; a user's terminal does not
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert first.startswith("pixels: shard 0 committed, 8 of 2000 samples")
    assert process.returncode == 130
    assert stderr == "foresight extract: stopped. Nothing finished is lost: run the same command again to resume\n"
    shards = set(tmp_path.rglob("shard-*"))
    assert 0 < len(shards) < 250
    times = {path: path.stat().st_mtime_ns for path in shards}
    assert shell(*words).returncode == 0
    assert len(list(tmp_path.rglob("shard-*"))) == 250
    assert {path: path.stat().st_mtime_ns for path in shards} == times  # cached shards are not computed again


def test_settings_of_a_group_that_is_not_chosen(run):
    done = run("analyze", "data.per_category=20")
    assert done.exit_code == 2
    assert done.output == (
        "foresight analyze: no setting 'data.per_category': no data is chosen; it belongs to data=shapes\n"
    )


def test_a_silent_cluster_address_is_reported_at_once(run):
    done = run(
        "analyze", "runner=ray", "runner.address=127.0.0.1:1"
    )  # with an empty cache, which would be the next error
    assert done.exit_code == 1
    assert done.output.startswith("foresight analyze: runner.address=127.0.0.1:1: no Ray cluster answers (")
