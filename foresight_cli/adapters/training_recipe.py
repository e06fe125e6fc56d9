"""The check that latents were made with the settings of those that an adapter was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from foresight_cli.config import model_schema
from foresight_cli.errors import ForesightError
from foresight_cli.latents.recipe import Recipe
from foresight_cli.latents.store import Entry


def refuse_other_source(recipes: Any, source: Recipe | dict[str, Any] | Entry, place: str | Path) -> None:
    """Check ``source`` against the recipe that the adapter in ``place`` was trained on; the data may differ.

    Args:
        recipes: the value of ``recipes`` in the adapter's ``config.json``.
        source: the latents that the adapter is to map: a cache entry or its recipe.
        place: the adapter's folder or repository, for messages.

    Raises:
        ForesightError: settings differ (the message lists each with both values), or one of the two is not a recipe.
    """
    recipe = _recipe(source)
    try:
        trained = Recipe.from_dict(recipes["source"])
        was, now = _settings(trained), _settings(recipe)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ForesightError(
            f"the adapter in {place} does not say which latents it was trained on, so source= cannot be checked"
        ) from None
    differing = [name for name in sorted({*was, *now}) if was.get(name) != now.get(name)]
    if differing:
        both = "; ".join(f"{name} was {was.get(name, 'not set')}, is {now.get(name, 'not set')}" for name in differing)
        raise ForesightError(
            f"the adapter in {place} was trained on latents made with other settings: {both}. "
            "Extract the latents with the settings that were used, or train an adapter on these: foresight adapt"
        )


def _recipe(source: Recipe | dict[str, Any] | Entry) -> Recipe:
    if isinstance(source, Entry):
        return source.recipe
    return source if isinstance(source, Recipe) else Recipe.from_dict(source)


def _settings(recipe: Recipe) -> dict[str, str]:
    """Return the settings by which a sample becomes a row, as JSON by name.

    The hash of precomputed latents is left out: it covers the rows themselves, which are data.
    """
    model = dict(recipe.model)
    if model_schema(model["name"]).kind == "file":
        model.pop("sha256", None)
    flat = {"layer": recipe.layer, "pooling": recipe.pooling} | {f"model.{key}": model[key] for key in model}
    return {name: json.dumps(value, sort_keys=True) for name, value in flat.items()}
