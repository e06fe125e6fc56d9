import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes as scipy_procrustes

from foresight_cli.metrics import angular_procrustes, procrustes_disparity, procrustes_distance
from tests.refusal import refusal


def test_oracles(oracles, iris, kind):
    for key in ("A", "B"):
        case = oracles[key]
        expected = case.get("procrustes_disparity_scipy", case.get("procrustes_disparity"))
        assert procrustes_disparity(kind(case["X"]), kind(case["Y"])) == pytest.approx(expected, rel=1e-8)
    x = iris[0]
    c = oracles["C_iris_cols01_vs_23"]
    assert procrustes_disparity(x[:, :2], x[:, 2:]) == pytest.approx(c["procrustes_scipy"], rel=1e-8)
    assert procrustes_disparity(x[:, :2], x[:, 2:]) == pytest.approx(1 - c["nuclear_norm"] ** 2, rel=1e-8)


@pytest.mark.parametrize(("n", "d1", "d2"), [(40, 5, 5), (40, 5, 9), (12, 30, 20), (12, 3, 40)])
def test_equal_to_scipy_with_zero_padding(n, d1, d2):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((n, d1)), rng.standard_normal((n, d2)) + 3
    wide = max(d1, d2)
    padded = [np.pad(v - v.mean(axis=0), ((0, 0), (0, wide - v.shape[1]))) for v in (x, y)]
    expected = scipy_procrustes(*padded)[2]
    assert procrustes_disparity(x, y, components=None) == pytest.approx(expected, rel=1e-10)
    assert procrustes_disparity(y, x) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("d", [6, 90])
def test_components_are_principal_components(d):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, d)) * np.arange(1, d + 1), rng.standard_normal((50, 7))

    def cut(values):
        u, s, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
        return u[:, :3] * s[:3]

    expected = procrustes_disparity(cut(x), cut(y), components=None)
    assert procrustes_disparity(x, y, components=3) == pytest.approx(expected, rel=1e-9)


def test_invariances(g1):
    x, y = g1
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 20)))[0]
    assert procrustes_disparity(3 * x @ rotation - 7, y) == pytest.approx(procrustes_disparity(x, y), abs=1e-10)
    assert 0 <= procrustes_disparity(x, 2 * x @ rotation + 1) < 1e-12


def test_angle_and_distance(oracles, iris, kind):
    c, x = oracles["C_iris_cols01_vs_23"], iris[0]
    assert angular_procrustes(kind(x[:, :2]), kind(x[:, 2:])) == pytest.approx(c["angular_procrustes"], rel=1e-6)
    assert procrustes_distance(kind(x[:, :2]), kind(x[:, 2:])) == pytest.approx(2 - 2 * c["nuclear_norm"], rel=1e-6)
    a = oracles["A"]
    assert procrustes_distance(kind(a["X"]), kind(a["Y"])) == pytest.approx(a["procrustes_2_minus_2nuc"], rel=1e-8)
    assert angular_procrustes(kind(a["X"]), kind(a["Y"])) == pytest.approx(np.arccos(np.sqrt(0.9)), rel=1e-8)


@pytest.mark.parametrize(("d1", "d2"), [(4, 7), (60, 90)])
def test_angle_and_distance_from_the_best_rotation(d1, d2):
    """The reference uses SciPy's rotation of shapes of size one, the narrower one padded."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, d1)) + 3, rng.standard_normal((30, d2))
    a, b = (np.pad(v - v.mean(axis=0), ((0, 0), (0, max(d1, d2) - v.shape[1]))) for v in (x, y))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    turned = a @ orthogonal_procrustes(a, b)[0]
    assert procrustes_distance(x, y) == pytest.approx(((turned - b) ** 2).sum(), rel=1e-10)
    assert angular_procrustes(x, y) == pytest.approx(np.arccos((turned * b).sum()), rel=1e-10)
    assert angular_procrustes(y, x) == pytest.approx(angular_procrustes(x, y), rel=1e-12)


def test_angle_is_a_metric():
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b, c = (rng.standard_normal((8, d)) for d in (2, 3, 2))
        assert angular_procrustes(a, c) <= angular_procrustes(a, b) + angular_procrustes(b, c)
    assert angular_procrustes(a, 3 * a[:, ::-1] + 1) == pytest.approx(0, abs=1e-7)


def test_refusals():
    x = np.random.default_rng(0).standard_normal((5, 3))
    assert refusal(procrustes_disparity, x, x, components=0) == "components=0: wanted at least 1"
    assert refusal(procrustes_disparity, x, np.ones((5, 3))) == (
        "y is constant: all its 5 rows are equal, and procrustes_disparity wants rows that vary"
    )
    for measure in (angular_procrustes, procrustes_distance):
        name = measure.__name__
        assert refusal(measure, x[:1], x[:1]) == f"x has 1 rows: {name} wants at least 2"
        assert refusal(measure, np.ones((5, 3)), x) == (
            f"x is constant: all its 5 rows are equal, and {name} wants rows that vary"
        )
