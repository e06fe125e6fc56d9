import numpy as np
import pytest
import torch

from foresight_cli.experiments.bridge import attribute_retention, learning_curve
from foresight_cli.experiments.representation import Representation


def representation(values):
    return Representation("source", "m", "final", "flat", "", torch.as_tensor(values))


@pytest.fixture
def shared():
    """A target of 40 values that a source of 30 shares in 5 directions, and an attribute in 2 % of its variance."""
    rng = np.random.default_rng(0)
    common, attribute = rng.standard_normal((300, 5)), rng.standard_normal(300)
    target = common @ rng.standard_normal((5, 40)) + np.outer(attribute, rng.standard_normal(40)) * 0.4
    source = common @ rng.standard_normal((5, 30))
    return rng, source, target + 0.01 * rng.standard_normal(target.shape), attribute


def retained(source, target, attribute):
    groups = [str(i) for i in range(len(attribute))]
    values = torch.as_tensor(attribute)
    return attribute_retention(representation(source), representation(target), "x", values, groups, 5, 0)


def test_an_attribute_absent_from_the_source_is_lost(shared):
    _, source, target, attribute = shared
    found = retained(source, target, attribute)
    assert found.from_target > 0.95
    assert found.from_source < 0.05
    assert found.through_bridge < 0.05
    assert found.retention.high < 0.1


def test_an_attribute_present_in_the_source_survives(shared):
    rng, source, target, attribute = shared
    source = source + np.outer(attribute, rng.standard_normal(30))
    found = retained(source, target, attribute)
    assert found.from_source > 0.95
    assert found.retention.low > 0.9
    assert found.retention.value == pytest.approx(found.through_bridge / found.from_target)


def test_what_the_target_does_not_hold_is_not_judged(shared):
    rng, source, target, _ = shared
    assert retained(source, target, rng.standard_normal(300)).retention is None


def test_more_rows_help_where_the_map_is_hard():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((400, 60))
    y = x @ rng.standard_normal((60, 10)) + 3 * rng.standard_normal((400, 10))
    groups = [str(i) for i in range(400)]
    points = learning_curve(representation(x), representation(y), groups, 5, 0)
    assert [p.rows for p in points] == [40, 80, 160, 320]
    assert [p.r2 for p in points] == sorted(p.r2 for p in points)
    assert all(p.r2_train > p.r2 for p in points)
