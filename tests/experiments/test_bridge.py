import numpy as np
import pytest
import torch

from foresight_cli.experiments.bridge import (
    attribute_retention,
    groups_for_neighborhoods,
    hopeful_limit,
    learning_curve,
    typical,
    unseen_neighborhoods,
)
from foresight_cli.inputs.representation import Representation
from foresight_cli.metrics.folds import grouped_folds
from foresight_cli.metrics.probe import linear_probe
from foresight_cli.results import Estimate, LearningPoint


def representation(values):
    return Representation("source", "m", "final", "flat", "", torch.as_tensor(values))


def probed(source, target, folds=5):
    """Return both representations, a separate group for each row, the folds, and the probe of the target."""
    x, y = representation(source), representation(target)
    groups = [str(i) for i in range(len(source))]
    splits = grouped_folds(groups, folds, 0)
    return x, y, groups, splits, linear_probe(x.space, y.space, groups=groups, folds=splits)


@pytest.fixture
def shared():
    """Return a source and a target that share 5 directions, and an attribute in 2 % of the target's variance."""
    rng = np.random.default_rng(0)
    common, attribute = rng.standard_normal((300, 5)), rng.standard_normal(300)
    target = common @ rng.standard_normal((5, 40)) + np.outer(attribute, rng.standard_normal(40)) * 0.4
    source = common @ rng.standard_normal((5, 30))
    return rng, source, target + 0.01 * rng.standard_normal(target.shape), attribute


def retained(source, target, **attributes):
    x, y, groups, splits, probe = probed(source, target)
    columns = {name: torch.as_tensor(values) for name, values in attributes.items()}
    return attribute_retention(probe.carried, x, y, columns, groups, splits, ceiling=0.3, seed=0)


def test_an_attribute_absent_from_the_source_is_lost(shared):
    _, source, target, attribute = shared
    (measured,) = retained(source, target, x=attribute)
    assert measured.name == "x"
    assert measured.from_target > 0.95
    assert measured.from_source < 0.05
    assert measured.through_bridge < 0.05
    assert measured.retention.high < measured.retention.upper < 0.1


def test_an_attribute_present_in_the_source_survives(shared):
    rng, source, target, attribute = shared
    source = source + np.outer(attribute, rng.standard_normal(30))
    (measured,) = retained(source, target, x=attribute)
    assert measured.from_source > 0.95
    assert measured.through_bridge > measured.from_target > measured.target_lower > 0.95
    upper = measured.retention.upper  # of the ratio, which its error is read from
    assert 1 < upper < 1.01
    assert measured.retention == Estimate(1.0, 1.0, 1.0, 0.0, None, 1.0, upper)  # a share, whatever is read from both


def test_an_attribute_that_the_source_holds_in_noise_is_kept_in_part(shared):
    rng, source, target, attribute = shared
    noisy = attribute + 0.5 * rng.standard_normal(300)
    (measured,) = retained(source + np.outer(noisy, rng.standard_normal(30)), target, x=attribute)
    assert measured.retention.value == pytest.approx(measured.through_bridge / measured.from_target)
    assert measured.retention.low < measured.retention.lower < measured.retention.value < measured.retention.upper < 1
    assert measured.retention.value == pytest.approx(1 / 1.25, abs=0.05)


def test_what_the_target_does_not_hold_is_not_judged(shared):
    rng, source, target, _ = shared
    (measured,) = retained(source, target, x=rng.standard_normal(300))
    assert measured.retention is None
    assert measured.target_lower < measured.from_target < 0.1


def test_an_attribute_that_some_samples_lack_leaves_the_others_as_they_are(shared):
    """Score each attribute on the samples that have it, whatever other attributes there are."""
    _, source, target, attribute = shared
    gaps = attribute.copy()
    gaps[::3] = np.nan
    alone, beside = retained(source, target, x=gaps), retained(source, target, y=attribute, x=gaps)
    assert beside == [*retained(source, target, y=attribute), *alone]
    assert alone[0].from_target == pytest.approx(beside[0].from_target, abs=0.05)
    assert alone[0] != beside[0]


def curve(x, y, folds):
    groups = [str(i) for i in range(len(x))]
    splits = grouped_folds(groups, 5, 0)[:folds]
    source, target = representation(x), representation(y)
    whole = linear_probe(source.space, target.space, groups=groups, folds=splits)
    return learning_curve(whole, source, target, groups, splits, 0), whole


def test_more_rows_help_where_the_map_is_hard():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((400, 60))
    y = x @ rng.standard_normal((60, 10)) + 3 * rng.standard_normal((400, 10))
    points, whole = curve(x, y, 5)
    assert [p.rows for p in points] == [40, 80, 160, 320]
    assert [p.r2 for p in points] == sorted(p.r2 for p in points)
    assert all(p.r2_train > p.r2 for p in points)
    assert (points[-1].r2, points[-1].r2_train) == (whole.r2, whole.r2_train)
    # 60 of the 69 parts of a target's variance are the source's: the limit must not be below that.
    assert points[-1].r2 < 60 / 69 < hopeful_limit(points)


def test_sizes_of_fewer_than_ten_rows_are_left_out():
    rng = np.random.default_rng(0)
    points, _ = curve(rng.standard_normal((60, 3)), rng.standard_normal((60, 3)), 5)
    assert [p.rows for p in points] == [12, 24, 48]


def points_of(law, sizes=(40, 80, 160, 320)):
    return [LearningPoint(n, law(n), 1.0) for n in sizes]


def test_the_hopeful_limit_of_the_slow_law_is_exact():
    assert hopeful_limit(points_of(lambda n: 0.8 - 2 / np.sqrt(n))) == pytest.approx(0.8)
    uneven = points_of(lambda n: 0.8 - 2 / np.sqrt(n), sizes=(40, 100, 300))
    assert hopeful_limit(uneven) == pytest.approx(0.8)


def test_the_hopeful_limit_is_above_that_of_a_faster_law():
    limit = hopeful_limit(points_of(lambda n: 0.8 - 10 / n))
    assert limit == pytest.approx(0.8 - 10 / 320 + (10 / 320) / (np.sqrt(2) - 1))
    assert limit > 0.8


def test_there_is_no_hope_in_a_curve_that_falls_or_has_one_size():
    assert hopeful_limit(points_of(lambda n: 0.5 + 1 / n)) == 0.5 + 1 / 320
    assert hopeful_limit(points_of(lambda n: 0.5, sizes=(320,))) is None
    assert hopeful_limit([]) is None


def test_a_curve_that_has_not_begun_to_bend_has_no_known_end():
    assert hopeful_limit(points_of(lambda n: n / 2500)) is None
    assert hopeful_limit(points_of(lambda n: 0.05 + n / 1e5)) is not None  # flat, but for noise


@pytest.mark.parametrize("share", [0.04, 0.15, 0.25])
def test_a_few_samples_far_out_carry_an_r2_but_not_that_of_the_median_sample(share):
    """Use a source that only tells which samples are outliers."""
    rng = np.random.default_rng(0)
    far = (rng.random(300) < share).astype(float)
    y = rng.standard_normal((300, 10)) + 100 * np.outer(far, np.ones(10))
    x = far[:, None] + 0.01 * rng.standard_normal((300, 4))
    _, target, groups, _, probe = probed(x, y)
    assert probe.r2 > 0.9
    measured = typical(probe, target, groups)
    assert measured.value < 0.1
    assert measured.low <= measured.lower < measured.value < measured.upper


def test_the_median_sample_by_hand(shared):
    _, source, target, _ = shared
    _, y, groups, _, probe = probed(source, target)
    measured = typical(probe, y, groups)
    centre = np.median(y.rotated.numpy(), axis=0)
    own = 1 - probe.residual / ((y.rotated.numpy()[probe.tested] - centre) ** 2).sum(axis=1)
    assert measured.value == pytest.approx(np.median(own), rel=1e-12)
    covered = np.sort(own)[
        [int(np.floor(149.5 - 1.96 * np.sqrt(300) / 2)), int(np.ceil(149.5 + 1.96 * np.sqrt(300) / 2))]
    ]
    assert covered[0] <= measured.low < measured.high <= covered[1]


def test_undeclared_repeats_are_held_out_together():
    rng = np.random.default_rng(0)
    rows = np.arange(300) // 4
    x, y = (rng.standard_normal((75, 200))[rows] + 0.05 * rng.standard_normal((300, 200)) for _ in range(2))
    source, target, groups, _, probe = probed(x, y)
    assert probe.r2 > 0.9
    assert unseen_neighborhoods(source, target, groups, 5, 0).value < 0.1


def test_a_bridge_holds_in_neighbourhoods_that_it_has_not_seen(shared):
    _, source, target, _ = shared
    x, y, groups, _, probe = probed(source, target)
    assert unseen_neighborhoods(x, y, groups, 5, 0).value > probe.r2 - 0.15
    enough = groups_for_neighborhoods(5)
    assert enough == 100
    for rows in (enough - 1, enough):
        few = representation(source[:rows]), representation(target[:rows])
        assert (unseen_neighborhoods(*few, groups[:rows], 5, 0) is None) == (rows < enough)
