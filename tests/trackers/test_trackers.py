"""Every real tracker: a stage runs with it, and the test reads back what it wrote."""

import json
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from foresight_cli.config import GROUPS, NoTrackerConfig
from foresight_cli.results import load_results
from foresight_cli.trackers import Tracking, open_tracking
from foresight_cli.trackers.tracker import flat
from tests.trackers.wandb_file import records

PAIR = ("source=pixels", "target=histogram", "source.pooling=flat", "pooling=channel_mean")
TRAIN = ("adapter=mlp", "adapter.epochs=3", "adapter.hidden=8", "seeds=1")


@pytest.fixture
def cached(run):
    for model, pooling in (("pixels", "flat"), ("histogram", "channel_mean")):
        done = run("extract", f"model={model}", f"pooling={pooling}", "data.per_category=20", "data.size=32")
        assert done.exit_code == 0, done.output
    return run


def adapted(cached, *args):
    done = cached("adapt", *PAIR, *TRAIN, "hydra.run.dir=out", *args)
    assert done.exit_code == 0, done.output
    assert "gets nothing more of this run" not in done.output
    return load_results(Path("out")), [json.loads(line) for line in Path("out/metrics.jsonl").read_text().splitlines()]


def epochs(lines):
    return [(line["number"], line["validation"]) for line in lines if line["run"] == "seed-0"]


def test_metrics_are_written_without_a_tracker_by_every_stage(cached):
    extracted = next(Path("outputs/extract").rglob("metrics.jsonl"))
    assert json.loads(extracted.read_text().splitlines()[-1])["samples"] == 160
    results, lines = adapted(cached)
    assert [number for number, _ in epochs(lines)] == [1, 2, 3]
    (test,) = (line for line in lines if line["run"] == "test adapter")
    assert test["r2"] == pytest.approx(results.scores[0].r2.value, rel=1e-8)
    done = cached("analyze", "source=pixels", "target=histogram", "permutations=19", "controls=[mean_rgb]",
                  "hydra.run.dir=analysis")  # fmt: skip
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in Path("analysis/metrics.jsonl").read_text().splitlines()]
    assert lines[-1] == {"verdict": load_results("analysis").verdict.line}
    assert lines[0]["run"] == "chosen"


def test_tensorboard(cached):
    event = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    results, lines = adapted(cached, "tracker=tensorboard")
    events = event.EventAccumulator("out/tensorboard")
    events.Reload()
    read = [(scalar.step, scalar.value) for scalar in events.Scalars("seed-0/validation")]
    assert [step for step, _ in read] == [1, 2, 3]
    assert [value for _, value in read] == pytest.approx([value for _, value in epochs(lines)], rel=1e-6)
    (test,) = events.Scalars("test adapter/r2")
    assert test.value == pytest.approx(results.scores[0].r2.value, rel=1e-5)
    text = events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "hidden: 8" in text


def test_wandb_offline(cached):
    pytest.importorskip("wandb")
    results, lines = adapted(cached, "tracker=wandb", "tracker.mode=offline", "tracker.project=mine")
    (file,) = Path("out/wandb").glob("offline-run-*/*.wandb")
    end = time.monotonic() + 60  # another process, of wandb, writes it, and may not have ended yet
    stored = []
    while [record.WhichOneof("record_type") for record in stored[-1:]] != ["exit"]:
        assert time.monotonic() < end
        time.sleep(0.1)
        stored = list(records(file))
    started = next(record.run for record in stored if record.WhichOneof("record_type") == "run")
    assert started.project == "mine"
    config = {item.key: json.loads(item.value_json) for item in started.config.update}
    assert config["adapter.hidden"] == 8
    history = [
        {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
        for record in stored
        if record.WhichOneof("record_type") == "history"
    ]
    read = [(row["step"], row["seed-0/validation"]) for row in history if "seed-0/validation" in row]
    assert read == epochs(lines)
    summary = {
        "/".join(item.nested_key) or item.key: json.loads(item.value_json)
        for record in stored
        if record.WhichOneof("record_type") == "summary"
        for item in record.summary.update
    }
    assert summary["test adapter/r2"] == pytest.approx(results.scores[0].r2.value, rel=1e-6)


@pytest.mark.filterwarnings("ignore:The ``noload``")  # MLflow's own, of SQLAlchemy 2.1
def test_mlflow(cached, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    results, lines = adapted(cached, "tracker=mlflow", "tracker.run=first")
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{Path('outputs/mlflow.db').absolute()}")
    experiment = client.get_experiment_by_name("foresight")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    assert run.data.params["adapter.hidden"] == "8"
    read = client.get_metric_history(run.info.run_id, "seed-0/validation")
    assert [(metric.step, metric.value) for metric in read] == epochs(lines)
    assert run.data.metrics["test adapter/r2"] == pytest.approx(results.scores[0].r2.value, rel=1e-6)
    assert "README.md" in {file.path for file in client.list_artifacts(run.info.run_id)}


def test_trackio(cached, monkeypatch, tmp_path):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio")
    _, lines = adapted(cached, "tracker=trackio", "tracker.run=first")
    with sqlite3.connect(tmp_path / "trackio" / "foresight.db") as database:
        rows = database.execute("select step, metrics from metrics where run_name = 'first' order by id").fetchall()
    read = [(step, json.loads(text)["seed-0/validation"]) for step, text in rows if b"seed-0/validation" in text]
    assert read == epochs(lines)


@pytest.mark.parametrize("name", sorted(set(GROUPS["tracker"]) - {"none"}))
def test_a_missing_package_is_named_before_any_work(run, monkeypatch, name):
    monkeypatch.setattr("foresight_cli.trackers.tracking.find_spec", lambda package: None)
    done = run("extract", "model=pixels", f"tracker={name}")
    assert done.exit_code == 1
    message = f"foresight extract: tracker={name} needs the package {name}: pip install 'foresight-latents[{name}]'\n"
    assert done.output == message
    assert not Path("outputs/cache").exists()


def test_a_tracker_that_cannot_start_is_reported_before_any_work(run):
    pytest.importorskip("mlflow")
    done = run("extract", "model=pixels", "tracker=mlflow", "tracker.tracking_uri=nowhere://x")
    assert done.exit_code == 1
    assert done.output.startswith("foresight extract: tracker=mlflow cannot start: ")
    assert done.output.endswith("To run without it, leave tracker= out\n")
    assert not Path("outputs/cache").exists()


class Broken:
    """A tracker whose server goes down after the first number."""

    def __init__(self):
        self.calls = 0

    def log(self, metrics, step=None):
        self.calls += 1
        if self.calls > 1:
            raise ConnectionError("no route to the server\nmore")

    def note(self, name, text):
        raise AssertionError("nothing more is sent")

    file = close = note


def test_a_tracker_that_fails_costs_no_run(tmp_path, caplog):
    broken = Broken()
    with Tracking(tmp_path / "metrics.jsonl", broken) as tracking:
        for step in (1, 2, 3):
            tracking.log("seed-0", {"train": step / 2}, step)
        tracking.note("verdict", "PIVOT")
        tracking.file(tmp_path)
    assert broken.calls == 2
    assert [record.getMessage() for record in caplog.records] == [
        "warning: Broken failed and gets nothing more of this run: ConnectionError: no route to the server"
    ]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[2] == {"run": "seed-0", "step": 3, "train": 1.5}
    assert lines[3] == {"verdict": "PIVOT"}


def test_without_a_tracker_none_is_imported(tmp_path):
    before = set(sys.modules)
    with open_tracking(NoTrackerConfig(), "adapt", tmp_path, {}) as tracking:
        tracking.log("a", {"b": 1.0})
    assert not {"wandb", "mlflow", "trackio", "tensorboard"} & (set(sys.modules) - before)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"run": "a", "b": 1.0}\n'


def test_settings_are_flat():
    assert flat({"a": {"b": {"c": 1}}, "d": None, "e": (1, 2)}) == {"a.b.c": 1, "e": "(1, 2)"}
