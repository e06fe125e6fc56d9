import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from foresight_cli.evaluation.adapter_scores import Way, mean_of, nearest_pair, scores_of
from foresight_cli.evaluation.held_out import (
    Fit,
    Held,
    attributes_kept,
    chance,
    cosine,
    gain,
    outcome,
    per_component,
    r2_estimate,
    retrieval,
)
from foresight_cli.results import Estimate
from foresight_cli.training.pairs import moments
from tests.training.stored import drawn, in_memory


def held(n=120, groups=None):
    x, y = (rows.double() for rows in drawn(n=n, noise=0.5))
    return Held(x, y, torch.zeros(7, dtype=torch.float64), np.arange(n) if groups is None else groups)


def noisy(rows, size, seed=1):
    noise = torch.randn(rows.y.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Fit.of(lambda x: rows.y + size * noise, rows)


def test_r2_is_pooled_over_columns():
    rows = held()
    rows = Held(rows.x, rows.y, rows.y.mean(dim=0), rows.codes)
    fit = noisy(rows, 1.0)
    predicted = fit.shift + rows.mean
    assert fit.r2 == pytest.approx(r2_score(rows.y, predicted, multioutput="variance_weighted"), rel=1e-12)
    assert Fit.of(lambda x: rows.mean.expand(len(x), -1), rows).r2 == 0


def test_the_error_of_r2_is_that_of_whole_groups():
    """Compare with resampled groups; with every row twice, the error must not shrink."""
    rows = held()
    fit = noisy(rows, 1.0)
    measured = r2_estimate([fit], rows)
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, 120, 120) for _ in range(2000)]
    spread = np.std([1 - fit.residual[d].sum() / fit.total[d].sum() for d in draws])
    assert (measured.high - measured.low) / 3.92 == pytest.approx(spread, rel=0.1)
    twice = Held(rows.x.repeat(2, 1), rows.y.repeat(2, 1), rows.mean, np.tile(rows.codes, 2))
    doubled = Fit(fit.shift.repeat(2, 1), np.tile(fit.residual, 2), np.tile(fit.total, 2))
    again = r2_estimate([doubled], twice)
    assert (again.value, again.low) == pytest.approx((measured.value, measured.low), abs=1e-3)


def test_runs_that_differ_widen_the_interval():
    rows = held()
    same, other = noisy(rows, 0.5), noisy(rows, 2.0)
    first, both = r2_estimate([same], rows), r2_estimate([same, other], rows)
    assert both.value == pytest.approx((same.r2 + other.r2) / 2)
    assert both.high - both.low > 2 * (first.high - first.low)


def test_a_tie_is_called_a_tie():
    rows = held()
    better, as_good = noisy(rows, 0.5), noisy(rows, 0.5, seed=2)
    assert outcome(gain([better], noisy(rows, 1.5), rows)) == "better"
    assert outcome(gain([noisy(rows, 1.5)], better, rows)) == "worse"
    assert outcome(gain([better], as_good, rows)) == "tie"
    assert outcome(gain([better], better, rows)) == "tie"
    assert outcome(Estimate.of(5e-4, 1e-9)) == "tie"  # too small to choose by


def test_gain_is_the_difference_on_the_same_rows():
    rows = held()
    first, other = noisy(rows, 0.5), noisy(rows, 1.5)
    measured = gain([first], other, rows)
    assert measured.value == pytest.approx(first.r2 - other.r2)
    apart = np.hypot(*((e.high - e.low) / 3.92 for e in (r2_estimate([first], rows), r2_estimate([other], rows))))
    assert (measured.high - measured.low) / 3.92 < apart * 1.01


def test_retrieval_against_sorting():
    rows = held(groups=np.arange(120) // 3)
    fit = noisy(rows, 3.0)
    truth, shift = (rows.y - rows.mean).numpy(), fit.shift.numpy()
    alike = (shift / np.linalg.norm(shift, axis=1)[:, None]) @ (truth / np.linalg.norm(truth, axis=1)[:, None]).T
    measured = retrieval(fit, rows)
    for k in (1, 5, 10):
        hits = 0
        for i in range(120):
            rivals = [j for j in range(120) if j // 3 != i // 3]
            hits += sum(alike[i, j] > alike[i, i] for j in rivals) < k
        assert measured[str(k)] == pytest.approx(hits / 120)


def test_a_constant_prediction_finds_as_many_as_chance():
    rows = held(groups=np.arange(120) // 2)
    constant = Fit.of(lambda x: rows.mean.expand(len(x), -1), rows)
    assert retrieval(constant, rows) == pytest.approx(chance(rows))
    assert chance(rows) == pytest.approx({"1": 1 / 119, "5": 5 / 119, "10": 10 / 119})


def test_cosine_about_the_training_mean():
    rows = held()
    assert cosine(Fit.of(lambda x: 3 * (rows.y - rows.mean) + rows.mean, rows), rows) == pytest.approx(1)
    assert cosine(Fit.of(lambda x: rows.mean.expand(len(x), -1), rows), rows) == 0


def test_the_curve_over_principal_components():
    """Predict only the first two axes correctly."""
    rows = held()
    train = drawn(n=200, seed=4)[1].double()
    axes = torch.linalg.svd(train - train.mean(dim=0), full_matrices=False).Vh
    kept = (rows.y - rows.mean) @ axes[:2].T @ axes[:2]
    measured = per_component(Fit.of(lambda x: kept + rows.mean, rows), rows, train)
    assert measured == pytest.approx([1, 1, 0, 0, 0, 0, 0], abs=1e-9)


def test_attributes_against_probes_by_hand():
    x, y = (rows.double() for rows in drawn(n=400, noise=0.5))
    number = y[:, 0] - y[:, 1]
    attributes = {"number": (number[:300], number[300:]), "alone": (number[:300], torch.full((100,), torch.nan))}
    rows = Held(x[300:], y[300:], y[:300].mean(dim=0), np.arange(100))
    own, lost = noisy(rows, 0.3), Fit.of(lambda x: rows.mean.expand(len(x), -1), rows)
    carried = attributes_kept(
        own, lost, rows, (x[:300], y[:300]), attributes, [str(i) for i in range(100)], ceiling=0.3, seed=0
    )
    assert [kept.name for kept in carried.own] == ["number"]
    kept = carried.own[0]
    probe = Ridge(alpha=1e-6).fit(y[:300], number[:300])
    by_hand = r2_score(number[300:], probe.predict((own.shift + rows.mean).numpy()))
    assert kept.from_target > 0.999
    assert kept.through_bridge == pytest.approx(by_hand, abs=0.01)
    assert kept.retention.value == pytest.approx(by_hand, abs=0.01)
    assert carried.ridge[0].retention.value == pytest.approx(0, abs=0.05)
    more = carried.gains[0]
    assert (more.name, more.outcome) == ("number", "better")
    assert more.gain.value == pytest.approx(kept.through_bridge - carried.ridge[0].through_bridge, abs=0.02)


def test_the_nearest_pair_is_copied_whatever_the_block(monkeypatch):
    monkeypatch.setattr("foresight_cli.training.pairs.BLOCK_BYTES", 8 * 19 * 17)
    x, y = drawn(n=200)
    train = in_memory(x, y)
    queries = drawn(n=30, seed=3)[0].double()
    z = (x.double() - x.double().mean(dim=0)) / x.double().std(dim=0, correction=0)
    near = torch.cdist((queries - x.double().mean(dim=0)) / x.double().std(dim=0, correction=0), z).argmin(dim=1)
    assert torch.equal(nearest_pair(train, moments(train.blocks())[0])(queries), y[near].double())


def test_the_table_of_scores():
    rows = held()
    ours, worse = noisy(rows, 0.5), noisy(rows, 1.5)
    mean = mean_of(moments(in_memory(*drawn()).blocks())[1])
    own, other, nothing = scores_of(
        Way("mlp", 10, [ours]), [Way("ridge", 20, [worse]), Way("mean", 7, [Fit.of(mean, rows)])], rows
    )
    assert (own.name, own.gain, own.outcome) == ("mlp", None, None)
    assert (other.parameters, other.r2.value, other.outcome) == (20, worse.r2, "better")
    assert nothing.r2.value < 0.05
