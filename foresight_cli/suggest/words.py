"""Words of a command line for given settings: only what differs from the defaults of ``conf/``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from foresight_cli.config.text_settings import shell_line
from foresight_cli.config.tree import (
    as_override,
    as_typed,
    changed_settings,
    conf_dir,
    config_groups,
    primary_defaults,
)

Settings = dict[str, Any]

WEIGHTS = ("hub", "tiny")
"""Options of ``weights=``, the default first: each changes the defaults of ``model=``."""
PLACES = ("path", "checkpoint")
"""Settings that may name a file or folder of this machine."""


def model_defaults(name: str, weights: str) -> Settings:
    """Return the settings of ``model=name`` in ``conf/``; None for a setting that the user must give."""
    tree = OmegaConf.create({"weights": _read(f"weights/{weights}.yaml"), "model": _read(f"model/{name}.yaml")})
    return _plain(tree)["model"]


def data_defaults(name: str, model: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings of ``data=name`` in ``conf/``; None for a setting that the user must give.

    Args:
        name: of the dataset.
        model: settings of the model in the same command: a file of latents lists its own samples.
    """
    tree = OmegaConf.create({"model": dict(model or {}), "data": _read(f"data/{name}.yaml")})
    return _plain(tree)["data"]


def model_words(settings: Mapping[str, Any], weights: str, side: str | None = None) -> list[str]:
    """Return ``model=vision model.checkpoint=vit``, or for one side ``source=vision source.model.checkpoint=vit``.

    Args:
        settings: of the model, with its name.
        weights: the option of ``weights=`` in the same command.
        side: ``source`` or ``target`` of ``analyze`` and ``adapt``, whose default model is left out; None: ``extract``.
    """
    name = str(settings["name"])
    key = f"{side}.model" if side else "model"
    chosen = [f"{side or 'model'}={name}"]
    if side and primary_defaults("analyze")[f"model@{key}"] == name:
        chosen = []
    return chosen + _changed(key, settings, model_defaults(name, weights))


def data_words(settings: Mapping[str, Any], model: Mapping[str, Any] | None = None) -> list[str]:
    """Return ``data=imagefolder data.path=photos``.

    Args:
        settings: of the dataset, with its name.
        model: settings of the model in the same ``extract``; None in other stages.
    """
    name = str(settings["name"])
    return [f"data={name}", *_changed("data", settings, data_defaults(name, model))]


def _changed(key: str, settings: Mapping[str, Any], defaults: Settings) -> list[str]:
    """Return the overrides that change the defaults to ``settings``, in the order of ``conf/``."""
    ordered = {**{name: settings[name] for name in defaults if name in settings}, **settings}
    return changed_settings(key, shown(ordered), shown(defaults))


def weights_for(*models: Mapping[str, Any]) -> str:
    """Return the option of ``weights=`` under which the settings of ``models`` need the fewest words.

    ``tiny`` also changes the default of ``model.dtype``, but its name would mislead: it is only for tiny checkpoints.
    """
    tiny = [model for model in models if str(model.get("checkpoint", "")).startswith("tiny:")]
    return min(WEIGHTS if tiny else WEIGHTS[:1], key=lambda w: sum(len(model_words(model, w)) for model in models))


def weights_words(weights: str) -> list[str]:
    """Return ``weights=tiny``, or nothing for the default."""
    return [f"weights={weights}"] if weights != WEIGHTS[0] else []


def layer_words(key: str, layers: Sequence[str]) -> list[str]:
    """Return ``layer=4`` if the group has that option, else ``layer.index=9``, or ``layer.index=[5,9]`` for several."""
    if len(layers) > 1:
        return [f"{key}.index=[{','.join(layers)}]"]
    return [f"{key}={layers[0]}" if layers[0] in config_groups()["layer"] else f"{key}.index={layers[0]}"]


def stage_words(stage: str, **settings: Any) -> list[str]:
    """Return the words for settings of a stage that differ from its defaults: ``cache_dir=DIR rows_per_shard=4``."""
    base = _read(f"{stage}.yaml")
    return [as_override(key, value) for key, value in settings.items() if value != base[key]]


def changed_line(stage: str, overrides: Sequence[str], words: Sequence[str]) -> str:
    """Return the line that a user typed, with ``words`` in place of what they set.

    Args:
        stage: the command.
        overrides: Hydra's, of the job.
        words: overrides; one that chooses another option of a group also removes the settings of the first option.
    """
    keys = {word.partition("=")[0] for word in words}
    groups = tuple(f"{key}." for key in keys if "." not in key)
    typed = [(word.partition("=")[0], word) for word in words_of(stage, overrides)]
    replaced = {key for key, _ in typed if key.startswith(groups) and not key.endswith(".max_parameters")}
    kept = [word for key, word in typed if key not in keys | replaced]
    return shell_line(["foresight", stage, *kept, *words])


def words_of(stage: str, overrides: Sequence[str]) -> list[str]:
    """Return the words that a user typed after ``foresight STAGE``, from Hydra's ``overrides``."""
    return shlex.split(as_typed(stage, overrides))[2:]


def shown(settings: Mapping[str, Any]) -> Settings:
    """Return ``settings`` with files and folders below the working directory relative to it, as a user types them."""
    return {key: shown_path(value) if key in PLACES else value for key, value in settings.items()}


def shown_path(value: Any) -> Any:
    """Return a path below the working directory relative to it, and any other value unchanged."""
    if not isinstance(value, str) or not value.startswith("/"):
        return value
    try:
        below = str(Path(value).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return value
    return value if below.startswith("~") else below  # that would be a home folder


def _plain(tree: Any) -> dict[str, Settings]:
    plain: Any = OmegaConf.to_container(tree, resolve=True)
    return {group: {key: None if value == "???" else value for key, value in plain[group].items()} for group in plain}


def _read(name: str) -> Any:
    return OmegaConf.load(conf_dir() / name)
