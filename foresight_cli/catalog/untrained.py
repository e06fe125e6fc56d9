"""Find the control ``random_init``: the source's own network with random weights, on the same data."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from foresight_cli.catalog.reopen import model_settings
from foresight_cli.config import NetworkConfig
from foresight_cli.config.controls import RANDOM_INIT
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, Latents, load
from foresight_cli.latents.finding import complete_entries
from foresight_cli.latents.reading.rows import load_some
from foresight_cli.latents.recipe import PROMPT, canonical_json
from foresight_cli.latents.storage.remote import cache_root
from foresight_cli.models import open_model
from foresight_cli.suggest.missing_evidence import has_trained_weights

log = logging.getLogger(__name__)


def untrained_latents(entry: Entry, cache_dir: str, ids: Sequence[str] | None = None) -> Latents | None:
    """Find the latents of the network of ``entry`` with random weights; None if the cache does not have them.

    They have the same checkpoint (for its shape and settings), layer, pooling and data: only ``model.init`` differs. Of
    several seeds, the smallest is taken. ``random_init_command`` of ``suggest`` returns the command.

    Args:
        entry: a complete entry.
        cache_dir: root of the cache.
        ids: the samples; None for all.
    """
    if not has_trained_weights(entry):
        return None
    made = [other for other in complete_entries(cache_root(cache_dir), quiet=True) if _may_be_of(other, entry)]
    if not made:
        return None
    try:
        wanted = _random_model(entry)
        same = [other for other in made if {**other.recipe.model, "init_seed": None} == wanted]
        if not same:
            _refuse_former_prompt(entry, wanted, made)
            return None
        chosen = min(same, key=lambda other: int(other.recipe.model["init_seed"]))
        return load(chosen) if ids is None else load_some(chosen, ids)
    except ForesightError as error:  # the checkpoint's folder is gone, or a shard is damaged
        log.warning("warning: the control %s is not measured: %s", RANDOM_INIT, error)
        return None


def _refuse_former_prompt(entry: Entry, wanted: dict[str, Any], made: Sequence[Entry]) -> None:
    """Refuse an entry of a former prompt, if its copy has the new one: the command that makes the copy cannot help.

    Raises:
        ForesightError: one of ``made`` differs from ``wanted`` only in that it has keys of the prompt.
    """
    for other in made:
        model = {**other.recipe.model, "init_seed": None}
        further = {key: model[key] for key in PROMPT if key in model and key not in wanted}
        if further and model == {**wanted, **further}:
            raise ForesightError(
                f"an earlier version made {entry.path} with another prompt than {other.path}: extract it again"
            )


def _may_be_of(other: Entry, entry: Entry) -> bool:
    """Check whether ``other`` has random weights, and the model name, layer, pooling and data of ``entry``."""
    wanted, recipe = entry.recipe, other.recipe
    return (
        (recipe.model.get("name"), recipe.layer, recipe.pooling) == (wanted.model["name"], wanted.layer, wanted.pooling)
        and "init" in recipe.model
        and canonical_json(recipe.data) == canonical_json(wanted.data)
    )


def _random_model(entry: Entry) -> dict[str, Any]:
    """Return the ``model`` part of a recipe for the model of ``entry`` with random weights, with ``init_seed`` None.

    For local files the hash is computed again: that of ``entry`` also covers the weights.

    Raises:
        ForesightError: the checkpoint's folder is missing or has changed since.
    """
    trained = model_settings(entry)
    assert isinstance(trained, NetworkConfig)  # as has_trained_weights() has checked
    random, recipe = open_model(replace(trained, init="random")), entry.recipe.model
    of_hub = ("revision", *PROMPT) if "revision" in recipe else ()  # the hub is not reached for a second time
    return {
        **random.recipe(entry.recipe.layer),
        **random.identity(reach_hub=False),
        **{key: recipe[key] for key in of_hub if key in recipe},
        "init_seed": None,
    }
