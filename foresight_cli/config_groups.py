"""What ``conf/`` holds, read from file names alone: quick enough for help and for tab completion."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


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
    """The command line behind Hydra's ``overrides``, in the short names a user types."""
    words = []
    for override in overrides:
        key, equals, value = override.partition("=")
        group, at, package = key.partition("@")
        short = package.removesuffix(".model") if at else group
        words.append(f"{short}{equals}{value.replace(chr(39), '')}")
    return shlex.join(["foresight", stage, *words])


def as_override(key: str, value: Any) -> str:
    """``key=value`` as Hydra reads it back."""
    if value is None or isinstance(value, bool):
        return f"{key}={json.dumps(value)}"
    if isinstance(value, list | tuple):
        return f"{key}=[{','.join(as_override('', item)[1:] for item in value)}]"
    if not isinstance(value, str):
        return f"{key}={value}"
    if re.fullmatch(r"[A-Za-z/][A-Za-z0-9_/.:-]*", value) and value.lower() not in (
        "null",
        "true",
        "false",
        "nan",
        "inf",
    ):
        return f"{key}={value}"
    text = re.sub(r"(\\*)(\$\{)", r"\1\1\\\2", value)  # OmegaConf would read ${...} as another setting's value
    text = re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text)
    return f"{key}='{text}'"


def changed_settings(group: str, settings: Mapping[str, Any], at_first: Mapping[str, Any]) -> list[str]:
    """The overrides that lead from the settings ``at_first`` of a group to ``settings``."""
    changed = {key: value for key, value in settings.items() if key not in at_first or value != at_first[key]}
    return [as_override(f"{group}.{key}", value) for key, value in changed.items()]
