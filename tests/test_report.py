import dataclasses
import os
from pathlib import Path

import pytest

from foresight_cli.results import load_results, save_arrays, save_results
from tests.reporting import example


def analysis(folder, results=None, arrays=None, at=None):
    """Write an analysis into ``folder``, last changed at ``at`` seconds."""
    path = Path(folder)
    path.mkdir(parents=True)
    save_results(results or example.bare()[0], path / "results.yaml")
    save_arrays(arrays or {}, path / "figures.safetensors")
    if at is not None:
        os.utime(path / "results.yaml", (at, at))
    return path


def adapter(folder, results, at):
    path = Path(folder)
    path.mkdir(parents=True)
    save_results(results, path / "results.yaml")
    os.utime(path / "results.yaml", (at, at))


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


BARE_FIGURES = (
    "cka_heatmap",
    "cka_layer_curve",
    "intrinsic_dim_summary",
    "linear_probe_summary",
    "neighborhood_recall_curve",
)
REPORT = [
    ".hydra/config.yaml",
    ".hydra/hydra.yaml",
    ".hydra/overrides.yaml",
    "FINDINGS.md",
    *(f"figures/{name}.{kind}" for name in BARE_FIGURES for kind in ("png", "svg")),
    "report.html",
    "report.log",
    "results.csv",
    "results.yaml",
]


def test_report_of_the_newest_analysis(run):
    analysis("outputs/analyze/2026-01-02/10-00-00", at=1000)
    newest = analysis("outputs/analyze/multirun/2026-01-01/10-00-00/0", at=2000)
    adapter("outputs/analyze/other", example.adapter(weights="hub"), 3000)
    done = run("report", "hydra.run.dir=out")
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"report on {newest}\n")
    assert "Report     " in done.output
    assert files("out") == REPORT
    assert Path("out/results.yaml").read_bytes() == (newest / "results.yaml").read_bytes()
    text = Path("out/FINDINGS.md").read_text(encoding="utf-8")
    assert text.startswith("# qwen25vl to ltxv: Latent Space Alignment - Findings\n")
    for name in ("cka_heatmap", "linear_probe_summary"):
        assert f"](figures/{name}.png)" in text


def test_a_second_report_has_the_same_bytes(run):
    analysis("outputs/analyze/a")
    for folder in ("one", "two"):
        assert run("report", f"hydra.run.dir={folder}").exit_code == 0
    names = [name for name in REPORT if not name.startswith((".hydra", "report.log"))]
    assert {n: Path("one", n).read_bytes() for n in names} == {n: Path("two", n).read_bytes() for n in names}


def test_report_of_a_chosen_analysis(run):
    analysis("outputs/analyze/newest", at=2000)
    chosen = analysis("elsewhere", at=1000)
    done = run("report", "run=elsewhere", "hydra.run.dir=out")
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"report on {chosen}\n")


def test_adapters_of_the_chosen_pair_are_shown_the_newest_of_each(run):
    folder = analysis("outputs/analyze/a")
    results = load_results(folder / "results.yaml")
    pair = [results.chosen_source.key, results.chosen_target.key]
    other = [pair[1], pair[0]]  # the way back: of the same latents, but not the verdict's pair
    adapter("outputs/adapt/1", example.adapter(r2=0.111, keys=pair), 1000)
    adapter("outputs/adapt/multirun/2", example.adapter(r2=0.222, keys=pair), 2000)
    adapter("outputs/adapt/3", example.adapter(r2=0.333, keys=other), 3000)
    adapter("outputs/adapt/4", example.adapter("linear", r2=0.444, keys=pair), 500)
    adapter("outputs/adapt/5", example.adapter("linear", r2=0.555, keys=["0" * 16, pair[1]]), 3000)
    adapter("outputs/adapt/7", example.adapter("lowrank", r2=0.666, keys=other), 4000)
    Path("outputs/adapt/6").mkdir()
    Path("outputs/adapt/6/results.yaml").write_text("schema: 1\nkind: AdapterResults\n")
    done = run("report", "hydra.run.dir=out")
    assert done.exit_code == 0, done.output
    assert "left out of the report: outputs/adapt/6/results.yaml is not whole: adapter: field required\n" in done.output
    text = Path("out/FINDINGS.md").read_text(encoding="utf-8")
    shown = [value for value in ("0.111", "0.222", "0.333", "0.444", "0.555", "0.666") if f"| {value} (" in text]
    assert shown == ["0.222", "0.444"]


def test_adapters_of_another_pair_if_the_chosen_one_has_none(run):
    folder = analysis("outputs/analyze/a")
    results = load_results(folder / "results.yaml")
    other = [results.chosen_target.key, results.chosen_source.key]  # the way back, of the same latents
    for number, (r2, hidden) in enumerate([(0.333, 64), (0.444, 256)]):
        settings = {"adapter": {"name": "mlp", "hidden": hidden}}
        trained = dataclasses.replace(example.adapter(r2=r2, keys=other), settings=settings)
        adapter(f"outputs/adapt/{number}", trained, 1000 + number)
    done = run("report", "hydra.run.dir=out")
    assert done.exit_code == 0, done.output
    text = Path("out/FINDINGS.md").read_text(encoding="utf-8")
    assert [value for value in ("0.333", "0.444") if f"| {value} (" in text] == ["0.333", "0.444"]
    assert "| mlp hidden=64 | qwen25vl layer 8 channel_mean |" in text
    assert "| mlp hidden=256 | qwen25vl layer 8 channel_mean |" in text
    of = "None was trained for the pair of the verdict; these are of qwen25vl layer 8 channel_mean to ltxv final"
    assert of in text
    decision = "None is worth taking: adapter=mlp adapter.hidden=256 (49,792), the choice on the validation rows, keeps"
    assert decision in text
    assert decision in " ".join(done.output.split())


def test_without_arrays_the_rest_is_reported(run):
    folder = analysis("outputs/analyze/a")
    (folder / "figures.safetensors").unlink()
    done = run("report", "hydra.run.dir=out")
    assert done.exit_code == 0, done.output
    message = f"warning: {folder} has no figures.safetensors, so figures that need it are left out\n"
    assert message in done.output
    assert files("out") == REPORT


def failure(run, *args):
    done = run("report", "hydra.run.dir=out", *args)
    assert done.exit_code == 1
    return done.output


def test_no_analysis(run):
    assert failure(run) == "foresight report: no analysis under outputs: run foresight analyze first\n"
    Path("outputs/analyze").mkdir(parents=True)
    message = failure(run, "outputs_dir=outputs/analyze")
    assert message == "foresight report: no analysis under outputs/analyze: run foresight analyze first\n"


def test_run_without_an_analysis(run):
    assert failure(run, "run=nowhere") == (
        "foresight report: run=nowhere: no results.yaml there. "
        "Give the folder of an analysis, or leave run= out for the newest\n"
    )
    adapter("trained", example.adapter(), 1000)
    assert failure(run, "run=trained") == (
        "foresight report: run=trained: its results.yaml is not of an analysis. "
        "Give the folder that foresight analyze wrote, or leave run= out for the newest\n"
    )


def test_an_analysis_that_is_not_whole(run):
    folder = analysis("outputs/analyze/a")
    (folder / "results.yaml").write_text("schema: 1\nkind: Analysis\n")
    message = f"foresight report: {folder / 'results.yaml'} is not whole: source: field required\n"
    assert failure(run) == message


def test_arrays_that_are_not_whole(run):
    folder = analysis("outputs/analyze/a")
    (folder / "figures.safetensors").write_bytes(b"short")
    message = failure(run)
    assert f"foresight report: cannot read {folder / 'figures.safetensors'}: " in message
    assert "Traceback" not in message


def test_a_folder_that_cannot_be_written(run):
    analysis("outputs/analyze/a")
    Path("out").mkdir()
    Path("out/figures").write_text("a file in the way")
    assert failure(run).splitlines()[-1] == (
        f"foresight report: cannot write the report to {Path('out').absolute()}: File exists. "
        "Pick another place with hydra.run.dir=DIR"
    )


@pytest.mark.slow
def test_every_figure_through_the_command_line(run):
    results, arrays = example.full()
    analysis("outputs/analyze/a", results, arrays)
    done = run("report", "hydra.run.dir=out")
    assert done.exit_code == 0, done.output
    assert len(list(Path("out/figures").iterdir())) == 2 * 27
    assert "PIVOT" in done.output
