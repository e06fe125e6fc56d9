"""Commands that a reader may type next, with the models, layers and poolings of the analysis."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import OmegaConf

from foresight_cli.adapters.budget import fitting
from foresight_cli.config import MLPConfig
from foresight_cli.config.text_settings import shell_line
from foresight_cli.config.tree import as_override, conf_dir, primary_defaults
from foresight_cli.results import AdapterResults, Analysis, Space
from foresight_cli.results.runs import analysis_of, newest_analyses
from foresight_cli.suggest.pair import typed_for_both
from foresight_cli.suggest.words import layer_words, shown_path

_COMMAND = re.compile(r"(foresight (?:extract|analyze|adapt|report|cache) .+?(?= && |$))")


def adapt_command(results: Analysis) -> str:
    """Return ``foresight adapt`` for the pair of the verdict, with an adapter that is within the default budget."""
    source, target = results.chosen_source, results.chosen_target
    words = fitting(_default_adapter(), source.dimension, target.dimension)
    return shell_line(["foresight", "adapt", *_models_and_data(results), *_pair(source, target), *words])


def adapter_command(results: Analysis, keys: Sequence[str], adapter_text: str) -> str:
    """Return ``foresight adapt`` for the pair with these keys; ``""`` if the analysis does not have it.

    Args:
        results: the analysis.
        keys: cache keys of the source and the target, in this order.
        adapter_text: the overrides that choose the adapter, quoted for a shell.
    """
    spaces = {(space.side, space.key): space for space in results.spaces}
    source, target = (spaces.get(side_and_key) for side_and_key in zip(("source", "target"), keys, strict=True))
    if source is None or target is None:
        return ""
    return f"{shell_line(['foresight', 'adapt', *_models_and_data(results), *_pair(source, target)])} {adapter_text}"


def sweep_command(typed: Sequence[str], adapter_text: str) -> str:
    """Return ``foresight adapt`` as one job of a sweep typed it, with another adapter.

    Args:
        typed: the overrides of the job, typed after ``foresight adapt``.
        adapter_text: the overrides that choose the adapter, quoted for a shell.
    """
    kept = [word for word in typed if not re.match(r"[+~]*(adapter[=.]|seeds=|hydra[./])", word)]
    return f"{shell_line(['foresight', 'adapt', *kept])} {adapter_text}"


def _pair(source: Space, target: Space) -> list[str]:
    """Return the overrides for two layers and poolings; bare ``layer`` is the source's, ``pooling`` the target's."""
    words = layer_words("layer", [source.layer])
    words += [f"source.pooling={source.pooling}"] if source.pooling != "channel_mean" else []
    words += layer_words("target.layer", [target.layer]) if target.layer != "final" else []
    return words + ([f"pooling={target.pooling}"] if target.pooling != "channel_mean" else [])


def analyze_command(results: Analysis) -> str:
    """Return ``foresight analyze`` over everything cached of the two models."""
    return shell_line(["foresight", "analyze", *_models_and_data(results)])


def report_commands(results: Analysis) -> list[str]:
    """Return the two commands that redo this report from the cache, the analysis as typed if that is known."""
    return [str(results.provenance.get("command") or analyze_command(results)), "foresight report"]


def after_adapt(results: AdapterResults, typed: Sequence[str], outputs: Path = Path("outputs")) -> str:
    """Return the command of the report that shows an adapter, or of the analysis that it still needs.

    Args:
        results: results of the adapter.
        typed: the overrides typed after ``foresight adapt``.
        outputs: the folder in which reports look for analyses.
    """
    folder = analysis_of(outputs, results.provenance["keys"])
    if folder is None:
        return shell_line(["foresight", "analyze", *typed_for_both(typed)])
    if [folder] == newest_analyses(outputs):  # a bare report would show this analysis alone
        return "foresight report"
    return shell_line(["foresight", "report", as_override("run", shown_path(str(folder.absolute())))])


def with_commands(text: str) -> Iterator[tuple[str, bool]]:
    """Split ``text`` into pieces, each with True if it is a command that can be typed as it is.

    >>> list(with_commands("not measured: foresight extract a && foresight extract b"))
    [('not measured: ', False), ('foresight extract a', True), (' && ', False), ('foresight extract b', True)]
    """
    for number, piece in enumerate(_COMMAND.split(text)):
        if piece:
            yield piece, number % 2 == 1


def _models_and_data(results: Analysis) -> list[str]:
    """Return the overrides for models, data and cache, as the analysis was typed."""
    if "command" in results.provenance:
        return typed_for_both(shlex.split(str(results.provenance["command"]))[2:])
    both = (("source", results.source), ("target", results.target))
    defaults = primary_defaults("analyze")
    models = [f"{side}={name}" for side, name in both if name != defaults[f"model@{side}.model"]]
    return [*models, *([f"weights={results.weights}"] if results.weights != "hub" else [])]


def _default_adapter() -> MLPConfig:
    """Return the default adapter of ``foresight adapt``."""
    settings = OmegaConf.load(conf_dir() / "adapter/mlp.yaml")
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(MLPConfig), settings))  # type: ignore[return-value]
