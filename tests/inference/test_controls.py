import numpy as np
import pytest
import torch

from foresight_cli.inference.controls import curved, one_hot, r2_gain
from foresight_cli.metrics import linear_probe
from foresight_cli.metrics.folds import grouped_folds
from foresight_cli.metrics.space import Space


def rows(n=300):
    rng = np.random.default_rng(0)
    control, extra = rng.standard_normal((n, 3)), rng.standard_normal((n, 3))
    target = control @ rng.standard_normal((3, 8)) + extra @ rng.standard_normal((3, 8))
    return (torch.tensor(v) for v in (control, extra, target))


def gain(source, control, target, folds=5, copies=1):
    groups = [str(i // copies) for i in range(len(source))]
    return r2_gain(source, control, Space(target), groups, grouped_folds(groups, 5, 0)[:folds])


def test_what_only_the_source_knows_is_its_share_of_the_variance():
    control, extra, target = rows()
    result = gain(extra, control, target)
    assert 0.3 < result.control_r2 < 0.7
    assert result.control_r2 + result.value == pytest.approx(1, abs=0.01)
    assert 0 < result.standard_error < 0.05


def test_a_source_that_is_the_control_adds_nothing():
    control, _, target = rows()
    result = gain(control, control, target)
    assert abs(result.value) < 0.01
    assert result.standard_error < 0.0125


def test_a_wide_source_is_not_drowned_by_a_narrow_control_nor_the_other_way():
    control, extra, target = rows()
    wide = torch.cat([extra, 1e-3 * torch.randn(300, 500, generator=torch.Generator().manual_seed(0))], dim=1)
    assert gain(wide, 1e6 * control, target).value > -0.2
    assert gain(extra, 1e-6 * control, target).control_r2 > 0.3


def test_the_gain_does_not_depend_on_scale_and_offset():
    control, extra, target = rows()
    plain, scaled = gain(extra, control, target), gain(7 * extra - 3, 0.01 * control + 5, 100 * target + 1)
    assert vars(plain) == pytest.approx(vars(scaled), abs=1e-9)


def test_the_error_shrinks_as_one_over_the_root_of_the_rows():
    """A single split of independent rows: four times as many rows halve the error."""
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((3, 8)), rng.standard_normal((3, 8))
    errors = []
    for n in (1000, 4000):
        control, extra, noise = rng.standard_normal((n, 3)), rng.standard_normal((n, 3)), rng.standard_normal((n, 8))
        result = gain(
            *(torch.tensor(v) for v in (extra, control, control @ maps[0] + extra @ maps[1] + noise)), folds=1
        )
        errors.append(result.standard_error)
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.2)


def test_copies_in_one_group_do_not_shrink_the_error():
    control, extra, target = (values.repeat_interleave(4, dim=0) for values in rows())
    free, grouped = gain(extra, control, target, folds=1), gain(extra, control, target, folds=1, copies=4)
    assert grouped.standard_error > 1.5 * free.standard_error


def test_one_hot_has_a_column_for_each_category():
    assert one_hot(["b", "a", "b"]).tolist() == [[0, 1], [1, 0], [0, 1]]


def test_curved_features_hold_what_no_linear_map_gives():
    rng = np.random.default_rng(0)
    colour = torch.tensor(rng.random((500, 3)))
    waves = torch.cos(6 * colour @ torch.tensor(rng.standard_normal((3, 20))) + torch.tensor(rng.random(20)))
    assert linear_probe(colour, waves).r2 < 0.5
    features = curved(colour)
    assert features.shape[1] <= 600
    assert linear_probe(features, waves).r2 > 0.9
    added = gain(waves @ torch.tensor(rng.standard_normal((20, 40))), colour, waves)
    assert added.control_r2 > 0.9
    assert added.value < 0.1


def test_curved_features_are_the_kernel_as_landmarks_see_it():
    control = torch.tensor(np.random.default_rng(0).standard_normal((40, 2)))
    features = curved(control)  # fewer rows than landmarks: the exact kernel
    squared = torch.cdist(control, control).square()
    middle = 2 * np.median(squared[np.triu_indices(40, 1)])
    kernel = torch.exp(-squared / middle) + torch.exp(-4 * squared / middle)
    np.testing.assert_allclose(features @ features.T, kernel, atol=1e-6)
