"""Config groups and options of ``conf/``, from file names alone: fast enough for help and tab completion."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foresight_cli.config.text_settings import means_itself, quoted, shell_line, spelled


def conf_dir() -> Path:
    """Return the folder of configs: inside an installed package, next to the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def config_groups() -> dict[str, list[str]]:
    """Return each config group at the top of ``conf/`` with the names of its options, numbers first."""

    def order(option: str) -> tuple[bool, int, str]:
        return not option.isdigit(), int(option) if option.isdigit() else 0, option

    folders = (f for f in sorted(conf_dir().iterdir()) if f.is_dir() and any(f.glob("*.yaml")))
    return {f.name: sorted((y.stem for y in f.glob("*.yaml")), key=order) for f in folders}


def primary_defaults(stage: str) -> dict[str, str]:
    """Return the group choices in the defaults of ``conf/<stage>.yaml``: ``{"model@source.model": "qwen25vl", ...}``.

    The defaults list is read as plain lines, so that completion needs no YAML library.
    """
    chosen: dict[str, str] = {}
    for line in (conf_dir() / f"{stage}.yaml").read_text(encoding="utf-8").splitlines():
        entry = line.strip()
        if entry.startswith("- ") and ":" in entry and not entry.startswith("- override"):
            group, _, option = entry[2:].partition(":")
            chosen[group.strip()] = option.split("#")[0].strip()
    return chosen


def group_aliases(stage: str) -> dict[str, str]:
    """Return the short names that a user may type for the groups of ``stage``, each with Hydra's name.

    In ``extract``, ``layer`` is ``layer``. In ``analyze`` and ``adapt`` each group occurs twice:
    ``source`` is the source's model, ``source.layer`` its layer; a bare ``layer`` means the source's
    and a bare ``pooling`` the target's.
    """
    aliases: dict[str, str] = {}
    for group in primary_defaults(stage):
        _, _, package = group.partition("@")
        aliases[package or group] = group
        if package.endswith(".model"):
            aliases[package.removesuffix(".model")] = group
    for bare, package in (("layer", "source.layer"), ("pooling", "target.pooling")):
        if package in aliases:
            aliases[bare] = aliases[package]
    return aliases


def as_typed(stage: str, overrides: Sequence[str]) -> str:
    """Return the command line behind Hydra's ``overrides``, with the short names and values that a user types.

    Typed in a shell, it gives the same overrides again.
    """
    return shell_line(["foresight", stage, *map(_as_typed, overrides)])


def _as_typed(override: str) -> str:
    key, equals, value = override.partition("=")
    group, at, package = key.lstrip("+~").partition("@")
    if key.startswith("~"):
        return f"{package.removesuffix('.model') or group}=null"
    prefix = key[: len(key) - len(key.lstrip("+"))]
    if at or group in config_groups():
        return f"{prefix}{package.removesuffix('.model') or group}{equals}{value.replace(chr(39), '')}"
    text = _unquoted(value)
    return f"{key}={text}" if text is not None and means_itself(key, text) else override


def _unquoted(value: str) -> str | None:
    """Return the text of a value in single quotes, as Hydra reads it; None for any other value."""
    if not re.fullmatch(r"'((\\\\)*|.*?[^\\](\\\\)*)'", value, re.DOTALL) or "${" in value:
        return None
    inner = value[1:-1]
    text = re.sub(r"(\\+)('|\Z)", lambda m: "\\" * (len(m[1]) // 2) + m[2], inner)
    return text if quoted(text) == value else None


def as_override(key: str, value: Any) -> str:
    """Return ``key=value`` as a user may type it, quoted for Hydra where needed; not yet quoted for a shell."""
    if value is None or isinstance(value, bool):
        return f"{key}={json.dumps(value)}"
    if isinstance(value, list | tuple):
        return f"{key}=[{','.join(as_override('', item)[1:] for item in value)}]"
    if not isinstance(value, str):
        return f"{key}={value}"
    return f"{key}={value if means_itself(key, value) else spelled(value)}"


def changed_settings(group: str, settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """Return the overrides that change the settings of a group from ``defaults`` to ``settings``."""
    changed = {key: value for key, value in settings.items() if key not in defaults or value != defaults[key]}
    return [as_override(f"{group}.{key}", value) for key, value in changed.items()]


def cache_line(action: str, cache_dir: str) -> str:
    """Return the whole line, such as ``foresight cache gc --yes``, for the cache in ``cache_dir``."""
    default = re.search(r"^cache_dir: (\S+)", (conf_dir() / "cache.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    place = [] if default and cache_dir == default[1] else [as_override("cache_dir", cache_dir)]
    return shell_line(["foresight", "cache", *action.split(), *place])
