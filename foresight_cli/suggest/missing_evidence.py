"""The commands for evidence that an analysis lacks: drawn shapes with attributes, and the untrained source."""

from __future__ import annotations

import shlex

from foresight_cli.config import NetworkConfig, model_schema
from foresight_cli.config.text_settings import shell_line
from foresight_cli.latents import Entry
from foresight_cli.suggest.extract_again import extract_command

NO_COMPANION = (
    "latents read from a file cannot be computed for drawn shapes: add columns such as x and y to attributes.csv or to "
    "the file of latents"
)
"""The reason why :func:`companion_commands` has no commands."""


def missing_evidence(source: Entry, target: Entry, cache_dir: str, *, attributes: bool, random_init: bool) -> list[str]:
    """Return a line for each missing piece of evidence, with the command to type for it.

    Args:
        source: the entry of the chosen pair's source.
        target: the entry of its target.
        cache_dir: root of the cache.
        attributes: whether attributes were measured, or known and not measurable.
        random_init: whether the source with random weights was measured.
    """
    advice = []
    if not attributes:
        commands = companion_commands(source, target, cache_dir)
        if commands is None:
            advice.append(f"no attributes: {NO_COMPANION}")
        else:
            advice.append(
                "no attributes: to measure whether position survives, extract drawn shapes with the same models: "
                + " && ".join(commands)
            )
    if not random_init and (command := random_init_command(source, cache_dir)):
        advice.append(f"the source with random weights was not measured as a control: {command}")
    return advice


def companion_commands(source: Entry, target: Entry, cache_dir: str) -> list[str] | None:
    """Return the two ``foresight extract`` commands that make the companion set; None for a :data:`NO_COMPANION`."""
    commands = []
    for entry in (source, target):
        command = extract_command(entry, cache_dir)
        if model_schema(entry.recipe.model["name"]).kind == "file" or command is None:
            return None
        words = [word for word in shlex.split(command) if not word.startswith(("data=", "data."))]
        commands.append(shell_line([*words, "data=shapes"]))
    return commands


def random_init_command(entry: Entry, cache_dir: str) -> str | None:
    """Return the command that extracts ``entry`` with random weights; None for a model without trained weights."""
    command = extract_command(entry, cache_dir)
    if command is None or not has_trained_weights(entry):
        return None
    return shell_line([*shlex.split(command), "model.init=random"])


def has_trained_weights(entry: Entry) -> bool:
    """Check whether ``entry`` was made by a network with trained weights."""
    model = entry.recipe.model
    return issubclass(model_schema(model.get("name")), NetworkConfig) and "init" not in model
