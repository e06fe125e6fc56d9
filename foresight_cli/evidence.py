"""What the cache holds beside the two spaces: the untrained source, and latents of data whose attributes are known."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from foresight_cli.catalog import Found
from foresight_cli.companion import NO_COMPANION, companion, companion_commands
from foresight_cli.config import AnalyzeConfig
from foresight_cli.control_spaces import RANDOM_INIT, random_init_command, random_init_of
from foresight_cli.devices import usable_device
from foresight_cli.experiments.assessment import Assessment
from foresight_cli.experiments.inputs import Companion
from foresight_cli.experiments.representation import Representation
from foresight_cli.experiments.rows import choose_rows
from foresight_cli.experiments.scored import Scored
from foresight_cli.latents import Entry, Latents, join, load

log = logging.getLogger(__name__)


def representation_of(side: str, label: str, entry: Entry, latents: Latents, device: str) -> Representation:
    """The latents of a cache entry of the model called ``label``, to be measured on ``device``."""
    recipe = entry.recipe
    name = str(recipe.model["name"])
    return Representation.of(side, name, recipe.layer, recipe.pooling, entry.path.name, latents, device, label)


def untrained(entry: Entry, ids: Sequence[str], cache_dir: str) -> dict[str, torch.Tensor]:
    """The source's own network with weights that were never trained, on the samples ``ids``; {} if it is not cached."""
    latents = random_init_of(entry, cache_dir, ids)
    return {} if latents is None else {RANDOM_INIT: latents.values}


def companion_set(found: Found, pair: tuple[int, int], config: AnalyzeConfig) -> Companion | None:
    """Latents of a pair's two models on drawn shapes, duplicates merged, ready to be scored; None if not cached.

    Args:
        found: the entries of both sides on the user's data.
        pair: a source and a target, by their places among the sources and the targets.
        config: seed and row limit.
    """
    entries = companion(found, (pair[0], len(found.source) + pair[1]), config.cache_dir)
    if entries is None:
        return None
    source, target = join(*(load(entry) for entry in entries))
    rows = choose_rows([[source], [target]], max_rows=config.max_rows, select_share=0.0, seed=config.seed, skipped=[])
    some = source.take(rows.score)
    scored = Scored(some.ids, some.labels, [rows.groups[i] for i in rows.score], some.attributes, rows.one_of_each)
    x, y = (
        representation_of(side, label, entry, held, usable_device(config.device)).rows(rows.score, rows.one_of_each)
        for side, label, entry, held in zip(("source", "target"), found.labels, entries, (source, target), strict=True)
    )
    return Companion(f"shapes ({len(rows.score)} drawings)", x, y, scored)


def advice_of(assessed: Assessment, found: Found, config: AnalyzeConfig) -> list[str]:
    """What to type for the evidence that is missing."""
    said = []
    s, t = divmod(assessed.index, len(assessed.targets))
    if not assessed.evidence.attributes and not assessed.scored.attributes:
        commands = companion_commands(found, (s, len(found.source) + t), config.cache_dir)
        if commands is None:
            said.append(f"no attributes: {NO_COMPANION}")
        else:
            said.append(
                "no attributes: whether position survives can be measured on drawn shapes by the same models: "
                + " && ".join(commands)
            )
    if RANDOM_INIT not in {control.name for control in assessed.evidence.controls}:
        command = random_init_command(found.source[s], config.cache_dir)
        if command:
            said.append(f"the source with random weights was not measured as a control: {command}")
    return said
