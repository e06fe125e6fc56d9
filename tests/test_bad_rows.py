"""A latent of zeros, a row without a label: the analysis uses all other rows, and reports what it left out."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import sklearn.metrics

from foresight_cli.results import CategoryRows, load_results

N = 160
IDS = [f"s{i}" for i in range(N)]
PAIR = ("source=precomputed", "source.model.path=a.npz", "target=precomputed", "target.model.path=b.npz")
TAKEN = ("data=precomputed", "data.path=a.npz")


@pytest.fixture
def spaces():
    """Two spaces with one bad row, and their six factors."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((N, 6))
    return z, (z @ rng.standard_normal((6, 12))).astype(np.float32), rng


def analysed(run, tmp_path):
    for args in (("model.path=a.npz",), ("model.path=b.npz", *TAKEN)):
        result = run("extract", "model=precomputed", *args)
        assert result.exit_code == 0, result.output
    result = run("analyze", *PAIR, *TAKEN, "experiment=quick", "permutations=19", "verdict.controls=waived")
    assert result.exit_code == 0, result.output
    (path,) = tmp_path.glob("outputs/analyze/*/*/results.yaml")
    return load_results(path), result.output.splitlines(), path


def test_one_latent_of_zeros(run, tmp_path, spaces):
    z, a, rng = spaces
    a[5] = 0
    b = (z @ rng.standard_normal((6, 8))).astype(np.float32)
    np.savez("a.npz", ids=IDS, values=a)
    np.savez("b.npz", ids=IDS, values=b)
    results, output, _ = analysed(run, tmp_path)
    sentence = "source a final channel_mean: 1 row is all zeros (s5): cosine distances are measured without it"
    assert sentence in results.warnings
    assert f"warning: {sentence}" in output
    distances = [scipy.spatial.distance.pdist(np.delete(s, 5, axis=0).astype(float), "cosine") for s in (a, b)]
    (pair,) = results.pairs
    assert pair.spearman_cosine == pytest.approx(scipy.stats.spearmanr(*distances).statistic, abs=1e-6)
    distances = [scipy.spatial.distance.pdist(s.astype(float)) for s in (a, b)]
    assert pair.spearman.value == pytest.approx(scipy.stats.spearmanr(*distances).statistic, abs=1e-6)
    assert pair.r2.value > 0.99


def test_one_row_without_a_label(run, tmp_path, spaces, no_figures):
    z, a, rng = spaces
    labels = np.where(z[:, 0] > 0, "x", "y").astype("U4")
    np.savez("b.npz", ids=IDS, values=(z @ rng.standard_normal((6, 8))).astype(np.float32))
    np.savez("a.npz", ids=IDS, values=a, labels=[*labels[:-1], ""])
    results, output, path = analysed(run, tmp_path)
    reference = sklearn.metrics.silhouette_score(a[:-1].astype(float), labels[:-1])
    assert results.spaces[0].silhouette == pytest.approx(reference, abs=1e-6)
    assert f"{results.spaces[0].silhouette:.3f}" == "0.118"
    assert results.spaces[0].knn_accuracy > results.spaces[0].knn_chance
    assert results.category_rows == CategoryRows(scored=159, unlabelled=1, alone=0)
    sentence = "categories are scored on 159 of 160 rows: 1 without a label (s159)"
    assert sentence in results.warnings
    assert f"warning: {sentence}" in output
    assert run("report", f"run={path.parent}").exit_code == 0
    (page,) = tmp_path.glob("outputs/report/*/*/report.html")
    assert "Scored on 159 rows; left out: 1 without a label." in page.read_text(encoding="utf-8")
    findings = page.with_name("FINDINGS.md").read_text(encoding="utf-8")
    assert "- Scored on 159 rows; left out: 1 without a label\n" in findings
