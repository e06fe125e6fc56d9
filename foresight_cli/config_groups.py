"""What ``conf/`` holds, read from file names alone: quick enough for help and for tab completion."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foresight_cli.text_settings import means_itself, quoted, shell_line, spelled


def conf_dir() -> Path:
    """The folder of configs: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def config_groups() -> dict[str, list[str]]:
    """Each config group at the top of ``conf/`` with the names of its options, numbers first."""

    def order(option: str) -> tuple[bool, int, str]:
        return not option.isdigit(), int(option) if option.isdigit() else 0, option

    folders = (f for f in sorted(conf_dir().iterdir()) if f.is_dir() and any(f.glob("*.yaml")))
    return {f.name: sorted((y.stem for y in f.glob("*.yaml")), key=order) for f in folders}


def primary_defaults(stage: str) -> dict[str, str]:
    """The groups that ``conf/<stage>.yaml`` chooses from: ``{"model@source.model": "qwen25vl", ...}``.

    A plain reading of the defaults list, so that completion needs no YAML library.
    """
    chosen: dict[str, str] = {}
    for line in (conf_dir() / f"{stage}.yaml").read_text(encoding="utf-8").splitlines():
        entry = line.strip()
        if entry.startswith("- ") and ":" in entry and not entry.startswith("- override"):
            group, _, option = entry[2:].partition(":")
            chosen[group.strip()] = option.split("#")[0].strip()
    return chosen


def group_aliases(stage: str) -> dict[str, str]:
    """What a user may type for each group of ``stage``, and what Hydra calls it.

    In ``extract``, ``layer`` is ``layer``. In ``analyze`` and ``adapt`` there are two of each:
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
    """The command line behind Hydra's ``overrides``, in the short names and with the values that a user types.

    Typed in a shell, it leads to the same overrides again.
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
    """The text of a value in single quotes, as Hydra reads it; None for any other value."""
    if not re.fullmatch(r"'((\\\\)*|.*?[^\\](\\\\)*)'", value, re.DOTALL) or "${" in value:
        return None
    inner = value[1:-1]
    text = re.sub(r"(\\+)('|\Z)", lambda m: "\\" * (len(m[1]) // 2) + m[2], inner)
    return text if quoted(text) == value else None


def as_override(key: str, value: Any) -> str:
    """``key=value`` as a user may type it, quoted for Hydra where it needs that; a shell needs quotes around that."""
    if value is None or isinstance(value, bool):
        return f"{key}={json.dumps(value)}"
    if isinstance(value, list | tuple):
        return f"{key}=[{','.join(as_override('', item)[1:] for item in value)}]"
    if not isinstance(value, str):
        return f"{key}={value}"
    return f"{key}={value if means_itself(key, value) else spelled(value)}"


def changed_settings(group: str, settings: Mapping[str, Any], at_first: Mapping[str, Any]) -> list[str]:
    """The overrides that lead from the settings ``at_first`` of a group to ``settings``."""
    changed = {key: value for key, value in settings.items() if key not in at_first or value != at_first[key]}
    return [as_override(f"{group}.{key}", value) for key, value in changed.items()]
