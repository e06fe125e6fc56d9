import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression

from foresight_cli.latents import load
from foresight_cli.results import load_results
from foresight_cli.study_q1.numbers import adam_probe, knn, overlap


def test_the_probe_learns_a_linear_map_and_nothing_else():
    x = torch.randn(2000, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight = torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    r2, cosine = adam_probe(x, x @ weight)
    assert LinearRegression().fit(x, x @ weight).score(x, x @ weight) == pytest.approx(1)
    assert r2 > 0.95
    assert cosine > 0.97
    noise = torch.randn(2000, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert adam_probe(x, noise)[0] < 0.05
    assert adam_probe(x, noise) == adam_probe(x, noise)


def test_overlap_of_equal_and_of_unrelated_spaces():
    x = torch.randn(200, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.randn(200, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert overlap(x, 3 * x, 10) == (1.0, 1.0)
    assert overlap(x, y, 10)[0] == pytest.approx(10 / 199, abs=0.02)


def test_equal_rows_agree_for_no_reason():
    """Check the fault that is kept: among equal pictures, unrelated spaces share neighbours by row order."""
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).repeat_interleave(50, dim=0)
    y = torch.randn(4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64).repeat_interleave(50, dim=0)
    assert overlap(x, y, 10)[0] > 0.9


def test_accuracy_counts_copies_on_both_sides_of_a_split():
    x = torch.randn(40, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = [str(i % 2) for i in range(40)]
    assert knn(x, labels) < 0.8
    assert knn(x.repeat(6, 1), labels * 6) == 1.0


@pytest.mark.slow
def test_one_command_does_the_study_on_tiny_weights(run):
    small = ("data.per_category=40", "permutations=19", "controls=[mean_rgb]", "layer.index=[8,final]")
    done = run("analyze", "experiment=study_q1", "weights=tiny", *small, "hydra.run.dir=out")
    assert done.exit_code == 0, done.output
    results = load_results("out")
    assert results.settings["preset"] == "study_q1"
    with Path("out/study_q1.csv").open(newline="", encoding="utf-8") as file:
        rows = {(row["section"], row["measure"]): row for row in csv.DictReader(file)}
    published = {key: float(row["published"]) for key, row in rows.items()}
    assert published["E-Q1.4", "VLM to LTX, R2"] == 0.510
    assert published["E-Q1.5", "Spearman, Euclidean"] == 0.684
    assert published["E-Q1.6", "recall@10"] == 0.268
    assert published["E-Q1.7", "CKA, layer_final"] == 0.687
    x, y = (
        load(next(Path("outputs/cache").glob(f"{name}/layer-final/channel_mean/*"))).values.double().numpy()
        for name in ("qwen25vl", "ltxv")
    )
    rho = spearmanr(pdist(x), pdist(y)).statistic
    assert float(rows["E-Q1.5", "Spearman, Euclidean"]["recomputed"]) == pytest.approx(rho, abs=1e-6)
    centred = [a - a.mean(axis=0) for a in (x, y)]
    grams = [a @ a.T for a in centred]
    cka = np.sum(grams[0] * grams[1]) / np.linalg.norm(grams[0]) / np.linalg.norm(grams[1])
    assert float(rows["E-Q1.7", "CKA, layer_final"]["recomputed"]) >= cka - 1e-6
    pair = next(
        p
        for p in results.pairs
        if (results.spaces[p.source].layer, results.spaces[p.target].pooling) == ("final", "channel_mean")
    )
    assert float(rows["E-Q1.4", "VLM to LTX, R2"]["foresight"]) == pytest.approx(pair.r2.value, rel=1e-8)
    assert float(rows["E-Q1.7", "CKA, layer_final"]["foresight"]) == pytest.approx(pair.cka.value, rel=1e-8)
    assert rows["E-Q1.7", "CKA, layer_4"]["recomputed"] == ""
    text = Path("out/study_q1.md").read_text(encoding="utf-8")
    assert "Tiny weights" in text
    assert "not measured" in text
    assert {e.parent.parent.name for e in Path("outputs/cache/qwen25vl").glob("*/*/*")} == {"layer-8", "layer-final"}


@pytest.mark.parametrize("stage", ["analyze", "adapt"])
@pytest.mark.parametrize(("preset", "expected"), [("quick", "seeds: 1"), ("thorough", "seeds: 5")])
def test_presets_compose_and_overrides_win(run, stage, preset, expected):
    done = run(stage, "--cfg", "job", f"experiment={preset}", "permutations=77" if stage == "analyze" else "seed=7")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert expected in lines
    assert f"preset: {preset}" in lines
    assert ("permutations: 77" if stage == "analyze" else "seed: 7") in lines


def test_an_unknown_preset_is_named(run):
    done = run("analyze", "experiment=quik")
    assert done.exit_code == 2
    assert "no option 'quik' in group 'experiment'. Did you mean 'quick'?" in done.output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["extract=true"], "extract=true needs the data: add data=shapes, or data=imagefolder data.path=DIR"),
        (["study_table=true", "data=shapes"], "study_table=true needs the study's own drawings: add data=shapes "),
    ],
)
def test_the_message_says_what_the_study_needs(run, args, message):
    done = run("analyze", *args)
    assert done.exit_code == 2
    assert message in done.output
