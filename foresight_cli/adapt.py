"""``foresight adapt``: train a small adapter between two cached spaces, and score it once on held-out groups."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from foresight_cli.adapters import Adapter, open_adapter, save_adapter
from foresight_cli.adapters.linear import LinearAdapter
from foresight_cli.adapters.mlp import MLPAdapter
from foresight_cli.adapters.training import Epoch, Split, train_mlp
from foresight_cli.catalog import find, reopen
from foresight_cli.config import AdaptConfig, SpaceConfig
from foresight_cli.config_reader import adapt_config
from foresight_cli.control_spaces import control_latents
from foresight_cli.devices import usable_device
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.experiments.rows import choose_rows
from foresight_cli.latents import Entry, join, load
from foresight_cli.metrics import fit_ridge
from foresight_cli.results import AdapterResults, AdapterScore, save_results

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """Training, validation and test rows; no group stands in two of them."""

    train: Split
    validation: Split
    test: Split


def run(cfg: DictConfig) -> float:
    """The stage's entry point; returns the adapter's held-out R2, for a sweeper to maximise."""
    config = adapt_config(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    results = adapt(config, folder)
    save_results(results, folder / "results.yaml")
    own = results.scores[0]
    for score in results.scores:
        log.info("  %-10s held-out R2 %6.3f  centred cosine %6.3f", score.name, score.r2, score.cosine)
    log.info("%s: %d parameters -> %s", results.adapter, own.parameters, folder / "adapter.safetensors")
    return own.r2


def adapt(config: AdaptConfig, folder: Path) -> AdapterResults:
    """Train the adapter that ``config`` asks for, save it into ``folder``, and return its held-out scores.

    Raises:
        ForesightError: nothing is cached for a side, or there are too few groups to split.
        UsageError: more than one layer or pooling, or an adapter over the budget.
    """
    for side, space in (("source", config.source), ("target", config.target)):
        _one(side, space)
    found = find(config.cache_dir, config.source, config.target, config.data, config.weights)
    source, target = found.source[0], found.target[0]
    opened = reopen(found, config.data)
    thumbnails = control_latents(["pixels"], opened[1], config.cache_dir).values() if opened else ()
    x, y, *pixels = join(load(source), load(target), *thumbnails)
    rows = choose_rows(
        [[x], [y], *([pixels] if pixels else [])],
        max_rows=len(x),
        select_share=0.0,
        seed=config.seed,
        skipped=source.manifest()["skipped"],
    )
    dropped = rows.duplicates
    log.info(
        "%d samples: %d exact duplicates left out, %d near-duplicates kept together, %d groups",
        *(dropped.rows, dropped.exact, dropped.near, dropped.groups),
    )
    split = _split([rows.groups[i] for i in rows.score], config)
    parts = Parts(*(_part(x.values, y.values, [rows.score[i] for i in part]) for part in split))
    adapter = _new(config, parts)
    log.info("%s: %d parameters; %d training, %d validation and %d test rows", config.adapter.name,
             adapter.parameter_count, *(len(p.x) for p in (parts.train, parts.validation, parts.test)))  # fmt: skip
    with (folder / "metrics.jsonl").open("w", encoding="utf-8") as lines:
        epochs, best = _fit(adapter, parts, config.seed, lambda epoch: print(json.dumps(asdict(epoch)), file=lines))
    save_adapter(adapter, folder, {"source": source.recipe.to_dict(), "target": target.recipe.to_dict()})
    return AdapterResults(
        adapter=config.adapter.name,
        source=_name(source),
        target=_name(target),
        weights=config.weights,
        duplicates=rows.duplicates,
        rows={"train": len(parts.train.x), "validation": len(parts.validation.x), "test": len(parts.test.x)},
        scores=_scores(adapter, parts, config),
        r2_train=_score("train", 0, _predict(adapter, parts.train.x), parts.train, parts.train).r2,
        epochs=epochs,
        best_epoch=best,
        settings={"adapter": asdict(config.adapter), "seed": config.seed, "split": list(config.split)},
        provenance={
            "entries": [str(source.path), str(target.path)],
            "keys": [source.path.name, target.path.name],
            "versions": {name: version(name) for name in ("foresight-latents", "torch", "numpy")},
        },
    )


def _one(side: str, space: SpaceConfig) -> None:
    if not (space.layers and len(space.layers) == 1 and space.poolings):
        raise UsageError(
            f"adapt takes one layer and one pooling of the {side}, as {side}.layer=final {side}.pooling=flat. "
            f"To try several, sweep: foresight adapt -m {side}.layer=4,8,final"
        )


def _split(groups: Sequence[str], config: AdaptConfig) -> list[list[int]]:
    """Rows of training, validation and test, by whole groups in a seeded order."""
    names = sorted(set(groups))
    if len(names) < 20:
        raise ForesightError(f"{len(names)} independent samples cannot be split three ways; at least 20 are needed")
    order = [names[i] for i in np.random.default_rng(config.seed).permutation(len(names))]
    edges = np.round(np.cumsum(config.split) * len(order)).astype(int)
    part_of = {name: int(np.searchsorted(edges, i, side="right")) for i, name in enumerate(order)}
    return [[i for i, group in enumerate(groups) if part_of[group] == part] for part in range(3)]


def _part(x: torch.Tensor, y: torch.Tensor, rows: Sequence[int]) -> Split:
    if len(rows) < 3:
        raise ForesightError(f"a part of the split has {len(rows)} rows: give it a larger share with split=[...]")
    return Split(x[list(rows)].double(), y[list(rows)].double())


def _new(config: AdaptConfig, parts: Parts) -> Adapter:
    torch.manual_seed(config.seed)
    adapter = open_adapter(config.adapter, parts.train.x.shape[1], parts.train.y.shape[1])
    if adapter.parameter_count > config.max_parameters:
        raise UsageError(
            f"adapter={config.adapter.name} from {adapter.source_dim} to {adapter.target_dim} values has "
            f"{adapter.parameter_count:,} parameters, over max_parameters={config.max_parameters:,}. "
            "Take a smaller one, or raise max_parameters="
        )
    return adapter.to(usable_device(config.device))


def _fit(adapter: Adapter, parts: Parts, seed: int, on_epoch: Callable[[Epoch], None]) -> tuple[int, int]:
    if isinstance(adapter, LinearAdapter):
        adapter.solve(parts.train.x, parts.train.y)
        return 0, 0
    assert isinstance(adapter, MLPAdapter)
    return train_mlp(adapter, parts.train, parts.validation, seed=seed, on_epoch=on_epoch)


def _scores(adapter: Adapter, parts: Parts, config: AdaptConfig) -> list[AdapterScore]:
    """The adapter beside the mean predictor, ridge, and the same adapter trained on shuffled pairs."""
    ridge = fit_ridge(parts.train.x, parts.train.y)
    order = torch.from_numpy(np.random.default_rng(config.seed).permutation(len(parts.train.x)))
    wrong = Parts(Split(parts.train.x, parts.train.y[order]), parts.validation, parts.test)
    shuffled = _new(config, parts)
    _fit(shuffled, wrong, config.seed, _ignore)
    mean = parts.train.y.mean(dim=0).expand_as(parts.test.y)
    weights = ridge.weight.numel() + len(ridge.y_mean)
    return [
        _score(config.adapter.name, adapter.parameter_count, _predict(adapter, parts.test.x), parts.train, parts.test),
        _score("mean", len(mean[0]), mean, parts.train, parts.test),
        _score("ridge", weights, ridge.predict(parts.test.x), parts.train, parts.test),
        _score("shuffled", shuffled.parameter_count, _predict(shuffled, parts.test.x), parts.train, parts.test),
    ]


def _ignore(_: Epoch) -> None:
    """A run whose epochs nobody asks for."""


def _predict(adapter: Adapter, x: torch.Tensor) -> torch.Tensor:
    device = next(adapter.parameters()).device
    with torch.no_grad():
        return torch.cat([adapter(rows.float().to(device)).double().cpu() for rows in x.split(4096)])


def _score(name: str, parameters: int, predicted: torch.Tensor, train: Split, on: Split) -> AdapterScore:
    """Held-out R2, pooled over the target's dimensions, and cosine; both are taken from the training mean."""
    mean = train.y.mean(dim=0)
    truth, shift = on.y - mean, predicted - mean
    r2 = 1 - float((truth - shift).square().sum() / truth.square().sum())
    norms = truth.norm(dim=1) * shift.norm(dim=1)
    cosine = torch.where(norms > 0, (truth * shift).sum(dim=1) / norms.clamp_min(1e-300), 0.0)
    return AdapterScore(name, parameters, r2, float(cosine.mean()))


def _name(entry: Entry) -> str:
    layer = entry.recipe.layer
    return f"{entry.recipe.model['name']} {layer if layer == 'final' else f'layer {layer}'} {entry.recipe.pooling}"
