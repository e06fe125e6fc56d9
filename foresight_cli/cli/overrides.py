"""Rewrite the overrides that a user types for Hydra.

Hydra has its own grammar for values: ``照片``, ``eq=1`` and ``~/photos`` are not values in it, ``2024`` is a number and
``a,b`` is two values. The shell has already removed the user's quotes. So where the schema of a setting is text, its
value is quoted for Hydra here, and Hydra receives the text as typed. Some spellings keep their meaning in Hydra's
grammar, because a text rarely looks like them: a value in quotes, ``${...}``, and, with ``-m``, commas and functions
such as ``choice(...)``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from foresight_cli.cli.did_you_mean import no_option, no_override, no_setting
from foresight_cli.config.text_settings import (
    CALL,
    Kind,
    kind_of,
    plain,
    quoted,
    quoted_interpolation,
    shell_line,
    spelled,
    split_values,
)
from foresight_cli.config.tree import config_groups, group_aliases
from foresight_cli.errors import UsageError
from foresight_cli.latent_file.brace_patterns import pattern_of
from foresight_cli.latents.storage.remote import refuse_secrets

_KEY = re.compile(r"(?P<prefix>\+\+?|~)?(?P<key>[A-Za-z_$][\w$-]*([./][\w$-]+)*(@[\w.$-]*)?)", re.ASCII)


def for_hydra(stage: str, overrides: Sequence[str], *, multirun: bool = False, more_options: bool = False) -> list[str]:
    """Rewrite ``overrides`` for Hydra: short names in full, text and the numbers among a group's options quoted.

    ``layer=4,8`` becomes ``layer='4','8'``: Hydra reads a bare ``4`` as an integer, wants text for the name of an
    option, and stops with "Config group override must be a string or a list. Got int". Sweeps such as
    ``range(4,25,4)``, ``choice(4,8)`` or ``glob(*)`` are replaced by their values for the same reason. A number that
    is not an option is still a layer: ``layer=9`` becomes ``layer.index=9``. In ``analyze`` and ``adapt``,
    ``source=ltxv`` becomes ``model@source.model=ltxv``; see :func:`config_groups.group_aliases`. ``data=null``
    becomes ``~data``, Hydra's spelling for a group without an option.

    Args:
        stage: name of the command.
        overrides: as typed, each a word of the command line.
        multirun: whether commas and functions separate the values of a sweep.
        more_options: whether a group may have options that are not in ``conf/``, for example with ``--config-dir``.

    Raises:
        UsageError: an override is not ``KEY=VALUE``, a group is set to a list, which Hydra would merge into one
            option, a shell has expanded braces, or a value has a comma with two possible meanings.
        ForesightError: ``cache_dir=`` contains a password.
    """
    for override in overrides:
        key, _, value = override.partition("=")
        if key.lstrip("+") == "cache_dir":
            refuse_secrets(value.strip("'\""))  # before Hydra writes the command line to the run's folder
    aliases = group_aliases(stage)
    if stage == "extract" and "model=precomputed" in overrides and not any(o.startswith("data=") for o in overrides):
        overrides = [*overrides, "data=precomputed"]  # a file of latents lists its own samples
    written = []
    for place, override in enumerate(overrides):
        match = _KEY.fullmatch(override.partition("=")[0])
        if match is None or not ("=" in override or match["prefix"] == "~"):
            raise UsageError(_unreadable(stage, overrides, place))
        if override == f"{match['key']}=" and match["key"] in aliases:
            raise UsageError(no_override(stage, overrides, place))
        written.append(_rewrite(override, match, aliases, multirun))
        if not more_options:
            _refuse_option(stage, written[-1], match["key"])
    _refuse_expanded_braces(overrides)
    return _last_layers(overrides, written, aliases)


def _unreadable(stage: str, overrides: Sequence[str], place: int) -> str:
    key, equals, value = overrides[place].partition("=")
    name = key.lstrip("+~")
    return (
        no_setting(stage, name, value, ()) if equals and name.isidentifier() else no_override(stage, overrides, place)
    )


def _refuse_option(stage: str, line: str, typed: str) -> None:
    """Refuse an option that its group does not have; Hydra would too, but without guessing what the user means."""
    key, _, value = line.lstrip("+").partition("=")
    options = config_groups().get(key.partition("@")[0])
    if options is not None and key in group_aliases(stage).values():
        for name in split_values(value):
            option = name[1:-1] if name[:1] == "'" else name
            if option not in options and option != "null":
                raise UsageError(no_option(stage, typed, option))


def _rewrite(line: str, match: re.Match[str], aliases: dict[str, str], multirun: bool) -> str:
    _, equals, value = line.partition("=")
    prefix, key = match["prefix"] or "", match["key"]
    group = aliases.get(key, key)
    options = config_groups().get(group.partition("@")[0])
    if options is not None and (key in aliases or "@" in key):
        return _group_choice(line, prefix, key, group, options, multirun)
    full = _full_key(key, aliases)
    return f"{prefix}{full}={_value(full, value, multirun)}" if equals else f"{prefix}{full}"


def _group_choice(line: str, prefix: str, key: str, group: str, options: list[str], multirun: bool) -> str:
    """Return ``line`` as a choice among the options of a group."""
    from hydra.core.override_parser.types import Glob

    override = parsed(line)
    if override is None:  # not a value in Hydra's grammar, so not an option either
        return f"{prefix}{group}={quoted(line.partition('=')[2])}"
    value = override.value()
    if "=" not in line or (value is None and not prefix):
        return f"~{group}"
    if isinstance(value, list | dict):
        options_text = ",".join(map(str, value))
        raise UsageError(
            f"{line}: a group takes one option. To run one job for each, write {key}={options_text} and add -m"
        )
    if isinstance(value, Glob):
        chosen = value.filter([option for option in options if option != "all"])  # "all" includes the others
    elif override.is_sweep_override():
        chosen = list(override.sweep_iterator())
    else:
        chosen = [value]
    names = [_name(option) for option in chosen]
    if len(names) > 1 and not multirun:
        typed = line.partition("=")[2]
        if os.path.lexists(os.path.expanduser(typed)):  # noqa: PTH111 (a folder whose name has a comma)
            return f"{prefix}{group}={quoted(typed)}"
        raise UsageError(f"{line}: a group takes one option. To run one job for each, add -m{_one_pass(key, names)}")
    numbers = [name for name in names if re.fullmatch(r"-?\d+", name) and name not in options]
    if group.partition("@")[0] == "layer" and numbers and all(name in (*options, *numbers) for name in names):
        package = group.partition("@")[2] or "layer"
        return f"{prefix}{package}.index={','.join(str(int(n)) if n in numbers else n for n in names)}"
    return f"{prefix}{group}={','.join(name if _bare_option(name) else quoted(name) for name in names)}"


def _one_pass(key: str, names: Sequence[str]) -> str:
    """Return a hint on getting several layers from one forward pass; "" for a group other than ``layer``."""
    if key.rpartition(".")[2] != "layer":
        return ""
    layers = ",".join(names)
    return f"; for one pass over all write {shell_line([f'{key}.index=[{layers}]'])}"


def _name(option: Any) -> str:
    return "null" if option is None else str(getattr(option, "text", option))


def _bare_option(name: str) -> bool:
    return bool(re.fullmatch(r"[\w./@-]*", name, re.ASCII)) and not name.isdigit()


def _full_key(key: str, aliases: dict[str, str]) -> str:
    """Return the full key of a setting: in analyze, ``layer.index`` means ``source.layer.index``."""
    head, dot, rest = key.partition(".")
    _, _, package = aliases.get(head, "").partition("@")
    return f"{package}.{rest}" if dot and package and head in ("layer", "pooling") else key


def parsed(line: str) -> Any:
    """Return the override ``line`` as parsed by Hydra; None if Hydra cannot parse it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(line)
    except (HydraException, RecursionError):
        return None


def _value(key: str, value: str, multirun: bool) -> str:
    """Return the value of a setting, written for Hydra."""
    kind = kind_of(key)
    if kind is None:
        override = parsed(f"{key}={value}")
        if override is not None and override.is_sweep_override() and not multirun:
            raise UsageError(f"{key}={value}: one value, or several? To run one job for each, add -m")
        text = override is None or (key in config_groups() and not isinstance(override.value(), str))
        return quoted(value) if text else value
    if kind is Kind.LIST and value.strip()[:1] == "[" and value.strip()[-1:] == "]":
        values = split_values(value) if multirun else [value]
        return ",".join(_list(item.strip()) for item in values)
    if _keeps_hydra_meaning(value, kind):
        return value
    call = parsed(f"k={value}") if CALL.fullmatch(value.strip()) else None
    parts = split_values(value)
    several = len(parts) > 1 or (call is not None and call.is_sweep_override())
    if not several or (call is None and _is_one_path(value, parts if multirun else ())):
        return _text(key, value)
    if not multirun:
        raise UsageError(_two_meanings(key, value, kind))
    if call is None:
        return ",".join(_element(key, part, kind) for part in parts)
    inner = re.fullmatch(r"choice\s*\((.*)\)", value.strip(), re.DOTALL)
    return f"choice({','.join(_element(key, x, kind) for x in split_values(inner[1]))})" if inner else value


def _is_one_path(value: str, parts: Sequence[str]) -> bool:
    """Check whether a text with a comma names a file or folder while none of its ``parts`` does."""
    whole, *pieces = (os.path.lexists(os.path.expanduser(text.strip())) for text in (value, *parts))  # noqa: PTH111
    return whole and not any(pieces)


def _element(key: str, value: str, kind: Kind) -> str:
    return value if _keeps_hydra_meaning(value, kind) else _text(key, value)


def _text(key: str, text: str) -> str:
    if key in ("hydra.run.dir", "hydra.sweep.dir") and text.startswith("~"):
        text = os.path.expanduser(text)  # noqa: PTH111 (Path.expanduser raises where no such user exists)
    return quoted_interpolation(text) if _interpolates(text) else spelled(text)


def _keeps_hydra_meaning(value: str, kind: Kind) -> bool:
    """Check whether the user means the value as Hydra reads it: null, a text in quotes or an escaped comma."""
    bare = value.strip()
    if kind is not Kind.PATH and bare.lower() == "null":
        return True
    if bare[:1] in ("'", '"') or r"\," in bare or ("${" in bare and "\\${" in bare):
        from hydra.core.override_parser.types import QuotedString

        override = parsed(f"k={value}")
        if override is None or override.is_sweep_override():
            return False
        return isinstance(override._value, QuotedString) or bare[:1] not in ("'", '"')
    return False


def _interpolates(text: str) -> bool:
    """Check whether ``text`` refers to the value of another setting, for example ``${cache_dir}/x``."""
    if "${" not in text:
        return False
    from omegaconf.errors import GrammarParseError
    from omegaconf.grammar_parser import parse

    try:
        parse(text)
    except GrammarParseError:
        return False
    return True


def _list(value: str) -> str:
    """Return the list ``[a,b]`` with quotes around those of its texts that Hydra would not read literally."""
    if not value[1:-1].strip():
        return value
    texts = [text.strip() for text in split_values(value[1:-1])]
    return f"[{','.join(t if plain(t) or _keeps_hydra_meaning(t, Kind.PATH) else quoted(t) for t in texts)}]"


def _two_meanings(key: str, value: str, kind: Kind) -> str:
    if kind is Kind.LIST or key == "runs":
        return f"{key}={value}: it must be a list: {shell_line([f'{key}=[{value}]'])}"
    whole = shell_line([f"{key}={quoted(value)}"])
    return f"{key}={value}: one value, or several? For one write {whole}. To run one job for each, add -m"


def _last_layers(overrides: Sequence[str], written: Sequence[str], aliases: dict[str, str]) -> list[str]:
    """Return ``written`` without a layer number that a later word replaces: the last word wins, as for any setting.

    ``layer=9 layer=final`` would be 9: for Hydra the first is a setting, which overrides the choice of an option.
    """
    groups = [aliases.get(override.partition("=")[0].lstrip("+"), "") for override in overrides]
    last = {group: place for place, group in enumerate(groups) if group.partition("@")[0] == "layer"}
    return [
        line
        for place, (group, line) in enumerate(zip(groups, written, strict=True))
        if group not in last or last[group] == place or ".index=" not in line
    ]


def _refuse_expanded_braces(overrides: Sequence[str]) -> None:
    """Refuse one path whose braces a shell has expanded to several words; in other repetitions the last word wins."""
    for key, words in groupby(overrides, key=lambda word: word.partition("=")[0].lstrip("+")):
        values = list(dict.fromkeys(word.partition("=")[2] for word in words))
        if len(values) == 1 or kind_of(key) is not Kind.PATH:
            continue
        pattern = pattern_of(values)
        if pattern is not None:
            raise UsageError(
                f"{key}= is given {len(values)} times, from {values[0]} to {values[-1]}: the shell expanded {{..}}. "
                f"Quote it: {shell_line([f'{key}={pattern}'])}"
            )
