"""The held-out results of a fitted adapter: its scores beside its baselines, what it keeps, and the run to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from foresight_cli.config import AdaptConfig
from foresight_cli.config.verdict import default_thresholds
from foresight_cli.evaluation.adapter_scores import Way, mean_of, nearest_pair, scores_of
from foresight_cli.evaluation.held_out import Fit, Held, Predict, attributes_kept, chance, per_component, r2_estimate
from foresight_cli.extraction.provenance import versions_of
from foresight_cli.inputs.adapter_split import SplitRows
from foresight_cli.inputs.opening import Paired
from foresight_cli.inputs.split import PAIR_ROWS
from foresight_cli.latents import Entry
from foresight_cli.latents.recipe import display_name
from foresight_cli.results import AdapterResults, SeedScore
from foresight_cli.training.closed_form import RidgeMap
from foresight_cli.training.fit import Fitted, Parts, predicted
from foresight_cli.training.pairs import Pairs, moments

LEARNED = 2000
"""Probes of attributes, and the principal axes of the target, are learned from at most this many training rows."""


@dataclass(frozen=True)
class Scored:
    """The results, and the run that is kept: its adapter, and its predictions of the test rows."""

    results: AdapterResults
    kept: Fitted
    fit: Fit
    held: Held

    def predicted(self, rows: Sequence[int]) -> torch.Tensor:
        """Return its predictions of some of the test rows ``[m, d2]``, raw."""
        return self.fit.shift[list(rows)] + self.held.mean


def held_out_results(
    config: AdaptConfig,
    paired: Paired,
    split: SplitRows,
    parts: Parts,
    ridge: RidgeMap | None,
    fitted: Sequence[Fitted],
    shuffled: Fitted,
) -> Scored:
    """Measure an adapter, and return the results with the run to keep: the best on the validation rows.

    Args:
        config: of the stage.
        paired: the data.
        split: its rows by part.
        parts: its pairs by part.
        ridge: fitted on the training pairs; None if it was too large.
        fitted: the adapter, once for each seed.
        shuffled: the same kind of adapter, fitted on shuffled pairs.
    """
    x, y = moments(parts.train.blocks())
    held = _held(parts.test, split.codes[split.test.numpy()], y.mean)
    validation = _held(parts.validation, parts.validation_codes, y.mean)
    runs = [Fit.of(_map(fit), held) for fit in fitted]
    checked = [Fit.of(_map(fit), validation) for fit in fitted]
    seeds = [
        SeedScore(fit.seed, run.r2, check.r2, _train_r2(fit, parts.train), len(fit.epochs), fit.best)
        for fit, run, check in zip(fitted, runs, checked, strict=True)
    ]
    kept = max(range(len(fitted)), key=lambda i: (seeds[i].r2_validation, -i))
    d1, d2 = parts.train.dims
    count = fitted[kept].adapter.parameter_count
    ridge_fit = Fit.of(ridge.predict, held) if ridge else None
    others = [
        Way("mean", d2, [Fit.of(mean_of(y), held)]),
        *([Way("ridge", d1 * d2 + d2, [ridge_fit])] if ridge_fit else []),
        Way("nearest", len(parts.train) * (d1 + d2), [Fit.of(nearest_pair(parts.train, x), held)]),
        Way("shuffled", shuffled.adapter.parameter_count, [Fit.of(_map(shuffled), held)]),
    ]
    own = Way(config.adapter.name, count, [runs[kept], *(run for i, run in enumerate(runs) if i != kept)])
    learned = torch.from_numpy(np.sort(np.random.default_rng(config.seed).permutation(len(parts.train))[:LEARNED]))
    taught = tuple(rows.double() for rows in parts.train[learned])
    attributes = attributes_kept(
        runs[kept],
        ridge_fit,
        held,
        (taught[0], taught[1]),
        {name: (column[split.train[learned]], column[split.test]) for name, column in paired.table.attributes.items()},
        [paired.groups[i] for i in split.test.tolist()],
        ceiling=default_thresholds().ceiling,
        seed=config.seed,
    )
    results = AdapterResults(
        adapter=config.adapter.name,
        shape=fitted[kept].adapter.shape,
        source=_name(paired.labels[0], paired.source),
        target=_name(paired.labels[1], paired.target),
        weights=config.weights,
        duplicates=paired.duplicates,
        rows={"train": len(parts.train), "validation": len(parts.validation), "test": len(parts.test)},
        scores=scores_of(own, others, held),
        chance=chance(held),
        r2_validation=r2_estimate(checked, validation),
        r2_train=seeds[kept].r2_train,
        noise_ceiling=1.0,
        noise_from=None,
        r2_per_component=per_component(runs[kept], held, taught[1]),
        attributes=attributes.own,
        attributes_ridge=attributes.ridge,
        attribute_gains=attributes.gains,
        seeds=seeds,
        saved_seed=seeds[kept].seed,
        settings={"adapter": asdict(config.adapter), "seed": config.seed, "split": list(config.split)},
        provenance={
            "entries": [str(paired.source.path), str(paired.target.path)],
            "keys": [paired.source.path.name, paired.target.path.name],
            "versions": versions_of(("foresight-latents", "torch", "numpy")),
        },
        models={
            side: str(entry.recipe.model["name"])
            for side, entry in (("source", paired.source), ("target", paired.target))
        },
    )
    return Scored(results, fitted[kept], runs[kept], held)


def _map(fitted: Fitted) -> Predict:
    return lambda rows: predicted(fitted.adapter, rows)


def _held(pairs: Pairs, codes: np.ndarray, mean: torch.Tensor) -> Held:
    first = torch.arange(min(len(pairs), PAIR_ROWS))
    x, y = pairs[first]
    return Held(x.double(), y.double(), mean, np.unique(codes[first.numpy()], return_inverse=True)[1])


def _train_r2(fitted: Fitted, train: Pairs) -> float:
    rows = torch.arange(min(len(train), PAIR_ROWS))
    x, y = (side.double() for side in train[rows])
    residual = (y - predicted(fitted.adapter, x)).square().sum()
    return 1 - float(residual / (y - y.mean(dim=0)).square().sum())


def _name(label: str, entry: Entry) -> str:
    return display_name(label, entry.recipe.layer, entry.recipe.pooling)
