"""The ``foresight extract`` command that recreates a cache entry, from its manifest or recipe."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from foresight_cli.config import GROUPS, model_schema
from foresight_cli.config.text_settings import shell_line
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, Recipe
from foresight_cli.latents.recipe import ONLY, PROMPT
from foresight_cli.latents.store import ASIDE_MANIFEST
from foresight_cli.suggest.words import (
    Settings,
    data_defaults,
    data_words,
    layer_words,
    model_defaults,
    model_words,
    stage_words,
    weights_words,
)


def extract_command(entry: Entry, cache_dir: str, on: Entry | None = None) -> str | None:
    """Return the command that recreates ``entry``; None if its settings are unknown (say, a checkpoint's folder).

    With ``on``, the command takes the same model over the data of that entry.

    ``analyze`` extracts its controls on some samples of a dataset; no command does that, so the result is then None.
    """
    recipe = entry.recipe
    if ONLY in recipe.data:
        return None
    settings = settings_of(entry)
    if settings is None:
        return None
    model, data = settings
    if on is not None:
        data = (settings_of(on) or settings)[1]
    if "revision" in recipe.model:  # the branch may have changed since
        model = {**model, "revision": recipe.model["revision"]}
    weights = _weights(model)
    first, *changed = model_words(model, weights)
    words = [first, *weights_words(weights), *changed, *layer_words("layer", [recipe.layer])]
    words += [f"pooling={recipe.pooling}", *data_words(data, model)]
    words += stage_words("extract", rows_per_shard=recipe.rows_per_shard, cache_dir=cache_dir)
    return shell_line(["foresight", "extract", *words])


def settings_of(entry: Entry) -> tuple[Settings, Settings] | None:
    """Return the settings of model and data that lead to ``entry``; None if they are unknown.

    They come from its manifest, or from the one that was set aside with a bad shard. Without either, they are read
    from the recipe, and only used if they lead to exactly that recipe.
    """
    return _from_manifest(entry) or _from_recipe(entry.recipe)


def _from_manifest(entry: Entry) -> tuple[Settings, Settings] | None:
    for name in ("manifest.json", ASIDE_MANIFEST):
        try:
            manifest = json.loads((entry.path / name).read_bytes())
            if manifest["key"] == entry.recipe.key:
                model, data = manifest["provenance"]["model"], manifest["provenance"]["data"]
                if model["name"] in GROUPS["model"] and data["name"] in GROUPS["data"]:
                    return {**model, "label": manifest["provenance"].get("label")}, dict(data)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _from_recipe(recipe: Recipe) -> tuple[Settings, Settings] | None:
    """Return the settings that lead to ``recipe``; None if it does not contain them."""
    from foresight_cli.data import open_dataset
    from foresight_cli.models import open_model

    name, source = str(recipe.model["name"]), str(recipe.data.get("name"))
    has_files = recipe.model.get("checkpoint") == "local" or model_schema(name).kind == "file" or source != "shapes"
    if name not in GROUPS["model"] or has_files:  # no recipe has the path of the files
        return None
    model = {**model_defaults(name, _weights(recipe.model)), **_settings_in("model", recipe.model)}
    data = {**data_defaults(source), **_settings_in("data", recipe.data)}
    drawn = re.fullmatch(r"sample, seed (\d+)", str(recipe.model.get("posterior")))
    if drawn:
        model |= {"sample": True, "seed": int(drawn[1])}
    try:
        made = open_model(GROUPS["model"][name](**model)).recipe(recipe.layer)
        drawings = open_dataset(GROUPS["data"][source](**data)).identity()
    except (ForesightError, TypeError):
        return None
    of_files = ("sha256", "revision", *PROMPT)
    fixed = {key: value for key, value in recipe.model.items() if key not in of_files}
    return (model, data) if (made, drawings) == (fixed, recipe.data) else None


def _settings_in(group: str, identity: Settings) -> Settings:
    """Return the fields of a recipe that have the names of settings."""
    names = {field.name for field in fields(GROUPS[group][identity["name"]])}
    return {key: value for key, value in identity.items() if key in names}


def _weights(model: Mapping[str, Any]) -> str:
    return "tiny" if str(model.get("checkpoint", "")).startswith("tiny:") else "hub"
