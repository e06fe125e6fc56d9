"""``README.md`` of a saved adapter: a model card for the Hugging Face hub, from ``model_card.md.j2``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import yaml

from foresight_cli.latents.recipe import display_name
from foresight_cli.reporting.markdown import Markdown, code_block, escape, yaml_block
from foresight_cli.reporting.templates import template_environment
from foresight_cli.reporting.traced import Numbers
from foresight_cli.results import AdapterResults

if TYPE_CHECKING:
    from foresight_cli.adapters import Adapter


def render_model_card(
    adapter: Adapter,
    recipes: dict[str, Any],
    results: AdapterResults | None = None,
    *,
    repo_id: str | None = None,
    previews: Sequence[str] = (),
) -> str:
    """Return the text of ``README.md``.

    Args:
        adapter: the trained adapter.
        recipes: ``source`` and ``target``: the cache recipes that it was trained on.
        results: its held-out scores; if None, the card states that there are none.
        repo_id: ``user/name`` of the published adapter; without it, the card loads the adapter from its folder.
        previews: names of pictures in its folder.
    """
    environment = template_environment(escape, Numbers(), fence=code_block, yaml=yaml_block)
    return environment.get_template("model_card.md.j2").render(
        front=Markdown(yaml.safe_dump(_front_matter(adapter), sort_keys=False)),
        kind=adapter.config.name,
        adapter=adapter,
        source=results.source if results else _space(recipes["source"]),
        target=results.target if results else _space(recipes["target"]),
        settings=_settings(recipes),
        data=[str(recipes[side]["data"]["name"]) for side in ("source", "target")],
        results=results,
        adapter_settings={**asdict(adapter.config), **adapter.shape},
        snippet=_snippet(adapter, repo_id),
        previews=Markdown("\n\n".join(f"![{escape(name)}]({name})" for name in previews)),
    )


def _front_matter(adapter: Adapter) -> dict[str, Any]:
    tags = ["foresight", "latent-space", "adapter", f"{adapter.config.name}-adapter"]
    return {"library_name": "foresight", "tags": tags}


def _space(recipe: dict[str, Any]) -> str:
    return display_name(recipe["model"]["name"], recipe["layer"], recipe["pooling"])


_ORDER = ("model", "layer", "pooling", "data", "rows")


def _settings(recipes: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return every setting of the two recipes by name, as text; empty where a side does not have it."""
    sides = [_flat(recipes["source"]), _flat(recipes["target"])]
    names = sorted({**sides[0], **sides[1]}, key=lambda name: _ORDER.index(name.partition(".")[0]))
    return [(name, *(_text(side[name]) if name in side else "" for side in sides)) for name in names]  # type: ignore[misc]


def _flat(recipe: dict[str, Any]) -> dict[str, Any]:
    parts = {part: recipe[part] for part in ("model", "data")}
    flat = {f"{part}.{key}": value for part, held in parts.items() for key, value in held.items()}
    return flat | {key: recipe[key] for key in _ORDER if key not in parts}


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _snippet(adapter: Adapter, repo_id: str | None) -> str:
    place = repo_id or "."
    where = "fetched from the Hugging Face hub" if repo_id else "the folder of this file"
    return f"""\
import torch
from foresight_cli.adapters import load_adapter  # pip install foresight-latents

adapter = load_adapter({json.dumps(place)})  # {where}
source = torch.randn(4, {adapter.source_dim})  # in place of raw source latents, one a row
with torch.inference_mode():
    target = adapter(source)  # raw target latents [4, {adapter.target_dim}]
"""
