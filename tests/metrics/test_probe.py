import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict

from foresight_cli.metrics import linear_probe
from tests.refusal import refusal


def test_g1_leave_one_out_penalty(oracles, g1, kind):
    parts = np.array_split(np.random.default_rng(7).permutation(200), 5)
    folds = [(np.setdiff1d(np.arange(200), test), test) for test in parts]
    x, y = map(kind, g1)
    probe = linear_probe(x, y, folds=folds, standardize=False, penalties=np.logspace(-3, 3, 7))
    assert probe.r2 == pytest.approx(oracles["J2_G1_ridge_loo"]["r2_pooled_trainmean"], rel=1e-6)


def test_digits_at_a_fixed_penalty(oracles, digits):
    """Ridge(100): penalties are multiples of the mean eigenvalue, so each fold needs another multiple for 100."""
    d, x = oracles["D_digits_top32_vs_bottom32"], digits[0]
    x, y = x[:, :32], x[:, 32:]
    folds = list(KFold(5, shuffle=True, random_state=0).split(x))
    residual = total = about_mean = 0.0
    cosines, predicted = [], np.empty_like(y)
    for train, test in folds:
        unit = ((x[train] - x[train].mean(axis=0)) ** 2).sum() / len(train)
        probe = linear_probe(
            x, y, folds=[(train, test)], standardize=False, penalties=[100 / unit], reach=np.inf, predictions=True
        )
        assert probe.penalties == pytest.approx([100])
        predicted[test] = probe.predictions[test]
        cosines += [probe.cosine] * len(test)
        total += ((y[test] - y[train].mean(axis=0)) ** 2).sum()
        residual += ((y[test] - predicted[test]) ** 2).sum()
        about_mean += ((y[test] - y.mean(axis=0)) ** 2).sum()
    np.testing.assert_allclose(predicted, cross_val_predict(Ridge(100), x, y, cv=folds), atol=1e-9)
    assert 1 - residual / total == pytest.approx(d["ridge100_r2_trainmean_baseline"], rel=1e-8)
    assert 1 - residual / about_mean == pytest.approx(d["ridge100_kfold5_rs0_r2_vw_fwd"], rel=1e-8)
    assert r2_score(y, predicted, multioutput="variance_weighted") == pytest.approx(
        d["ridge100_kfold5_rs0_r2_vw_fwd"], rel=1e-8
    )
    assert np.mean(cosines) == pytest.approx(d["mean_cosine_centered"], abs=1e-3)


@pytest.mark.parametrize(("d1", "d2"), [(6, 4), (300, 4), (6, 300), (300, 300)])
def test_numbers_follow_from_the_predictions(d1, d2):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((80, 3))
    x = z @ rng.standard_normal((3, d1)) + rng.standard_normal((80, d1)) + 10
    y = z @ rng.standard_normal((3, d2)) + rng.standard_normal((80, d2)) - 10
    folds = list(KFold(4).split(x))
    probe = linear_probe(x, y, folds=folds, predictions=True)
    means = np.concatenate([np.tile(y[train].mean(axis=0), (len(test), 1)) for train, test in folds])
    shift, truth = probe.predictions - means, y - means
    assert probe.r2 == pytest.approx(1 - ((truth - shift) ** 2).sum() / (truth**2).sum(), rel=1e-9)
    norms = np.linalg.norm(shift, axis=1) * np.linalg.norm(truth, axis=1)
    assert probe.cosine == pytest.approx(((shift * truth).sum(axis=1) / norms).mean(), rel=1e-9)
    per_fold = [1 - ((truth - shift)[t] ** 2).sum() / (truth[t] ** 2).sum() for _, t in folds]
    assert probe.r2_per_fold == pytest.approx(per_fold, rel=1e-9)
    axes = np.linalg.svd(y - y.mean(axis=0), full_matrices=False)[2]
    curve = 1 - (((truth - shift) @ axes.T) ** 2).sum(axis=0) / ((truth @ axes.T) ** 2).sum(axis=0)
    assert probe.r2_per_component[:5] == pytest.approx(curve[:5], rel=1e-6)
    assert len(probe.r2_per_component) == min(79, d2)
    assert len(probe.penalties) == 4


def test_invariances(g1):
    x, y = g1
    probe = linear_probe(x, y)
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    assert linear_probe(x * rng.uniform(1, 9, 20) + 5, 2 * y @ rotation - 1).r2 == pytest.approx(probe.r2, abs=1e-10)
    turned = x @ np.linalg.qr(rng.standard_normal((20, 20)))[0]
    plain = linear_probe(x, y, standardize=False)
    assert linear_probe(turned, y, standardize=False).r2 == pytest.approx(plain.r2, abs=1e-10)
    assert linear_probe(x, y) == probe
    assert linear_probe(x, y, seed=1).r2 != probe.r2
    assert linear_probe(torch.tensor(x, dtype=torch.float32), y).r2 == pytest.approx(probe.r2, abs=1e-4)


def test_repeated_inputs_need_groups():
    """Independent spaces with each input twice."""
    rng = np.random.default_rng(0)
    x, y = (np.repeat(rng.standard_normal((150, d)), 2, axis=0) for d in (400, 300))
    assert linear_probe(x, y).r2 > 0.6
    assert linear_probe(x, y, groups=np.repeat(np.arange(150), 2)).r2 <= 0.05


def test_interval_is_the_wider_of_the_two():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((120, 5))
    x = z + rng.standard_normal((120, 5))
    y = z + rng.standard_normal((120, 5))
    groups = np.repeat(np.arange(40), 3)
    probe = linear_probe(x, y, groups=groups, predictions=True)
    spread = np.var(probe.r2_per_fold, ddof=1)
    nadeau_bengio = np.sqrt((1 / 5 + 1 / 4) * spread)
    draws = []
    errors = ((y - probe.predictions) ** 2).sum(axis=1).reshape(40, 3).sum(axis=1)
    totals = ((y - y.mean(axis=0)) ** 2).sum(axis=1).reshape(40, 3).sum(axis=1)
    for _ in range(4000):
        drawn = rng.integers(0, 40, 40)
        draws.append(1 - errors[drawn].sum() / totals[drawn].sum())
    expected = max(nadeau_bengio, np.sqrt(1.6) * np.std(draws))
    assert probe.r2_standard_error == pytest.approx(expected, rel=0.05)
    assert probe.r2_interval == pytest.approx((probe.r2 - 1.96 * expected, probe.r2 + 1.96 * expected), abs=0.02)


def test_constant_columns_and_constant_x():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 4)), rng.standard_normal((60, 3))
    y[:, 0] += x[:, 0]
    ones = np.full((60, 2), 0.1)
    probe = linear_probe(x, y)
    assert linear_probe(np.hstack([x, ones]), np.hstack([y, ones])).r2 == pytest.approx(probe.r2, abs=1e-12)
    nothing = linear_probe(ones, y)
    assert nothing.r2 == pytest.approx(0, abs=1e-12)
    assert nothing.cosine == 0


def test_rows_never_tested_have_no_prediction():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 4)), rng.standard_normal((30, 3))
    probe = linear_probe(x, y, folds=[(np.arange(20), np.arange(25, 30))], predictions=True)
    assert np.isnan(probe.predictions[:25]).all()
    assert np.isfinite(probe.predictions[25:]).all()
    assert linear_probe(x, y).predictions is None


def test_refusals():
    x = np.random.default_rng(0).standard_normal((8, 3))
    assert refusal(linear_probe, x, np.ones((8, 2))) == (
        "y is constant: all its 8 rows are equal, and linear_probe wants rows that vary"
    )
    assert refusal(linear_probe, x, x, groups=[0, 0, 0, 0, 1, 1, 1, 1]) == "folds=5: wanted 2 to 2 for 2 groups"
    assert refusal(linear_probe, x, x, groups=[0]) == "groups has 1 entries for 8 rows"
    assert refusal(linear_probe, x, x, folds=[]) == "folds is empty: wanted at least one (train rows, test rows)"
    assert refusal(linear_probe, x, x, folds=[([0, 1], [2])]) == (
        "fold 0 has 2 training and 1 test rows: wanted 3 and 1"
    )
    outside = "fold 0 has rows outside 0 to 7, or on both sides of its split"
    assert refusal(linear_probe, x, x, folds=[([0, 1, 2], [2])]) == outside
    assert refusal(linear_probe, x, x, folds=[([0, 1, 2], [8])]) == outside
    split = np.array([[0.0]] * 4 + [[1.0]] * 4)
    message = "y is constant in a test fold: its R2 is undefined there; use fewer folds"
    assert refusal(linear_probe, x, split, folds=[([4, 5, 6, 7, 1, 2, 3, 0][:3], [7])]) == message
