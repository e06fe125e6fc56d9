"""The held-out results of a fitted adapter, and their table on the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from foresight_cli.config import AdaptConfig
from foresight_cli.evaluation.adapter_scores import Way, mean_of, nearest_pair, scores_of
from foresight_cli.evaluation.held_out import Fit, Held, Predict, attributes_kept, chance, per_component, r2_estimate
from foresight_cli.inputs.pairs import Paired, SplitRows
from foresight_cli.inputs.split import PAIR_ROWS
from foresight_cli.latents import Entry
from foresight_cli.results import AdapterResults, SeedScore
from foresight_cli.training.closed_form import RidgeMap
from foresight_cli.training.fit import Fitted, Parts, predicted
from foresight_cli.training.pairs import Pairs, moments

log = logging.getLogger(__name__)

LEARNED = 2000
"""Probes of attributes, and the principal axes of the target, are learned from at most this many training rows."""
CEILING = 0.3
"""Least lower bound of R2 from the true target for an attribute to be judged; the default of the verdict."""


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
        ceiling=CEILING,
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
            "versions": {name: version(name) for name in ("foresight-latents", "torch", "numpy")},
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
    layer = entry.recipe.layer
    return f"{label} {layer if layer == 'final' else f'layer {layer}'} {entry.recipe.pooling}"


def print_adapter(results: AdapterResults, folder: Path) -> None:
    """Print a line for the adapter and for each baseline, and for what it keeps of each attribute."""
    own = results.scores[0]
    for score in results.scores:
        low, high = score.r2.low, score.r2.high
        against = f"  adapter against this: {score.outcome}" if score.outcome else f"  [{low:.3f}, {high:.3f}]"
        recall = "  ".join(f"{k}: {share:.2f}" for k, share in score.recall.items())
        log.info("  %-9s held-out R2 %6.3f  cosine %6.3f  retrieval@k %s%s", score.name, score.r2.value, score.cosine,
                 recall, against)  # fmt: skip
    for line in _attributes(results):
        log.info("  %s", line)
    if results.noise_from:
        log.info("  the target after %s predicts itself with R2 %.3f, the ceiling: %s reaches %.2f of it",
                 results.noise_from, results.noise_ceiling, results.adapter,
                 own.r2.value / results.noise_ceiling)  # fmt: skip
    if advice := training_advice(results):
        log.warning("  %s", advice)
    log.info("%s: %d parameters, R2 %.3f on its training rows -> %s", results.adapter, own.parameters,
             results.r2_train, folder / "adapter.safetensors")  # fmt: skip


def training_advice(results: AdapterResults) -> str | None:
    """Return what to change if training failed or stopped too early; None if it did neither."""
    settings = results.settings["adapter"]
    if "lr" not in settings:
        return None
    if results.r2_validation.value < 0:
        return (
            f"R2 {results.r2_validation.value:.3g} on the validation rows is worse than their mean: what was "
            f"learned does not generalise. Try adapter.lr={settings['lr'] / 10:g}, more rows, or adapter=linear"
        )
    last = sum(seed.best_epoch == settings["epochs"] for seed in results.seeds)
    if last:
        return (
            f"{last} of {len(results.seeds)} seeds still improved in epoch {settings['epochs']}, the last: "
            f"try adapter.epochs={2 * settings['epochs']}"
        )
    return None


def _attributes(results: AdapterResults) -> Iterator[str]:
    """Yield a line for each attribute: the share that the adapter keeps, and whether ridge keeps as much."""
    linear = {ridge.name: ridge.retention for ridge in results.attributes_ridge}
    gains = {more.name: more for more in results.attribute_gains}
    for kept in results.attributes:
        if kept.retention is None:
            least = f", lower bound {kept.target_lower:.2f}, below {CEILING:g}" if kept.target_lower is not None else ""
            yield f"{kept.name}: not judged, hardly readable from the target itself (R2 {kept.from_target:.2f}{least})"
            continue
        share = f"{kept.retention.value:.2f} [{kept.retention.low:.2f}, {kept.retention.high:.2f}]"
        line = f"{kept.name}: kept fully, {share}" if kept.kept_fully else f"{kept.name}: keeps {share}"
        if kept.through_bridge > kept.from_target:
            line += f" (R2 {kept.through_bridge:.2f}, better than {kept.from_target:.2f} from the target itself)"
        ridge, more = linear.get(kept.name), gains.get(kept.name)
        if results.adapter == "linear" or ridge is None or more is None:
            yield line
        else:
            gain = f"{more.gain.value:+.2f} [{more.gain.low:+.2f}, {more.gain.high:+.2f}]"
            yield f"{line}; ridge {ridge.value:.2f}; R2 {gain} against ridge: {more.outcome}"
