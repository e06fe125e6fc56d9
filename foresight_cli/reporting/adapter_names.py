"""Names of adapters: the settings that ask for each of them, with its scores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf

from foresight_cli.config.text_settings import shell_line
from foresight_cli.config.tree import as_override, conf_dir
from foresight_cli.results import AdapterResults, AdapterScore


@dataclass(frozen=True)
class Sized:
    """An adapter with its name and its results.

    Attributes:
        name: the settings that ask for it, ``adapter=mlp adapter.hidden=64``.
        results: its scores.
        row: its name in a table, ``mlp hidden=64``: the settings that differ from others of its kind.
    """

    name: str
    results: AdapterResults
    row: str = ""

    @property
    def label(self) -> str:
        """Its name in tables and figures."""
        return short(self.row or self.name)

    @property
    def own(self) -> AdapterScore:
        """Its scores on the test rows."""
        return self.results.scores[0]

    @property
    def pair(self) -> tuple[str, ...]:
        """The keys of its source latents and target latents."""
        return tuple(self.results.provenance.get("keys") or [self.results.source, self.results.target])

    def control(self, name: str) -> AdapterScore | None:
        """Return the scores of ``mean``, ``ridge`` ... on the same rows; None if not measured."""
        return next((score for score in self.results.scores[1:] if score.name == name), None)


def named(adapters: Sequence[AdapterResults]) -> list[Sized]:
    """Name each adapter by its kind and by the settings that are not the default or differ among ``adapters``."""
    settings = [_settings(results) for results in adapters]
    sized = []
    for results, own in zip(adapters, settings, strict=True):
        pairs = zip(adapters, settings, strict=True)
        same_kind = [values for adapter, values in pairs if adapter.adapter == results.adapter]
        defaults = defaults_of(results.adapter)
        differing = [key for key in own if any(values.get(key) != own[key] for values in same_kind)]
        own = {**{key: own[key] for key in defaults if key in own}, **own}  # in the order of conf/
        changed = [key for key in own if own[key] != defaults.get(key, own[key])]
        distinct = differing if len(same_kind) > 1 else [key for key in changed if key != "adapter.max_parameters"]
        name, row = (
            shell_line([f"adapter={results.adapter}", *(as_override(key, own[key]) for key in own if key in keys)])
            for keys in ({*differing, *changed}, set(distinct))
        )
        sized.append(Sized(name, results, row))
    return sized


def short(name: str) -> str:
    """Shorten a name to ``mlp hidden=64``; long numbers, for example from a sweeper, get three digits."""
    rounded = re.sub(r"\d+\.\d{5,}(e-?\d+)?", lambda digits: f"{float(digits[0]):.3g}", name)
    return rounded.replace("adapter=", "").replace("adapter.", "")


def _settings(results: AdapterResults) -> dict[str, Any]:
    """Return the settings of an adapter, by key."""
    adapter: dict[str, Any] = results.settings.get("adapter") or {}
    settings = {f"adapter.{key}": value for key, value in adapter.items() if key != "name"}
    return {**settings, **{key: results.settings[key] for key in ("seed", "split") if key in results.settings}}


def defaults_of(kind: str) -> dict[str, Any]:
    """Return the default settings of ``adapt adapter=kind`` from ``conf/``; empty for an unknown kind."""
    path = conf_dir() / f"adapter/{kind}.yaml"
    if not path.is_file():
        return {}
    own: Any = OmegaConf.to_container(OmegaConf.load(path))
    stage: Any = OmegaConf.load(conf_dir() / "adapt.yaml")
    return {**{f"adapter.{key}": value for key, value in own.items()}, "seed": stage.seed, "split": list(stage.split)}
