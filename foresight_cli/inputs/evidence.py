"""Further evidence in the cache: the source with random weights, and latents of data with known attributes."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from foresight_cli.catalog.find import Found
from foresight_cli.config import AnalyzeConfig
from foresight_cli.experiments.assessment import Assessment
from foresight_cli.inputs.companion import NO_COMPANION, companion, companion_commands
from foresight_cli.inputs.controls import RANDOM_INIT, random_init_command, random_init_of
from foresight_cli.inputs.inputs import Companion
from foresight_cli.inputs.representation import Representation
from foresight_cli.inputs.scored import Scored
from foresight_cli.inputs.split import choose_rows
from foresight_cli.latents import Entry, Latents, join, load
from foresight_cli.machine.devices import usable_device

log = logging.getLogger(__name__)


def representation_of(side: str, label: str, entry: Entry, latents: Latents, device: str) -> Representation:
    """Return the latents of a cache entry as the representation of model ``label``, to be measured on ``device``."""
    recipe = entry.recipe
    name = str(recipe.model["name"])
    return Representation.of(side, name, recipe.layer, recipe.pooling, entry.path.name, latents, device, label)


def untrained(entry: Entry, ids: Sequence[str], cache_dir: str) -> dict[str, torch.Tensor]:
    """Find the latents of the samples ``ids`` by the source's network with random weights; {} if not cached."""
    latents = random_init_of(entry, cache_dir, ids)
    return {} if latents is None else {RANDOM_INIT: latents.values}


def companion_set(entries: Found, pair: tuple[int, int], config: AnalyzeConfig) -> Companion | None:
    """Find the latents of a pair's two models on drawn shapes, duplicates merged, ready to score; None if not cached.

    Args:
        entries: the entries of both sides on the user's data.
        pair: a source and a target, as indices of the sources and of the targets.
        config: seed and row limit.
    """
    pair_entries = companion(entries, (pair[0], len(entries.source) + pair[1]), config.cache_dir)
    if pair_entries is None:
        return None
    source, target = join(*(load(entry) for entry in pair_entries))
    rows = choose_rows([[source], [target]], max_rows=config.max_rows, select_share=0.0, seed=config.seed, skipped=[])
    some = source.take(rows.score)
    scored = Scored(some.ids, some.labels, [rows.groups[i] for i in rows.score], some.attributes, rows.one_of_each)
    x, y = (
        representation_of(side, label, entry, latents, usable_device(config.device)).rows(rows.score, rows.one_of_each)
        for side, label, entry, latents in zip(
            ("source", "target"), entries.labels, pair_entries, (source, target), strict=True
        )
    )
    return Companion(f"shapes ({len(rows.score)} drawings)", x, y, scored)


def advice_of(assessed: Assessment, entries: Found, config: AnalyzeConfig) -> list[str]:
    """Return a line for each missing piece of evidence, with the command to type for it."""
    advice = []
    s, t = divmod(assessed.index, len(assessed.targets))
    if not assessed.evidence.attributes and not assessed.scored.attributes:
        commands = companion_commands(entries, (s, len(entries.source) + t), config.cache_dir)
        if commands is None:
            advice.append(f"no attributes: {NO_COMPANION}")
        else:
            advice.append(
                "no attributes: to measure whether position survives, extract drawn shapes with the same models: "
                + " && ".join(commands)
            )
    if RANDOM_INIT not in {control.name for control in assessed.evidence.controls}:
        command = random_init_command(entries.source[s], config.cache_dir)
        if command:
            advice.append(f"the source with random weights was not measured as a control: {command}")
    return advice
