"""Commands that a reader may type next, with the models, layers and poolings of the analysis."""

from __future__ import annotations

import shlex

from foresight_cli.results import Analysis

_DEFAULTS = ("qwen25vl", "ltxv")


def adapt_command(results: Analysis) -> str:
    """``foresight adapt`` for the pair of the verdict; what ``conf/adapt.yaml`` has by default is left out."""
    source, target = results.chosen_source, results.chosen_target
    words = ["foresight", "adapt", *_models(results), f"layer={source.layer}"]
    words += [f"source.pooling={source.pooling}"] if source.pooling != "channel_mean" else []
    words += [f"pooling={target.pooling}"] if target.pooling != "channel_mean" else []
    words += [f"target.layer={target.layer}"] if target.layer != "final" else []
    return shlex.join([*words, *_weights(results), *_place(results)])


def analyze_command(results: Analysis) -> str:
    """``foresight analyze`` over all that is cached of the two models."""
    return shlex.join(["foresight", "analyze", *_models(results), *_weights(results), *_place(results)])


def report_commands(results: Analysis) -> list[str]:
    """The two commands that redo this report from the cache: the analysis as it was typed, where that is known."""
    return [str(results.provenance.get("command") or analyze_command(results)), "foresight report"]


def _models(results: Analysis) -> list[str]:
    both = (("source", results.source), ("target", results.target))
    return [f"{side}={name}" for (side, name), default in zip(both, _DEFAULTS, strict=True) if name != default]


def _weights(results: Analysis) -> list[str]:
    return [f"weights={results.weights}"] if results.weights != "hub" else []


def _place(results: Analysis) -> list[str]:
    """The words that the analysis was typed with that say on which data, and in which cache."""
    typed = shlex.split(str(results.provenance.get("command", "")))
    return [word for word in typed if word.startswith(("data=", "data.", "cache_dir="))]
