"""Benchmarks of adapters: ridge against scikit-learn, training against a plain PyTorch loop, memory against n."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks import plain
from benchmarks.commands import LAUNCH
from benchmarks.timing import Row, answered, in_turn
from foresight_cli.adapters import open_adapter
from foresight_cli.config import MLPConfig
from foresight_cli.metrics.ridge.ridge import PENALTIES
from foresight_cli.training.closed_form import ridge_map
from foresight_cli.training.loop import train
from foresight_cli.training.pairs import Pairs

EPOCHS = 5
FEW, MANY = 20_000, 80_000
"""Total numbers of rows."""
HELD = 5000
"""Number of validation rows, and of test rows."""
WIDE = 1024


def rows(runs: int) -> list[Row]:
    """Measure every row of this section."""
    return [_ridge(), _training(runs), _memory()]


def _ridge() -> Row:
    x, y = plain.spaces(4000, 3584, 8192)
    pairs = _pairs(x, y)
    new_rows = plain.spaces(100, 3584, 8192)[0]
    seconds, (ours, theirs) = answered(
        lambda: ridge_map(pairs, memory_gb=8), lambda: plain.fitted_ridge(x, y, PENALTIES), 1, warm=False
    )
    a, b = ours.predict(torch.from_numpy(new_rows)).numpy(), theirs(new_rows)
    assert np.abs(a - b).max() < 1e-6 * np.abs(b).max(), np.abs(a - b).max()
    return Row(
        "ridge adapter, 13 penalties by leave-one-out, n = 4000, d = 3584 to 8192",
        seconds[0],
        "scikit-learn RidgeCV, the same penalties",
        seconds[1],
        4.0,
        "predictions of 100 new rows equal to 1e-6; one run each",
    )


def _training(runs: int) -> Row:
    x, y = (torch.from_numpy(side).float() for side in plain.spaces(4000, 3584, WIDE))
    pairs = _pairs(x, y)
    train_rows, held = pairs.part(torch.arange(3600)), pairs.part(torch.arange(3600, 4000))
    config = MLPConfig("mlp", 10**7, 0.1, 1e-3, 1e-2, 64, EPOCHS, EPOCHS, "mse", 0.0, 256, 2, 1, False)

    def ours() -> object:
        torch.manual_seed(0)
        return train(open_adapter(config, 3584, WIDE), train_rows, held, seed=0)  # type: ignore[arg-type]

    seconds = in_turn(ours, lambda: _plain_loop(x, y), runs)
    return Row(
        f"training an MLP of 256 for {EPOCHS} epochs of 3,600 rows, d = 3584 to {WIDE}",
        seconds[0],
        "a plain PyTorch loop over standardised tensors, validated each epoch",
        seconds[1],
        0.9,
        "ours also computes the moments and keeps the best weights",
    )


def _plain_loop(x: torch.Tensor, y: torch.Tensor) -> float:
    torch.manual_seed(0)
    z, t = (x - x[:3600].mean(0)) / x[:3600].std(0), (y - y[:3600].mean(0)) / y[:3600].std()
    network = nn.Sequential(
        nn.Linear(3584, 256), nn.GELU(), nn.Dropout(0.1),
        nn.Linear(256, 256), nn.GELU(), nn.Dropout(0.1),
        nn.Linear(256, WIDE),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * 57)
    loss = torch.zeros(())
    for _ in range(EPOCHS):
        network.train()
        for batch in torch.randperm(3600).split(64):
            loss = nn.functional.mse_loss(network(z[batch]), t[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            loss = nn.functional.mse_loss(network(z[3600:]), t[3600:])
    return float(loss)


def _memory() -> Row:
    return Row(
        f"peak memory of foresight adapt adapter=mlp, {MANY:,} rows on the disk, d = {WIDE} to {WIDE}, memory_gb=0.05",
        _peak_megabytes(MANY),
        f"the same for {FEW:,} rows",
        _peak_megabytes(FEW),
        goal=1.1,
        unit="MB",
        cost=True,
        note=f"{8 * WIDE * MANY / 1e6:.0f} MB of latents against {8 * WIDE * FEW / 1e6:.0f}; only ids, groups and the "
        "sketch of 256 numbers per row (used to find near-duplicates) grow",
    )


def _peak_megabytes(n: int) -> float:
    foresight = [sys.executable, "-m", "foresight_cli"]
    sides = [f"{side}{end}" for side in ("source", "target") for end in ("=precomputed", f".model.path={side}.npy")]
    with tempfile.TemporaryDirectory() as folder:
        for side, values in zip(("source", "target"), plain.spaces(n, WIDE, WIDE), strict=True):
            np.save(Path(folder) / f"{side}.npy", values.astype(np.float32))
            (Path(folder) / f"{side}.csv").write_text("\n".join(["id", *(f"{i:06d}" for i in range(n))]))
            extract = ["extract", "data=precomputed", "data.path=source.npy", "model=precomputed"]
            command = [*foresight, *extract, f"model.path={side}.npy"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        part = HELD / n
        split = f"split=[{1 - 2 * part},{part},{part}]"
        adapt = ["adapt", *sides, "memory_gb=0.05", "adapter.epochs=1", "seeds=1", split]
        launch = [sys.executable, "-c", LAUNCH, *foresight, *adapt]
        return float(subprocess.run(launch, cwd=folder, check=True, capture_output=True, text=True).stdout)


def _pairs(x: np.ndarray | torch.Tensor, y: np.ndarray | torch.Tensor) -> Pairs:
    every = torch.arange(len(x))
    return Pairs(torch.as_tensor(x), torch.as_tensor(y), every, every)
