import dataclasses
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import yaml

from foresight_cli.reporting.adapter_sizes import (
    HEADER,
    Sized,
    advice,
    named,
    recommended,
    sizes_figure,
    standard_error,
    table_rows,
)
from foresight_cli.reporting.figures.style import encode, style
from foresight_cli.results import Estimate, load_results, save_results
from foresight_cli.sweep import SweepEnd, _table, summarise
from tests.test_adapt import PAIR, cached, made, refused, typed

example = SimpleNamespace(**run_path(str(Path(__file__).parent / "reporting/example.py")))
__all__ = ["cached", "made"]


def sized(name, parameters, validation, error=0.01, r2=None):
    found = example.adapter("mlp", r2=validation if r2 is None else r2)
    own = dataclasses.replace(found.scores[0], parameters=parameters)
    results = dataclasses.replace(found, scores=[own, *found.scores[1:]], r2_validation=Estimate.of(validation, error))
    return Sized(name, results)


@pytest.mark.parametrize(
    ("adapters", "wanted"),
    [
        ([("a", 100, 0.50), ("b", 1000, 0.505), ("c", 9000, 0.51)], "a"),  # 0.51 - 0.01 is reached
        ([("a", 100, 0.4999), ("b", 1000, 0.505), ("c", 9000, 0.51)], "b"),
        ([("a", 100, 0.30), ("b", 1000, 0.40), ("c", 9000, 0.51)], "c"),
        ([("a", 100, 0.50), ("b", 100, 0.502), ("c", 9000, 0.51)], "b"),  # as small and better
        ([("a", 9000, 0.4)], "a"),
    ],
)
def test_the_smallest_within_one_standard_error_of_the_best(adapters, wanted):
    found = [sized(*one) for one in adapters]
    assert standard_error(found[0]) == pytest.approx(0.01)
    assert recommended(found).name == wanted


def test_the_test_rows_do_not_choose():
    assert recommended([sized("a", 100, 0.3, r2=0.9), sized("b", 900, 0.5, r2=0.1)]).name == "b"


def test_the_advice():
    found = [sized("adapter=mlp adapter.hidden=8", 100, 0.50), sized("adapter=mlp adapter.hidden=64", 9000, 0.505)]
    assert advice(found) == (
        "Take adapter=mlp adapter.hidden=8 (100 parameters): the smallest within one standard error of the best, "
        "adapter=mlp adapter.hidden=64 (9,000). On the test rows ridge (8,320 parameters) is better: "
        "this adds -0.051 (-0.090 to -0.012) of R²."
    )
    assert advice(found[1:]).endswith("the best validation R². On the test rows ridge (8,320 parameters) is better: "
                                      "this adds -0.046 (-0.085 to -0.007) of R².")  # fmt: skip
    assert advice([sized("x", 9, 0.7)]).endswith(
        "It gains 0.149 (0.110 to 0.188) of test R² over ridge (8,320 parameters)."
    )


def test_the_advice_where_nothing_is_gained():
    line = dataclasses.replace(sized("adapter=linear", 8320, 0.60).results, adapter="linear")
    found = [Sized("adapter=linear", line), sized("adapter=mlp", 90_000, 0.605)]
    assert advice(found) == (
        "Take adapter=linear (8,320 parameters): the smallest within one standard error of the best, adapter=mlp "
        "(90,000). It is ridge, and no other gains more than a standard error over it."
    )
    assert advice(found[:1]) == "Take adapter=linear (8,320 parameters): the best validation R²."
    assert advice([sized("adapter=mlp", 90_000, 0.57)]) == (
        "Take adapter=mlp (90,000 parameters): the best validation R². It ties with ridge (8,320 parameters)."
    )


def test_the_table():
    rows = table_rows(
        [sized("adapter=mlp adapter.lr=0.009213922503237154", 9000, 0.5), sized("adapter=linear", 100, 0.6)]
    )
    assert rows[0] == (
        "linear", "100", "0.600 ± 0.010", "0.600 (0.561 to 0.639)", "better: 0.049 (0.010 to 0.088)", "x: 0.24",
    )  # fmt: skip
    assert rows[1][0] == "mlp lr=0.00921"


def test_names_tell_what_differs():
    settings = [{"name": "mlp", "hidden": 8, "lr": 1}, {"name": "mlp", "hidden": 64, "lr": 1}, {"name": "linear"}]
    adapters = [dataclasses.replace(example.adapter(one["name"]), settings={"adapter": one}) for one in settings]
    assert [one.name for one in named(adapters)] == [
        "adapter=mlp adapter.hidden=8", "adapter=mlp adapter.hidden=64", "adapter=linear",
    ]  # fmt: skip


def test_the_figure_is_the_same_at_every_run():
    found = [sized("adapter=mlp", 100, 0.50), sized("adapter=query", 9000, 0.505), sized("adapter=linear", 900, 0.4)]
    with style():
        assert encode(sizes_figure(found)) == encode(sizes_figure(found))


def test_the_figure_names_each_size_once_and_marks_the_advised():
    found = [sized("adapter=mlp source.pooling=flat adapter.lr=0.1", 100, 0.40, r2=0.3), sized("adapter=mlp", 100, 0.3),
             sized("adapter=query", 9000, 0.405, r2=0.5)]  # fmt: skip
    with style():
        (panel,) = sizes_figure(found).axes
    assert panel.get_xscale() == "log"
    said = [text.get_text() for text in panel.texts]
    assert said[:-1] == ["mlp\npooling=flat\nlr=0.1", "query", "ridge 0.551\n8,320"]
    (circle,) = [line for line in panel.lines if line.get_markersize() == 13]
    assert [*circle.get_xdata(), *circle.get_ydata()] == [100, 0.3]
    bars = [line.get_ydata() for line in panel.lines if len(line.get_ydata()) == 2][:3]
    assert [tuple(bar) for bar in bars] == [(one.own.r2.low, one.own.r2.high) for one in found]


@pytest.mark.parametrize(
    ("width", "cells"),
    [
        (130, ["0.600 ± 0.010", "0.600 (0.561 to 0.639)", "better: 0.049 (0.010 to 0.088)"]),
        (100, ["0.600\n± 0.010", "0.600\n(0.561 to 0.639)", "better: 0.049\n(0.010 to 0.088)"]),
        (80, ["0.600\n± 0.010", "0.600\n(0.561 to 0.639)", "better: 0.049"]),
    ],
)
def test_the_table_on_narrow_terminals(width, cells):
    table = _table("a to b", [HEADER, *table_rows([sized("adapter=linear", 100, 0.6)])], width)
    assert [next(iter(column.cells)) for column in table.columns[2:5]] == cells


def test_a_sweep_ends_in_one_table_and_one_figure(cached, tmp_path):
    result = cached("adapt", "-m", *PAIR, "adapter=linear,lowrank", "adapter.max_parameters=12000")
    assert result.exit_code == 1
    (folder,) = tmp_path.glob("outputs/adapt/multirun/*/*")
    refusal = (
        "adapter=linear from 192 to 64 values has 12,352 parameters, over adapter.max_parameters=12,000. "
        "Take adapter=lowrank adapter.rank=46 or less, or raise adapter.max_parameters="
    )
    assert result.output.splitlines()[-1].endswith(f"left out, 0_linear: {refusal}")
    said = (folder / "sweep.md").read_text()
    results = load_results(folder / "1_lowrank/results.yaml")
    assert f"| lowrank | {results.scores[0].parameters:,} | {results.r2_validation.value:.3f} ± " in said
    assert "Take adapter=lowrank (" in said
    assert "Take adapter=lowrank (" in result.output
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert not (folder / "0_linear/adapter.safetensors").exists()
    again = f"hydra.sweep.dir={folder}"
    allowed = typed(cached, "adapt", "-m", *PAIR, "adapter=linear,lowrank", again)
    assert "left out, 0_linear" not in allowed.output
    assert "| linear | 12,352 |" in (folder / "sweep.md").read_text()
    again_refused = cached("adapt", "-m", *PAIR, "adapter=linear,lowrank", "adapter.max_parameters=12000", again)
    assert again_refused.output.splitlines()[-1].endswith(f"left out, 0_linear: {refusal}")
    assert "| linear |" not in (folder / "sweep.md").read_text()


def test_a_job_that_breaks_down_hides_none_of_the_others(cached, tmp_path, monkeypatch):
    from foresight_cli import adapt

    def fit(config, *rest):
        if config.adapter.name == "linear":
            raise MemoryError("2 TB\nmore")
        return kept(config, *rest)

    kept = adapt._fit
    monkeypatch.setattr(adapt, "_fit", fit)
    result = cached("adapt", "-m", *PAIR, "adapter=linear,lowrank")
    assert result.exit_code == 1
    assert "\n0_linear broke down\nTraceback (most recent call last):\n" in result.stdout
    assert ", in fit\n" in result.stdout
    assert "\nMemoryError: 2 TB\nmore\n" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("left out, 0_linear: MemoryError: 2 TB")
    (folder,) = tmp_path.glob("outputs/adapt/multirun/*/*")
    said = (folder / "sweep.md").read_text()
    assert "| lowrank |" in said
    assert "| linear |" not in said


def three_jobs(folder):
    """Two sources of one target, and one of another."""
    spaces = [("qwen25vl layer 4 flat", "k4", "t1", 0.2), ("qwen25vl layer 8 flat", "k8", "t1", 0.6),
              ("qwen25vl layer 8 flat", "k8", "t2", 0.9)]  # fmt: skip
    for number, (source, from_key, to_key, r2) in enumerate(spaces):
        place = folder / f"{number}_mlp"
        (place / ".hydra").mkdir(parents=True)
        found = example.adapter("mlp", source, f"ltxv {to_key}", r2=r2, keys=[from_key, to_key])
        save_results(found, place / "results.yaml")
        words = [f"layer@source.layer='{from_key[1]}'", f"pooling@target.pooling={to_key}", "adapter=mlp", "seed=7"]
        (place / ".hydra/overrides.yaml").write_text(yaml.safe_dump(words))


def test_a_figure_that_fails_takes_no_table_with_it(tmp_path, monkeypatch, caplog):
    def fail(_):
        raise MemoryError("no room")

    monkeypatch.setattr("foresight_cli.reporting.adapter_sizes.sizes_figure", fail)
    three_jobs(tmp_path)
    summarise(tmp_path)
    lines = (tmp_path / "sweep.md").read_text().splitlines()
    assert sum(line.startswith("## ") for line in lines) == 2
    for name in ("sweep", "sweep-2"):
        line = f"figure {name} could not be drawn: no room"
        assert line in lines
        assert f"warning: {line}" in caplog.messages
    assert not list(tmp_path.glob("*.png"))


def test_sources_of_one_target_share_a_table_and_targets_do_not(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    three_jobs(tmp_path)
    summarise(tmp_path)
    lines = (tmp_path / "sweep.md").read_text().splitlines()
    assert [line for line in lines if line.startswith("## ")] == [
        "## qwen25vl layer 4 flat, qwen25vl layer 8 flat to ltxv t1",
        "## qwen25vl layer 8 flat to ltxv t2",
    ]
    assert [line.partition(" (")[0] for line in lines if line.startswith("Take ")] == [
        "Take adapter=mlp source.layer=8 target.pooling=t1",
        "Take adapter=mlp source.layer=8 target.pooling=t2",
    ]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["sweep-2.png", "sweep.png"]
    assert "mlp source.layer=4 target.pooling=t1" in " ".join(capsys.readouterr().out.split())


def test_the_objective_of_a_sweeper_is_the_validation_r2(cached, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(SweepEnd, "on_job_end", lambda self, config, job_return, **_: seen.append(job_return))
    typed(cached, "adapt", "-m", *PAIR, "adapter=linear")
    (path,) = tmp_path.glob("outputs/adapt/multirun/*/*/*/results.yaml")
    assert [job.return_value for job in seen] == [pytest.approx(load_results(path).r2_validation.value, rel=1e-8)]


def test_a_sweep_over_sizes_is_told_by_size(cached, tmp_path):
    typed(cached, "adapt", "-m", *PAIR, "adapter.hidden=4,8", "adapter.epochs=2", "seeds=1")
    (path,) = tmp_path.glob("outputs/adapt/multirun/*/*/sweep.md")
    assert "| mlp hidden=4 |" in path.read_text()
    assert "| mlp hidden=8 |" in path.read_text()


def test_optuna_maximises_the_validation_r2(cached, tmp_path, shell):
    """In a process of its own: the plugin warns of what its libraries no longer like."""
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    sweeper = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1")
    space = ("hydra.sweeper.direction=maximize", "adapter.hidden=choice(4,8)", "adapter.epochs=3", "seeds=1")
    done = shell("adapt", "-m", *PAIR, *sweeper, *space)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("outputs/adapt/multirun/*/*")
    best = yaml.safe_load((folder / "optimization_results.yaml").read_text())["best_value"]
    trials = [load_results(path).r2_validation.value for path in folder.glob("*/results.yaml")]
    assert len(trials) == 3
    assert best == pytest.approx(max(trials), abs=1e-8)


def test_one_refused_job_of_one(cached):
    assert refused(cached, "adapt", *PAIR, "adapter.max_parameters=100", code=2).startswith(
        "adapter=mlp from 192 to 64"
    )


@pytest.mark.parametrize(("outcome", "verb"), [("tie", "ties with"), ("worse", "is worse than")])
def test_nothing_is_advised_that_the_mean_predicts_as_well(outcome, verb):
    found = sized("adapter=mlp", 90_000, 0.001)
    scores = [dataclasses.replace(s, outcome=outcome) if s.name == "mean" else s for s in found.results.scores]
    results = dataclasses.replace(found.results, scores=scores)
    assert advice([Sized("adapter=mlp", results)], interval=lambda r2: f"{r2.value:g}") == (
        f"None is worth taking. The one to choose by its validation R², adapter=mlp, {verb} the mean of the training "
        "rows: 0.001 of test R²."
    )
