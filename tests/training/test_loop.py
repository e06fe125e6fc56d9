import math

import numpy as np
import pytest
import torch

from foresight_cli.adapters import open_adapter
from foresight_cli.config import MLPConfig
from foresight_cli.metrics import linear_cka as reported_cka
from foresight_cli.training.checkpoint import TrainingCheckpoint
from foresight_cli.training.loop import Diverged, standardize, train
from foresight_cli.training.losses import batch_loss, biased_cka
from foresight_cli.training.pairs import moments
from tests.training.stored import in_memory, on_disk

SETTINGS = {
    "max_parameters": 10**6, "hidden": 32, "layers": 2, "expansion": 1, "residual": False, "dropout": 0.0, "lr": 1e-2,
    "weight_decay": 0.0, "batch_size": 32, "epochs": 60, "patience": 10, "loss": "mse", "cka_weight": 0.0,
}  # fmt: skip


def config(**changes):
    return MLPConfig("mlp", **{**SETTINGS, **changes})


def curved():
    """Return rows that no linear map relates: 300 for training and 100 for validation."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 5, generator=generator)
    y = torch.sin(2 * x) @ torch.randn(5, 7, generator=generator) + 3
    return x, y


def parts():
    pairs = in_memory(*curved())
    return pairs.part(torch.arange(300)), pairs.part(torch.arange(300, 400))


def trained(seed=0, *, pairs=None, checkpoint=None, on_epoch=lambda epoch: None, **changes):
    torch.manual_seed(seed)
    adapter = open_adapter(config(**changes), 5, 7)
    run = train(adapter, *(pairs or parts()), seed=seed, checkpoint=checkpoint, on_epoch=on_epoch)
    return adapter, run


def held_out(adapter):
    x, y = parts()[1][torch.arange(100)]
    with torch.no_grad():
        return float((adapter(x) - y).square().sum() / (adapter.y_scale.square() * 7 * 100))


def same(first, second):
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_it_learns_what_a_line_cannot():
    adapter, run = trained()
    assert held_out(adapter) < 0.2
    x, y = (rows.double().numpy() for rows in curved())
    line = np.linalg.lstsq(np.c_[x[:300], np.ones(300)], y[:300], rcond=None)[0]
    assert ((np.c_[x[300:], np.ones(100)] @ line - y[300:]) ** 2).sum() / y[300:].var(axis=0).sum() / 100 > 0.5
    assert not adapter.training
    assert run.best == min(run.epochs, key=lambda epoch: epoch.validation).number


def test_the_kept_weights_are_those_of_the_best_epoch():
    adapter, run = trained(lr=0.1, epochs=30, patience=3)
    assert len(run.epochs) <= run.best + 3
    assert held_out(adapter) == pytest.approx(run.epochs[run.best - 1].validation, rel=1e-5)


def test_the_rate_falls_along_a_cosine():
    _, run = trained(epochs=4, patience=4)
    steps = math.ceil(300 / 32)
    for epoch in run.epochs:
        last = epoch.number * steps - 1
        assert epoch.lr == pytest.approx(1e-2 * (1 + math.cos(math.pi * last / (4 * steps))) / 2)


def test_the_seed_fixes_everything():
    first, again, other = (trained(seed, dropout=0.3, epochs=5)[0] for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)


def test_rows_from_the_disk_give_the_same_weights(tmp_path):
    pairs = on_disk(tmp_path, *curved())
    parts_on_disk = pairs.part(torch.arange(300)), pairs.part(torch.arange(300, 400))
    adapter, _ = trained(pairs=parts_on_disk, epochs=5, dropout=0.3)
    assert same(adapter, trained(epochs=5, dropout=0.3)[0])


@pytest.mark.parametrize("stop", [1, 4])
def test_a_stopped_run_resumes_as_if_it_had_not_stopped(tmp_path, stop):
    """Weights, best weights, losses and the optimizer's moments are equal to the bit."""
    checkpoint = TrainingCheckpoint(tmp_path / "run.safetensors")

    class Stop(Exception):
        pass

    def on_epoch(epoch):
        if epoch.number == stop:
            raise Stop

    with pytest.raises(Stop):
        trained(checkpoint=checkpoint, on_epoch=on_epoch, epochs=8, dropout=0.3)
    reported = []
    adapter, run = trained(checkpoint=checkpoint, on_epoch=reported.append, epochs=8, dropout=0.3)
    whole, whole_run = trained(epochs=8, dropout=0.3)
    assert same(adapter, whole)
    assert reported == run.epochs == whole_run.epochs
    assert run.best == whole_run.best


def test_a_loss_that_is_not_finite_stops_it_and_the_last_good_weights_stay():
    with pytest.raises(Diverged) as caught:
        trained(lr=1.0, epochs=3, pairs=(in_memory(*(1e30 * rows for rows in curved())), parts()[1]))
    assert str(caught.value) == ("training diverged in epoch 1: the loss is nan with adapter.lr=1. Try adapter.lr=0.1")
    assert caught.value.best == 0


def test_cosine_loss_trains_the_direction():
    adapter, _ = trained(loss="cosine")
    x, y = parts()[1][torch.arange(100)]
    with torch.no_grad():
        predicted = adapter(x)
    mean = parts()[0][torch.arange(300)][1].mean(dim=0)
    assert float(torch.cosine_similarity(predicted - mean, y - mean).mean()) > 0.85


def test_the_losses_by_hand():
    x, y = parts()[0][torch.arange(40)]
    for loss, weight in (("mse", 0.0), ("cosine", 0.0), ("mse", 0.5)):
        adapter = open_adapter(config(loss=loss, cka_weight=weight), 5, 7)
        standardize(adapter, *moments(parts()[0].blocks()))
        with torch.no_grad():
            predicted = adapter(x)
            value = float(batch_loss(adapter, predicted, y))
        train_y = parts()[0][torch.arange(300)][1].double().numpy()
        p, t, mean = predicted.double().numpy(), y.double().numpy(), train_y.mean(axis=0)
        if loss == "mse":
            wanted = ((p - t) ** 2).sum() / (40 * train_y.var(axis=0).sum())
            wanted += weight * (1 - float(reported_cka(p, t, debiased=False)))
        else:
            a, b = p - mean, t - mean
            wanted = 1 - ((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).mean()
        assert value == pytest.approx(wanted, rel=1e-5)


def test_the_cka_term_has_a_gradient_and_survives_a_constant_batch():
    rows = torch.randn(8, 3, requires_grad=True)
    biased_cka(rows, torch.randn(8, 5)).backward()
    assert torch.isfinite(rows.grad).all()
    assert rows.grad.any()
    assert float(biased_cka(torch.ones(8, 3), torch.randn(8, 5))) == 0
