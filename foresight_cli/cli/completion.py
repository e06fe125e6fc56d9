"""Tab completion of overrides, from file names alone, without Hydra, YAML or torch."""

from __future__ import annotations

import typer

from foresight_cli.config.tree import config_groups, group_aliases


def complete_override(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete ``group=option`` and ``group=option,option`` for the stage being typed."""
    aliases = group_aliases(ctx.command.name or "")
    options = config_groups()
    groups = {name: options[group.partition("@")[0]] for name, group in aliases.items()}
    words = [w for w in ctx.params.get("overrides") or [] if w != "="]
    key, equals, value = incomplete.partition("=")
    typed = f"{key}="
    if not equals and words and words[-1] in groups:  # bash split the word at "=" and replaces only the part after it
        key, equals, value, typed = words[-1], "=", incomplete, ""
    if not equals:
        matching = [group for group in groups if group.startswith(key)]
        if len(matching) != 1:
            return [f"{group}=" for group in matching]
        key = matching[0]  # offer its options now: bash adds a space after a single "group="
        typed = f"{key}="
    *chosen, last = value.split(",")
    typed += "".join(f"{option}," for option in chosen)
    return [typed + option for option in groups.get(key, []) if option.startswith(last) and option not in chosen]
