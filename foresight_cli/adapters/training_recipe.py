"""Whether latents were made as those that an adapter was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from foresight_cli.errors import ForesightError
from foresight_cli.latents.recipe import Recipe
from foresight_cli.latents.store import Entry


def refuse_other_source(recipes: Any, source: Recipe | dict[str, Any] | Entry, place: str | Path) -> None:
    """Compare ``source`` with the recipe that the adapter in ``place`` was trained on; the data may be another's.

    Args:
        recipes: what the adapter's ``config.json`` holds under that name.
        source: how the latents were made that the adapter is to map.
        place: of the adapter, for messages.

    Raises:
        ForesightError: every setting that differs, with both values; or one of the two is not a recipe.
    """
    given = _recipe(source)
    try:
        trained = Recipe.from_dict(recipes["source"])
        was, now = _settings(trained), _settings(given)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ForesightError(
            f"the adapter in {place} does not say which latents it was trained on, so source= cannot be checked"
        ) from None
    differing = [name for name in sorted({*was, *now}) if was.get(name) != now.get(name)]
    if differing:
        both = "; ".join(f"{name} was {was.get(name, 'not set')}, is {now.get(name, 'not set')}" for name in differing)
        raise ForesightError(
            f"the adapter in {place} was trained on latents made another way: {both}. "
            "Extract these as those were, or train an adapter on them: foresight adapt"
        )


def _recipe(source: Recipe | dict[str, Any] | Entry) -> Recipe:
    if isinstance(source, Entry):
        return source.recipe
    return source if isinstance(source, Recipe) else Recipe.from_dict(source)


def _settings(recipe: Recipe) -> dict[str, str]:
    """What fixes how a sample becomes a row, as JSON by name.

    The hash of precomputed latents is left out: it is of the rows themselves, which are data.
    """
    model = dict(recipe.model)
    if model["name"] == "precomputed":
        model.pop("sha256", None)
    flat = {"layer": recipe.layer, "pooling": recipe.pooling} | {f"model.{key}": model[key] for key in model}
    return {name: json.dumps(value, sort_keys=True) for name, value in flat.items()}
