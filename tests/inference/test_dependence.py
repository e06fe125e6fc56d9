import numpy as np
import pytest

from foresight_cli.inference.cka_null import cka_permutation_moments
from foresight_cli.inference.dependence import dependence, u_centred, within
from foresight_cli.metrics import linear_cka, mantel_test, neighborhood, rsa
from foresight_cli.metrics.deconfounded import deconfounded_cka
from foresight_cli.metrics.space import Space


def spaces(*matrices):
    return [Space(np.asarray(values)) for values in matrices]


@pytest.fixture(scope="module")
def two_by_two():
    rng = np.random.default_rng(0)
    common = rng.standard_normal((120, 4))
    x1, x2 = common @ rng.standard_normal((4, 30)) + rng.standard_normal((120, 30)), rng.standard_normal((120, 25))
    y1, y2 = common @ rng.standard_normal((4, 40)) + 2 * rng.standard_normal((120, 40)), rng.standard_normal((120, 8))
    return spaces(x1, x2), spaces(y1, y2)


def test_observed_values_are_those_of_the_measures(two_by_two):
    sources, targets = two_by_two
    result = dependence(sources, targets, k=7, permutations=5)
    for s, x in enumerate(sources):
        for t, y in enumerate(targets):
            tests = {test.measure: test for test in result.tests(s, t)}
            assert tests["cka"].value == pytest.approx(linear_cka(x, y), abs=1e-10)
            assert tests["spearman"].value == pytest.approx(rsa(x, y), abs=1e-10)
            assert tests["recall"].value == pytest.approx(neighborhood(x, y, k=7).recall, abs=1e-12)


def test_null_moments_against_the_closed_form(two_by_two):
    (x, _), (y, _) = two_by_two
    result = dependence([x], [y], permutations=999)
    cka, _, recall = result.tests(0, 0)
    moments = cka_permutation_moments(x, y)
    assert cka.null_mean == pytest.approx(moments.mean, abs=4 * moments.sd / np.sqrt(999))
    assert cka.null_sd == pytest.approx(moments.sd, rel=0.1)
    assert recall.null_mean == pytest.approx(10 / 119, rel=0.02)
    assert cka.p_value == cka.p_corrected == 0.001
    assert 0.1 < cka.calibrated < cka.value


def test_spearman_null_is_the_mantel_test(two_by_two):
    (x, _), (y, _) = two_by_two
    _, spearman, _ = dependence([x], [y], permutations=499).tests(0, 0)
    mantel = mantel_test(x, y, correlation="spearman", permutations=499, seed=5)
    assert spearman.null_sd == pytest.approx(mantel.null_sd, rel=0.15)


def test_one_permutation_for_all_cells_and_the_largest_of_them(two_by_two):
    sources, targets = two_by_two
    result = dependence(sources, targets, permutations=99)
    together = np.concatenate([result.null, result.observed[None]])
    z = (result.null - together.mean(axis=0)) / together.std(axis=0)
    np.testing.assert_allclose(result.highest, z.reshape(99, -1).max(axis=1))
    alone = dependence([sources[1]], [targets[1]], permutations=99).tests(0, 0)
    corrected = result.tests(1, 1)
    assert all(a.p_corrected >= a.p_value for a in corrected)
    assert np.mean([a.p_corrected for a in corrected]) > np.mean([a.p_value for a in alone])


def test_the_corrected_level_holds_over_many_cells():
    """At a level of 5 %, any of 12 pairs and 3 measures has p <= .05 in at most 8 of 60 data sets, 99 % of the time."""
    fired = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        base = rng.standard_normal((40, 20))
        sources = spaces(*(base + 0.5 * rng.standard_normal((40, 20)) for _ in range(6)))
        targets = spaces(rng.standard_normal((40, 15)), rng.standard_normal((40, 5)))
        result = dependence(sources, targets, k=5, permutations=99, seed=seed)
        p = min(test.p_corrected for s in range(6) for t in range(2) for test in result.tests(s, t))
        fired += p <= 0.05
    assert fired <= 8


def test_within_labels_a_likeness_of_labels_alone_is_gone():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 150)
    x, y = spaces(*(3 * rng.standard_normal((5, 40))[labels] + rng.standard_normal((150, 40)) for _ in range(2)))
    free = {test.measure: test for test in dependence([x], [y], permutations=199).tests(0, 0)}
    kept = {test.measure: test for test in dependence([x], [y], permutations=199, labels=labels).tests(0, 0)}
    assert all(test.p_corrected <= 0.05 for test in free.values())
    assert all(test.p_corrected > 0.05 for test in kept.values())
    assert kept["cka"].value == pytest.approx(deconfounded_cka(x.values, y.values, labels), abs=1e-9)


def test_shifted_pairs_share_nothing(two_by_two):
    (x, _), _ = two_by_two
    result = dependence([x], [x], permutations=19)
    assert result.observed[0, 0, 0] == pytest.approx(1)
    assert abs(result.shifted[0, 0, 0]) < 0.1


def test_power_grows_with_what_is_shared(two_by_two):
    (_, x), (_, y) = two_by_two
    result = dependence([x], [y], permutations=199)
    powers = [result.power(r2, 0, 0) for r2 in (0.0, 0.02, 0.5)]
    assert powers == sorted(powers)
    assert powers[0] < 0.2
    assert powers[2] == 1


def test_within_is_the_gram_matrix_of_residuals():
    rng = np.random.default_rng(0)
    x, codes = rng.standard_normal((20, 6)), rng.integers(0, 3, 20)
    residual = x - np.stack([x[codes == code].mean(axis=0) for code in range(3)])[codes]
    np.testing.assert_allclose(within(Space(x).gram, codes), residual @ residual.T, atol=1e-12)
    centred = u_centred(Space(x).gram).numpy()
    assert np.diag(centred).tolist() == [0] * 20
    np.testing.assert_allclose(centred.sum(axis=0), 0, atol=1e-12)


def test_the_same_seed_gives_the_same_null(two_by_two):
    (x, _), (y, _) = two_by_two
    first, again, other = (dependence([x], [y], permutations=9, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.null, again.null)
    assert not np.array_equal(first.null, other.null)


def test_what_no_permutation_can_move_is_no_evidence(two_by_two):
    """Every row has a different label: no rows change places, so there is no evidence."""
    (x, _), (y, _) = two_by_two
    tests = dependence([x], [y], permutations=19, labels=range(120)).tests(0, 0)
    assert [test.p_value for test in tests] == [1, 1, 1]
    assert [test.p_corrected for test in tests] == [1, 1, 1]
