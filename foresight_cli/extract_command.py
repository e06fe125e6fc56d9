"""The ``foresight extract`` command that makes a cache entry again, from what the entry says of itself."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from omegaconf import OmegaConf

from foresight_cli.config import GROUPS
from foresight_cli.config_groups import as_override, changed_settings, conf_dir, config_groups
from foresight_cli.data.subset import ONLY
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, Recipe
from foresight_cli.latents.store import ASIDE_MANIFEST

Settings = dict[str, Any]


def extract_command(entry: Entry, cache_dir: str) -> str | None:
    """What to type to make ``entry`` again; None where the entry does not tell enough, as of a checkpoint's folder.

    No command extracts some samples of a dataset, as ``analyze`` does for its controls; it does so again by itself.

    The settings are those in its manifest, or in the one that was set aside with a bad shard. Without either, they
    are read off the recipe, and only trusted if they lead to that very recipe.
    """
    recipe = entry.recipe
    if ONLY in recipe.data:
        return None
    settings = _from_manifest(entry) or _from_recipe(recipe)
    if settings is None:
        return None
    model, data = settings
    if "revision" in recipe.model:  # the branch may have moved on since
        model = {**model, "revision": recipe.model["revision"]}
    base = _read("extract.yaml")
    weights = _weights(model)
    at_first = _defaults(model, str(data["name"]))
    words = [f"model={model['name']}", *([f"weights={weights}"] if weights != "hub" else [])]
    words += changed_settings("model", model, at_first["model"])
    words += [f"layer={recipe.layer}" if recipe.layer in config_groups()["layer"] else f"layer.index={recipe.layer}"]
    words += [f"pooling={recipe.pooling}", f"data={data['name']}", *changed_settings("data", data, at_first["data"])]
    top = {"rows_per_shard": recipe.rows_per_shard, "cache_dir": cache_dir}
    words += [as_override(key, value) for key, value in top.items() if value != base[key]]
    return shlex.join(["foresight", "extract", *words])


def _from_manifest(entry: Entry) -> tuple[Settings, Settings] | None:
    for name in ("manifest.json", ASIDE_MANIFEST):
        try:
            said = json.loads((entry.path / name).read_bytes())
            if said["key"] == entry.recipe.key:
                model, data = said["provenance"]["model"], said["provenance"]["data"]
                if model["name"] in GROUPS["model"] and data["name"] in GROUPS["data"]:
                    return dict(model), dict(data)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _from_recipe(recipe: Recipe) -> tuple[Settings, Settings] | None:
    """The settings that lead to ``recipe``; None where they cannot be read off it."""
    from foresight_cli.data import open_dataset
    from foresight_cli.models import open_model

    name, source = str(recipe.model["name"]), str(recipe.data.get("name"))
    elsewhere = recipe.model.get("checkpoint") == "local" or name == "precomputed" or source != "shapes"
    if name not in GROUPS["model"] or elsewhere:  # where the files lie is in no recipe
        return None
    at_first = _defaults(recipe.model, source)
    model = {**at_first["model"], **_known("model", recipe.model)}
    data = {**at_first["data"], **_known("data", recipe.data)}
    drawn = re.fullmatch(r"sample, seed (\d+)", str(recipe.model.get("posterior")))
    if drawn:
        model |= {"sample": True, "seed": int(drawn[1])}
    try:
        made = open_model(GROUPS["model"][name](**model)).recipe(recipe.layer)
        drawings = open_dataset(GROUPS["data"][source](**data)).identity()
    except (ForesightError, TypeError):
        return None
    fixed = {key: value for key, value in recipe.model.items() if key not in ("sha256", "revision")}
    return (model, data) if (made, drawings) == (fixed, recipe.data) else None


def _known(group: str, said: Settings) -> Settings:
    """What a recipe says under the names of settings."""
    names = {field.name for field in fields(GROUPS[group][said["name"]])}
    return {key: value for key, value in said.items() if key in names}


def _weights(model: Mapping[str, Any]) -> str:
    return "tiny" if str(model.get("checkpoint", "")).startswith("tiny:") else "hub"


def _defaults(model: Settings, data: str) -> dict[str, Settings]:
    """The settings of ``conf/`` for a model and a dataset; None for what a user must give."""
    tree = OmegaConf.create(
        {
            "weights": _read(f"weights/{_weights(model)}.yaml"),
            "model": _read(f"model/{model['name']}.yaml"),
            "data": _read(f"data/{data}.yaml"),
        }
    )
    if "path" in model:
        tree.model.path = model["path"]  # data=precomputed takes it from there
    said: Any = OmegaConf.to_container(tree, resolve=True)
    if "path" in model:
        said["model"]["path"] = None
    return {group: {k: None if v == "???" else v for k, v in said[group].items()} for group in ("model", "data")}


def _read(name: str) -> Any:
    return OmegaConf.load(conf_dir() / name)
