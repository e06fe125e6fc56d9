import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris


@pytest.fixture(scope="session")
def oracles():
    return json.loads((Path(__file__).parent / "oracles.json").read_text())


def generator_1(n=200, d1=20, d2=30, q=5, s=1.0, seed=0):
    """Draw from the generator G1 that oracles.json defines: two spaces that share q latent directions."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, q))
    x = z @ rng.standard_normal((q, d1)) + s * rng.standard_normal((n, d1))
    y = z @ rng.standard_normal((q, d2)) + s * rng.standard_normal((n, d2))
    return x, y


@pytest.fixture(scope="session")
def g1():
    x, y = generator_1()
    assert x[0, 0] == pytest.approx(0.9449989754836321, rel=1e-12)
    assert y[-1, -1] == pytest.approx(0.04034358181252107, rel=1e-12)
    return x, y


@pytest.fixture(scope="session")
def make_g1():
    return generator_1


@pytest.fixture(scope="session")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="session")
def digits():
    return load_digits(return_X_y=True)


@pytest.fixture(params=["numpy", "torch", "float32"])
def kind(request):
    """Return a function that converts a float64 array to a type that a caller may pass."""
    return {
        "numpy": lambda a: np.asarray(a),
        "torch": lambda a: torch.tensor(np.asarray(a)),
        "float32": lambda a: torch.tensor(np.asarray(a), dtype=torch.float32),
    }[request.param]
