"""Commands for two models: ``analyze`` and ``adapt`` with every setting that leads to their latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foresight_cli.config.text_settings import shell_line
from foresight_cli.suggest.words import data_words, model_words, stage_words, weights_for, weights_words


def analyze_command(
    source: Mapping[str, Any],
    target: Mapping[str, Any],
    data: Mapping[str, Any] | None,
    cache_dir: str,
    more: Sequence[str] = (),
) -> str:
    """Return the ``foresight analyze`` line for two models on one dataset, with all cached layers and poolings.

    Args:
        source: settings of the source model.
        target: settings of the target model.
        data: settings of the dataset; None for the only one that both models are cached on.
        cache_dir: root of the cache.
        more: words to end with.
    """
    source, target = ({**model, "label": None} for model in (source, target))  # stored in the cache
    weights = weights_for(source, target)
    words = [word for side, model in (("source", source), ("target", target)) for word in model_words(
        model, weights, side)]  # fmt: skip
    words += data_words(data) if data is not None else []
    words += [*weights_words(weights), *stage_words("analyze", cache_dir=cache_dir), *more]
    return shell_line(["foresight", "analyze", *words])


def typed_for_both(typed: Sequence[str]) -> list[str]:
    """Return the words typed after ``foresight analyze`` that ``adapt`` needs to find the same latents."""
    kept = ("source", "target", "data", "weights", "cache_dir", "device")
    below = ("source.model.", "target.model.", "data.")

    def key(word: str) -> str:
        return word.partition("=")[0].lstrip("+~")

    return [word for word in typed if key(word) in kept or key(word).startswith(below)]
