"""What a user types as overrides, rewritten as Hydra wants it."""

from __future__ import annotations

from typing import Any

from foresight_cli.config_groups import config_groups, group_aliases
from foresight_cli.errors import UsageError
from foresight_cli.latents.remote import refuse_secrets


def for_hydra(stage: str, overrides: list[str]) -> list[str]:
    """Rewrite ``overrides`` for Hydra: short names in full, and the numbers among a group's options quoted.

    ``layer=4,8`` becomes ``layer='4','8'``: Hydra reads a bare ``4`` as an integer, wants text for the name of an
    option, and stops with "Config group override must be a string or a list. Got int". Sweeps written
    ``range(4,25,4)``, ``choice(4,8)`` or ``glob(*)`` are written out for the same reason. In ``analyze`` and
    ``adapt``, ``source=ltxv`` becomes ``model@source.model=ltxv``; see :func:`config_groups.group_aliases`.
    ``data=null`` becomes ``~data``, as Hydra calls a group without an option.

    Raises:
        hydra.errors.OverrideParseException: an override is not ``KEY=VALUE``.
        UsageError: a group is given a list, which Hydra would merge into one option.
        ForesightError: ``cache_dir=`` carries a password.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for override in overrides:
        key, _, value = override.partition("=")
        if key.lstrip("+") == "cache_dir":
            refuse_secrets(value.strip("'\""))  # before Hydra writes the command line to the run's folder
    aliases = group_aliases(stage)
    if stage == "extract" and "model=precomputed" in overrides and not any(o.startswith("data=") for o in overrides):
        overrides = [*overrides, "data=precomputed"]  # a file of latents lists its own samples
    return [_rewrite(override, aliases) for override in OverridesParser.create().parse_overrides(overrides)]


def _rewrite(override: Any, aliases: dict[str, str]) -> str:
    from hydra.core.override_parser.types import Glob

    line: str = override.input_line
    typed, equals, _ = line.partition("=")
    key = override.get_key_element().lstrip("+~")
    prefix = typed.removesuffix(key)
    group = aliases.get(key, key)
    options = config_groups().get(group.partition("@")[0])
    if options is None or (key not in aliases and "@" not in key):
        return prefix + _setting_of_a_group(key, aliases) + line[len(typed) :]
    value = override.value()
    if not equals or (value is None and not prefix):
        return f"~{group}"
    if isinstance(value, list | dict):
        one = ",".join(map(str, value))
        raise UsageError(f"{line}: a group takes one option. To run one job for each, write {key}={one} and add -m")
    if isinstance(value, Glob):
        chosen = value.filter([option for option in options if option != "all"])  # all is every one of the others
    elif override.is_sweep_override():
        chosen = list(override.sweep_iterator())
    else:
        chosen = [value]
    return f"{prefix}{group}={','.join(map(_option, chosen))}"


def _setting_of_a_group(key: str, aliases: dict[str, str]) -> str:
    """``layer.index`` in analyze is ``source.layer.index``: the package of the group that a bare name stands for."""
    head, dot, rest = key.partition(".")
    _, _, package = aliases.get(head, "").partition("@")
    return f"{package}.{rest}" if dot and package and head in ("layer", "pooling") else key


def _option(option: Any) -> str:
    text = "null" if option is None else str(getattr(option, "text", option))
    return f"'{text}'" if text.isdigit() else text
