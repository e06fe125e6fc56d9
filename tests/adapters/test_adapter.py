import pytest
import torch

from foresight_cli.adapters import open_adapter
from foresight_cli.config import LinearConfig, MLPConfig
from foresight_cli.errors import ForesightError
from foresight_cli.metrics import fit_ridge

LINEAR = LinearConfig("linear")
MLP = MLPConfig("mlp", hidden=16, layers=2, dropout=0.1, lr=1e-2, weight_decay=0.0, batch_size=16, epochs=5, patience=5)


def rows(n=80, d1=6, d2=4):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, d1, generator=generator)
    return x, x @ torch.randn(d1, d2, generator=generator) + 3


def test_linear_is_ridge():
    x, y = rows()
    adapter = open_adapter(LINEAR, 6, 4)
    adapter.solve(x, y)
    assert adapter.parameter_count == 6 * 4 + 4
    torch.testing.assert_close(adapter(x).double(), fit_ridge(x, y).predict(x), atol=1e-5, rtol=1e-5)


def test_mlp_counts_its_parameters():
    assert open_adapter(MLP, 6, 4).parameter_count == (6 * 16 + 16) + (16 * 16 + 16) + (16 * 4 + 4)


def test_a_wrong_width_is_refused():
    with pytest.raises(ForesightError) as said:
        open_adapter(LINEAR, 6, 4)(torch.zeros(2, 5))
    assert str(said.value) == "latents of shape [2, 5]: this adapter maps [n, 6]"
