import dataclasses

import pytest
import torch

from foresight_cli.adapters import open_adapter
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.metrics import fit_ridge
from tests.adapters.made_adapters import drawn, rows


def related(n=80, d1=6, d2=4):
    x = rows(n, d1)
    return x, x @ torch.randn(d1, d2, generator=torch.Generator().manual_seed(2)) + 3


def test_linear_is_ridge():
    x, y = related()
    adapter, ridge = drawn("linear"), fit_ridge(x, y)
    adapter.take(ridge.x_mean, ridge.reach, ridge.weight, ridge.y_mean)
    assert adapter.parameter_count == 6 * 4 + 4
    far = 100 * rows(5)  # values far outside the training rows are cut
    for values in (x, far):
        torch.testing.assert_close(adapter(values).double(), ridge.predict(values), atol=1e-4, rtol=1e-4)


def test_lowrank_is_ridge_on_the_first_axes():
    x, y = related()
    ridge = fit_ridge(x, y)
    axes = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0]
    adapter = drawn("lowrank")
    adapter.take(ridge.x_mean, ridge.reach, ridge.weight @ axes[:, :3], axes[:, :3].T, ridge.y_mean)
    assert adapter.parameter_count == 3 * (6 + 4) + 4
    wanted = (ridge.predict(x) - ridge.y_mean) @ axes[:, :3] @ axes[:, :3].T + ridge.y_mean
    torch.testing.assert_close(adapter(x).double(), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("layers", "expansion", "parameters"),
    [
        (1, 1, 7 * 8 + 9 * 4),
        (2, 1, 7 * 8 + 9 * 8 + 9 * 4),
        (3, 1, 7 * 8 + 2 * 9 * 8 + 9 * 4),
        (3, 4, 7 * 8 + 2 * (9 * 32 + 33 * 8) + 9 * 4),
    ],
)
def test_mlp_counts_its_parameters(layers, expansion, parameters):
    config = dataclasses.replace(drawn("mlp").config, hidden=8, layers=layers, expansion=expansion)
    assert open_adapter(config, 6, 4).parameter_count == parameters


def test_a_residual_layer_whose_weights_are_zero_changes_nothing():
    config = dataclasses.replace(drawn("mlp").config, hidden=8, residual=True)
    single, double = (open_adapter(dataclasses.replace(config, layers=layers), 6, 4).eval() for layers in (1, 2))
    with torch.no_grad():
        single.reach.fill_(10)
        for value in double.network[3].parameters():
            value.zero_()
    shared = {name.replace("network.3", "network.4"): value for name, value in single.state_dict().items()}
    double.load_state_dict({**double.state_dict(), **shared})
    torch.testing.assert_close(double(rows()), single(rows()))


def queries(**shape):
    torch.manual_seed(0)
    config = dataclasses.replace(drawn("query").config, width=8, heads=2)
    adapter = open_adapter(config, 6, 4, source_width=3, target_channels=2, **shape).eval()
    adapter.reach.fill_(10)
    return adapter


def test_query_counts_its_parameters():
    block = 4 * (8 * 8 + 8) + 3 * 16 + (8 * 32 + 32) + (32 * 8 + 8)
    assert queries().parameter_count == (3 * 8 + 8) + 2 * 8 + 2 * 8 + block + 16 + 8 * 2 + 2 * 2


def test_query_reads_and_writes_both_orders():
    """Rows stored channel by channel, and the same rows stored place by place, give the same result."""
    by_channel, by_token = queries(source_channels_first=1, target_channels_first=1), queries(target_channels_first=0)
    x = rows()
    turned = x.unflatten(1, (2, 3)).transpose(1, 2).flatten(1)  # tokens first to channels first
    with torch.no_grad():
        expected = by_token(x).unflatten(1, (2, 2)).transpose(1, 2).flatten(1)
        torch.testing.assert_close(by_channel(turned), expected)
        assert not torch.allclose(by_channel(x), expected)


def test_query_sees_which_token_is_which():
    x = rows()
    swapped = x.unflatten(1, (2, 3)).flip(1).flatten(1)
    with torch.no_grad():
        assert not torch.allclose(queries()(x), queries()(swapped))


@pytest.mark.parametrize(
    ("source_width", "target_channels", "message"),
    [
        (4, 2, "source rows of 6 values do not divide by 4: give adapter.source_width="),
        (3, 3, "target rows of 4 values do not divide by 3: give adapter.target_channels="),
    ],
)
def test_query_refuses_rows_that_do_not_divide(source_width, target_channels, message):
    with pytest.raises(UsageError) as caught:
        open_adapter(drawn("query").config, 6, 4, source_width=source_width, target_channels=target_channels)
    assert str(caught.value) == f"adapter=query: {message}"


@pytest.mark.parametrize("kind", ["linear", "lowrank", "mlp", "query"])
def test_a_wrong_width_is_refused(kind):
    with pytest.raises(ForesightError) as caught:
        drawn(kind)(torch.zeros(2, 5))
    assert str(caught.value) == "latents of shape [2, 5]: this adapter maps [n, 6]"
