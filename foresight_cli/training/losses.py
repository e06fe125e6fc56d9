"""Losses for training, per batch, in units where predicting the mean costs about 1."""

from __future__ import annotations

import torch

from foresight_cli.adapters.standardized import StandardizedAdapter
from foresight_cli.config import TrainedConfig


def batch_loss(adapter: StandardizedAdapter, predicted: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the loss that the adapter's config sets, of raw predictions ``[b, d2]`` for raw targets ``y [b, d2]``."""
    config = adapter.config
    assert isinstance(config, TrainedConfig)
    if config.loss == "mse":
        loss = (predicted - y).square().sum(dim=1).mean() / (adapter.y_scale.square() * y.shape[1])
    else:
        cosine = torch.nn.functional.cosine_similarity(predicted - adapter.y_mean, y - adapter.y_mean, dim=1)
        loss = 1 - cosine.mean()
    # With fewer rows, the Gram matrices carry no information about the space.
    if config.cka_weight and len(y) >= 4:
        loss = loss + config.cka_weight * (1 - biased_cka(predicted, y))
    return loss


def biased_cka(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return biased linear CKA of the batch, differentiable; 0 where a side is constant.

    The bias does not matter here: the loss is compared only with itself, on batches of one size. For reporting, use
    `metrics.linear_cka`, which is debiased.
    """
    grams = []
    for rows in (a, b):
        centred = rows - rows.mean(dim=0)
        gram = centred @ centred.T
        grams.append(gram / torch.linalg.matrix_norm(gram).clamp_min(1e-12))
    alike: torch.Tensor = (grams[0] * grams[1]).sum()
    return alike
