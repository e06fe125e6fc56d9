import dataclasses
import itertools

import pytest
import yaml

from foresight_cli.reporting.adapter_advice import decide
from foresight_cli.reporting.adapter_names import Sized
from foresight_cli.reporting.adapter_sizes import HEADER, sizes_figure, table_rows
from foresight_cli.reporting.figures.style import encode, style, title_of
from foresight_cli.reporting.sweep import SweepEnd, _table, summarise
from foresight_cli.results import Estimate, load_results, save_results
from tests.commands import PAIR, refused, typed
from tests.reporting import example


def sized(name, parameters, validation, error=0.01, r2=None):
    base = example.adapter("mlp", r2=validation if r2 is None else r2)
    own = dataclasses.replace(base.scores[0], parameters=parameters)
    results = dataclasses.replace(base, scores=[own, *base.scores[1:]], r2_validation=Estimate.of(validation, error))
    return Sized(name, results)


def test_the_table():
    rows = table_rows(
        [sized("adapter=mlp adapter.lr=0.009213922503237154", 9000, 0.5), sized("adapter=linear", 100, 0.6)]
    )
    assert rows[0] == (
        "linear", "100", "0.600 ± 0.010", "0.600 (0.561 to 0.639)", "better: 0.049 (0.010 to 0.088)", "x: 0.24",
    )  # fmt: skip
    assert rows[1][0] == "mlp lr=0.00921"
    whole = sized("adapter=linear", 100, 0.6)
    kept = [dataclasses.replace(a, retention=Estimate(1.16, 1.05, 1.3)) for a in whole.results.attributes]
    whole = dataclasses.replace(whole, results=dataclasses.replace(whole.results, attributes=kept))
    assert table_rows([whole])[0][-1] == "all kept fully"


def test_the_figure_is_the_same_at_every_run():
    items = [sized("adapter=mlp", 100, 0.50), sized("adapter=query", 9000, 0.505), sized("adapter=linear", 900, 0.4)]
    with style():
        assert encode(sizes_figure(items, decide(items, 0.2))) == encode(sizes_figure(items, decide(items, 0.2)))


def test_the_figure_names_the_first_two_of_a_size_and_marks_the_advised():
    items = [sized("adapter=mlp source.pooling=flat adapter.lr=0.1", 100, 0.40, r2=0.7), sized("adapter=mlp", 100, 0.3),
             sized("adapter=mlp adapter.lr=1", 100, 0.2), sized("adapter=query", 9000, 0.405, r2=0.5)]  # fmt: skip
    with style():
        figure = sizes_figure(items, decide(items, 0.2))
    (panel,) = figure.axes
    assert panel.get_xscale() == "log"
    words = [text.get_text() for text in panel.texts]
    assert words == [
        "mlp\npooling=flat\nlr=0.1", "mlp", "query", "ridge 0.551\n8,320",
        "bars: 95 % intervals; circle: advised; dashed: ridge from its source, and its parameters\n"
        "1 of equal size without a name: see the table",
    ]  # fmt: skip
    (circle,) = [line for line in panel.lines if line.get_markersize() == 13]
    assert [*circle.get_xdata(), *circle.get_ydata()] == [100, 0.7]
    bars = [line for line in panel.lines if len(line.get_ydata()) == 2][:4]
    assert [tuple(bar.get_ydata()) for bar in bars] == [(item.own.r2.low, item.own.r2.high) for item in items]
    x = [bar.get_transform().transform((100, 0.5))[0] for bar in bars[:3]]
    assert [round((b - a) * 72 / figure.dpi, 6) for a, b in itertools.pairwise(x)] == [9, 9]  # points apart


def test_the_figure_circles_nothing_where_nothing_is_advised():
    items = [sized("adapter=mlp", 100, 0.60)]
    advice = decide(items, 0.7)
    with style():
        figure = sizes_figure(items, advice)
    assert title_of(figure) == advice.text
    assert title_of(figure).startswith("None is worth taking: adapter=mlp (100), the choice on the validation rows, ")
    assert [line for line in figure.axes[0].lines if line.get_markersize() == 13] == []
    assert "circle" not in figure.axes[0].texts[-1].get_text()


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
    text = (folder / "sweep.md").read_text()
    results = load_results(folder / "1_lowrank/results.yaml")
    assert f"| lowrank | {results.scores[0].parameters:,} | {results.r2_validation.value:.3f} ± " in text
    decision = (
        f"None is worth taking: adapter=lowrank adapter.max_parameters=12000 ({results.scores[0].parameters:,}), the "
        "choice on the validation rows, keeps "
    )
    assert decision in text
    assert decision in result.output
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert not (folder / "0_linear/adapter.safetensors").exists()
    again = f"hydra.sweep.dir={folder}"
    allowed = typed(cached, "adapt", "-m", *PAIR, "adapter=linear,lowrank", again)
    assert "left out, 0_linear" not in allowed.output
    assert "| linear | 12,352 |" in (folder / "sweep.md").read_text()
    again_refused = cached("adapt", "-m", *PAIR, "adapter=linear,lowrank", "adapter.max_parameters=12000", again)
    assert again_refused.output.splitlines()[-1].endswith(f"left out, 0_linear: {refusal}")
    assert "| linear |" not in (folder / "sweep.md").read_text()


def test_a_job_that_fails_hides_none_of_the_others(cached, tmp_path, monkeypatch):
    from foresight_cli import adapt

    def fit(config, *rest):
        if config.adapter.name == "linear":
            raise MemoryError("2 TB\nmore")
        return kept(config, *rest)

    kept = adapt.fit_runs
    monkeypatch.setattr(adapt, "fit_runs", fit)
    result = cached("adapt", "-m", *PAIR, "adapter=linear,lowrank")
    assert result.exit_code == 1
    assert "\n0_linear failed\nTraceback (most recent call last):\n" in result.stdout
    assert ", in fit\n" in result.stdout
    assert "\nMemoryError: 2 TB\nmore\n" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("left out, 0_linear: MemoryError: 2 TB")
    (folder,) = tmp_path.glob("outputs/adapt/multirun/*/*")
    text = (folder / "sweep.md").read_text()
    assert "| lowrank |" in text
    assert "| linear |" not in text


def three_jobs(folder):
    """Write three jobs: two sources of one target, and one of another; the first learns nothing, all keep 0.9 of x."""
    spaces = [("qwen25vl layer 4 flat", "k4", "t1", 0.01), ("qwen25vl layer 8 flat", "k8", "t1", 0.65),
              ("qwen25vl layer 8 flat", "k8", "t2", 0.9)]  # fmt: skip
    for number, (source, from_key, to_key, r2) in enumerate(spaces):
        place = folder / f"{number}_mlp"
        (place / ".hydra").mkdir(parents=True)
        results = keeping(example.adapter("mlp", source, f"ltxv {to_key}", r2=r2, keys=[from_key, to_key]))
        save_results(results, place / "results.yaml")
        words = [f"layer@source.layer='{from_key[1]}'", f"pooling@target.pooling={to_key}", "adapter=mlp", "seed=7"]
        (place / ".hydra/overrides.yaml").write_text(yaml.safe_dump(words))


def keeping(results, own=0.9, ridge=0.9):
    """Return ``results`` with other shares of the attribute x that the adapter and ridge keep."""

    def kept(attributes, share):
        return [dataclasses.replace(attribute, retention=Estimate.of(share, 0.01)) for attribute in attributes]

    return dataclasses.replace(results, attributes=kept(results.attributes, own),
                               attributes_ridge=kept(results.attributes_ridge, ridge))  # fmt: skip


def test_a_figure_that_fails_leaves_the_tables(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise MemoryError("no room")

    monkeypatch.setattr("foresight_cli.reporting.adapter_sizes.sizes_figure", fail)
    three_jobs(tmp_path)
    summarise(tmp_path)
    lines = (tmp_path / "sweep.md").read_text().splitlines()
    assert sum(line.startswith("## ") for line in lines) == 3
    for name in ("sweep", "sweep-2", "sweep-3"):
        line = f"figure {name} could not be drawn: no room"
        assert line in lines
        assert f"warning: {line}" in caplog.messages
    assert not list(tmp_path.glob("*.png"))


def test_each_pair_of_a_sweep_has_its_table_figure_and_decision(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    three_jobs(tmp_path)
    summarise(tmp_path)
    lines = (tmp_path / "sweep.md").read_text().splitlines()
    assert [line for line in lines if line.startswith(("## ", "Take ", "None ", "Of ", "foresight "))] == [
        "## qwen25vl layer 4 flat to ltxv t1",
        "Take adapter=linear (ridge, 8,320 parameters): adapter=mlp (49,792), the choice on the validation rows, ties "
        "with the mean of the training rows: 0.010 (-0.029 to 0.049) of test R².",
        "foresight adapt source.layer=4 target.pooling=t1 seed=7 adapter=linear",
        "## qwen25vl layer 8 flat to ltxv t1",
        "Take adapter=mlp (49,792 parameters): the best validation R². It gains 0.099 (0.060 to 0.138) of test R² over "
        "ridge (8,320 parameters).",
        "## qwen25vl layer 8 flat to ltxv t2",
        "Take adapter=mlp (49,792 parameters): the best validation R². It gains 0.349 (0.310 to 0.388) of test R² over "
        "ridge (8,320 parameters).",
        "Of 2 sources for ltxv t1, qwen25vl layer 8 flat has the best validation R²: 0.660 ± 0.020, by "
        "adapter=mlp (qwen25vl layer 4 flat 0.020).",
    ]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["sweep-2.png", "sweep-3.png", "sweep.png"]
    assert "Type: foresight adapt source.layer=4 target.pooling=t1 seed=7 adapter=linear\n" in capsys.readouterr().out


def test_the_objective_of_a_sweeper_is_the_validation_r2(cached, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(SweepEnd, "on_job_end", lambda self, config, job_return, **_: seen.append(job_return))
    typed(cached, "adapt", "-m", *PAIR, "adapter=linear")
    (path,) = tmp_path.glob("outputs/adapt/multirun/*/*/*/results.yaml")
    assert [job.return_value for job in seen] == [pytest.approx(load_results(path).r2_validation.value, rel=1e-8)]


def test_a_sweep_over_sizes_is_named_by_size(cached, tmp_path):
    typed(cached, "adapt", "-m", *PAIR, "adapter.hidden=4,8", "adapter.epochs=2", "seeds=1")
    (path,) = tmp_path.glob("outputs/adapt/multirun/*/*/sweep.md")
    assert "| mlp hidden=4 |" in path.read_text()
    assert "| mlp hidden=8 |" in path.read_text()


def test_optuna_maximises_the_validation_r2(cached, tmp_path, shell):
    """Run in a separate process: the plugin raises deprecation warnings of its libraries."""
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
