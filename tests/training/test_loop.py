import torch
from foresight_cli.adapters.training import Split, train_mlp

from foresight_cli.adapters import open_adapter
from foresight_cli.config import MLPConfig


def config(**changes):
    settings = {"hidden": 32, "layers": 2, "dropout": 0.0, "lr": 1e-2, "weight_decay": 0.0}
    return MLPConfig("mlp", **{**settings, "batch_size": 32, "epochs": 60, "patience": 10, **changes})


def parts():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 5, generator=generator)
    y = torch.sin(2 * x) @ torch.randn(5, 7, generator=generator)
    return Split(x[:300], y[:300]), Split(x[300:], y[300:])


def trained(seed=0, **changes):
    torch.manual_seed(seed)
    adapter = open_adapter(config(**changes), 5, 7)
    epochs = []
    train, validation = parts()
    run, best = train_mlp(adapter, train, validation, seed=seed, on_epoch=epochs.append)
    return adapter, epochs, run, best


def test_it_learns_what_a_line_cannot():
    adapter, epochs, _, best = trained()
    _, held = parts()
    with torch.no_grad():
        residual = (adapter(held.x) - held.y).square().sum() / (held.y - held.y.mean(0)).square().sum()
    assert residual.item() < 0.2
    assert best == min(epochs, key=lambda e: e.validation).number


def test_the_kept_weights_are_those_of_the_best_epoch():
    adapter, epochs, run, best = trained(lr=0.1, epochs=30, patience=3)
    assert run == len(epochs) <= best + 3
    _, held = parts()
    with torch.no_grad():
        loss = (adapter(held.x.float()) - held.y).square().sum(dim=1).mean() / (adapter.y_scale.square() * 7)
    torch.testing.assert_close(float(loss), epochs[best - 1].validation, atol=1e-5, rtol=1e-5)


def test_the_seed_fixes_everything():
    one, again = trained(dropout=0.3, epochs=5)[0], trained(dropout=0.3, epochs=5)[0]
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    other = trained(seed=1, dropout=0.3, epochs=5)[0]
    assert not torch.equal(next(iter(one.parameters())), next(iter(other.parameters())))
