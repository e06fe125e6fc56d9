import numpy as np
import pytest
import torch

from foresight_cli.inputs.split import choose_rows
from foresight_cli.latents import Latents


def space(values, groups=None, pixels=None):
    n = len(values)
    own = np.arange(n) if pixels is None else np.asarray(pixels)
    return Latents(
        ids=[f"s{i}" for i in range(n)],
        values=torch.as_tensor(np.asarray(values, dtype=np.float32)),
        labels=[None] * n,
        groups=list(groups) if groups is not None else [f"g{i}" for i in range(n)],
        attributes={},
        pixels=torch.from_numpy(np.repeat(own[:, None], 32, axis=1).astype(np.uint8)),
    )


def choose(views, **changes):
    settings = {"max_rows": 1000, "select_share": 0.0, "seed": 0, "skipped": []}
    return choose_rows(views, **{**settings, **changes})


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_equal_pictures_are_left_out_and_counted(rng):
    pixels = [0, 1, 2, 0, 4, 0]
    x, y = (space(rng.standard_normal((6, 8)), pixels=pixels) for _ in range(2))
    rows = choose([[x], [y]])
    assert rows.score == [0, 1, 2, 4]
    assert rows.duplicates.exact == 2
    assert rows.duplicates.rows == 6
    assert rows.duplicates.groups == 4
    assert rows.duplicates.examples == [["s0", "s3", "s5"]]


def test_groups_that_share_a_picture_are_one_group(rng):
    groups = ["a", "a", "b", "b", "c"]
    x, y = (space(rng.standard_normal((5, 8)), groups, pixels=[0, 1, 1, 3, 4]) for _ in range(2))
    rows = choose([[x], [y]])
    assert rows.score == [0, 1, 3, 4]
    assert len({rows.groups[i] for i in (0, 1, 3)}) == 1
    assert rows.duplicates.groups == 2
    assert len(rows.one_of_each) == 2


def test_near_duplicates_in_two_views_are_one_group(rng):
    x, y = rng.standard_normal((60, 8)), rng.standard_normal((60, 8))
    x[7], y[7] = x[3] + 1e-5, y[3] - 1e-5
    rows = choose([[space(x)], [space(y)]])
    assert rows.groups[7] == rows.groups[3]
    assert rows.duplicates.near == 2
    assert rows.duplicates.groups == 59
    assert len(rows.one_of_each) == 59
    assert rows.alike.near_in == [2, 2]
    assert len(rows.score) == 60


def test_what_one_view_cannot_tell_apart_stays_apart(rng):
    x, y = rng.standard_normal((60, 8)), rng.standard_normal((60, 8))
    x[7] = x[3]
    rows = choose([[space(x)], [space(y)]])
    assert rows.duplicates.near == 0
    assert rows.duplicates.groups == 60
    assert rows.alike.near_in == [2, 0]


def test_a_third_view_of_the_inputs_settles_it(rng):
    x, y, thumbnails = (rng.standard_normal((60, 8)) for _ in range(3))
    x[7], thumbnails[7] = x[3], thumbnails[3]
    rows = choose([[space(x)], [space(y)], [space(thumbnails)]])
    assert rows.groups[7] == rows.groups[3]


def test_groups_are_set_aside_whole_and_reproducibly(rng):
    groups = [f"clip{i // 4}" for i in range(80)]
    x, y = (space(rng.standard_normal((80, 8)), groups) for _ in range(2))
    rows = choose([[x], [y]], select_share=0.3, seed=5)
    assert len(rows.select) == 24
    assert not {groups[i] for i in rows.select} & {groups[i] for i in rows.score}
    assert sorted(rows.select + rows.score) == list(range(80))
    assert choose([[x], [y]], select_share=0.3, seed=5) == rows
    assert choose([[x], [y]], select_share=0.3, seed=6).select != rows.select


def test_more_rows_than_wanted_are_drawn_by_whole_groups(rng):
    groups = [f"clip{i // 4}" for i in range(80)]
    x, y = (space(rng.standard_normal((80, 8)), groups) for _ in range(2))
    rows = choose([[x], [y]], max_rows=30)
    assert len(rows.score) == 28
    drawn = [groups[i] for i in rows.score]
    assert all(drawn.count(group) == 4 for group in drawn)
