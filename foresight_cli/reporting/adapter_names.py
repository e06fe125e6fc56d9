"""Adapters by the words that ask for them, and what each came to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf

from foresight_cli.config_groups import as_override, conf_dir
from foresight_cli.results import AdapterResults, AdapterScore
from foresight_cli.text_settings import shell_line


@dataclass(frozen=True)
class Sized:
    """An adapter as it was asked for, and what came of it.

    Attributes:
        name: the words that ask for it, ``adapter=mlp adapter.hidden=64``.
        results: its scores.
        row: what it is called in a table, ``mlp hidden=64``: the settings that tell it from others of its kind.
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
        """The keys of the latents that it leads from and to."""
        return tuple(self.results.provenance.get("keys") or [self.results.source, self.results.target])

    def control(self, name: str) -> AdapterScore | None:
        """The scores of ``mean``, ``ridge`` ... on the same rows."""
        return next((score for score in self.results.scores[1:] if score.name == name), None)


def named(adapters: Sequence[AdapterResults]) -> list[Sized]:
    """Each with the words that lead to it: its kind, and the settings that are not the defaults or differ here."""
    settings = [_settings(one) for one in adapters]
    sized = []
    for results, own in zip(adapters, settings, strict=True):
        same = [its for other, its in zip(adapters, settings, strict=True) if other.adapter == results.adapter]
        defaults = defaults_of(results.adapter)
        differing = [key for key in own if any(its.get(key) != own[key] for its in same)]
        own = {**{key: own[key] for key in defaults if key in own}, **own}  # in the order of conf/
        changed = [key for key in own if own[key] != defaults.get(key, own[key])]
        telling = differing if len(same) > 1 else [key for key in changed if key != "adapter.max_parameters"]
        name, row = (
            shell_line([f"adapter={results.adapter}", *(as_override(key, own[key]) for key in own if key in keys)])
            for keys in ({*differing, *changed}, set(telling))
        )
        sized.append(Sized(name, results, row))
    return sized


def short(name: str) -> str:
    """``mlp hidden=64``; long numbers, as a sweeper draws them, with three digits."""
    rounded = re.sub(r"\d+\.\d{5,}(e-?\d+)?", lambda digits: f"{float(digits[0]):.3g}", name)
    return rounded.replace("adapter=", "").replace("adapter.", "")


def _settings(results: AdapterResults) -> dict[str, Any]:
    """What was asked for, by the words that ask for it."""
    adapter: dict[str, Any] = results.settings.get("adapter") or {}
    settings = {f"adapter.{key}": value for key, value in adapter.items() if key != "name"}
    return {**settings, **{key: results.settings[key] for key in ("seed", "split") if key in results.settings}}


def defaults_of(kind: str) -> dict[str, Any]:
    """The settings of ``adapt adapter=kind`` in ``conf/``; none of a kind that is not there."""
    path = conf_dir() / f"adapter/{kind}.yaml"
    if not path.is_file():
        return {}
    own: Any = OmegaConf.to_container(OmegaConf.load(path))
    stage: Any = OmegaConf.load(conf_dir() / "adapt.yaml")
    return {**{f"adapter.{key}": value for key, value in own.items()}, "seed": stage.seed, "split": list(stage.split)}
