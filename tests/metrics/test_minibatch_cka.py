import numpy as np
import pytest

from foresight_cli.metrics import linear_cka, minibatch_cka, rbf_cka
from tests.refusal import refusal


def test_g1_in_order(oracles, g1, kind):
    value = minibatch_cka(*map(kind, g1), batch_size=50, seed=None)
    assert value == pytest.approx(oracles["H_G1_rsa"]["minibatch_cka_b50"], rel=1e-6)


def test_one_batch_is_the_whole(g1):
    assert minibatch_cka(*g1, batch_size=200) == pytest.approx(linear_cka(*g1), rel=1e-12)
    assert minibatch_cka(*g1, batch_size=200, kernel="rbf", bandwidth=2) == pytest.approx(
        rbf_cka(*g1, bandwidth=2), rel=1e-12
    )


def test_seeds_draw_batches_and_the_tail_is_dropped(g1):
    x, y = g1
    first = minibatch_cka(x, y, batch_size=60, seed=1)
    assert first == minibatch_cka(x, y, batch_size=60, seed=1)
    assert first != minibatch_cka(x, y, batch_size=60, seed=2)
    in_order = minibatch_cka(x, y, batch_size=60, seed=None)
    assert in_order == pytest.approx(minibatch_cka(x[:180], y[:180], batch_size=60, seed=None), rel=1e-12)


def test_sorted_batches_miss_what_random_ones_see():
    """Spaces that share only the class: batches in order contain one class each."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 50)
    x, y = (rng.standard_normal((4, 6))[labels] * 5 + rng.standard_normal((200, 6)) for _ in range(2))
    assert minibatch_cka(x, y, batch_size=50) > 0.5
    assert abs(minibatch_cka(x, y, batch_size=50, seed=None)) < 0.1


def test_refusals(g1):
    x, y = g1
    assert refusal(minibatch_cka, x, y, batch_size=3) == "batch_size=3: wanted 4 to 200 for 200 rows"
    assert refusal(minibatch_cka, x, y, kernel="poly") == "kernel='poly': wanted one of linear, rbf"
    flat = np.zeros((200, 2))
    flat[199] = 1
    assert refusal(minibatch_cka, flat, y, batch_size=60, seed=None) == (
        "minibatch_cka: no batch has rows that vary; wanted larger or random batches"
    )
