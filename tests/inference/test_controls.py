import numpy as np
import torch

from foresight_cli.inference.controls import delta_r2, one_hot


def rows(n=300):
    rng = np.random.default_rng(0)
    control, extra = rng.standard_normal((n, 3)), rng.standard_normal((n, 3))
    target = control @ rng.standard_normal((3, 8)) + extra @ rng.standard_normal((3, 8))
    groups = [str(i) for i in range(n)]
    return *(torch.tensor(v) for v in (control, extra, target)), groups


def test_what_only_the_source_knows_is_its_share_of_the_variance():
    control, extra, target, groups = rows()
    delta, low, high, alone = delta_r2(extra, control, target, groups, 5, 0)
    assert low < delta < high
    assert 0.3 < alone < 0.7
    assert abs(alone + delta - 1) < 0.01


def test_a_source_that_is_the_control_adds_nothing():
    control, _, target, groups = rows()
    delta, low, high, _ = delta_r2(control, control, target, groups, 5, 0)
    assert abs(delta) < 0.01
    assert high - low < 0.05


def test_a_wide_source_is_not_drowned_by_a_narrow_control_nor_the_other_way():
    control, extra, target, groups = rows()
    wide = torch.cat([extra, 1e-3 * torch.randn(300, 500, generator=torch.Generator().manual_seed(0))], dim=1)
    assert delta_r2(wide, 1e6 * control, target, groups, 5, 0)[0] > -0.2
    assert delta_r2(extra, 1e-6 * control, target, groups, 5, 0)[3] > 0.3


def test_one_hot_has_a_column_for_each_category():
    assert one_hot(["b", "a", "b"]).tolist() == [[0, 1], [1, 0], [0, 1]]
