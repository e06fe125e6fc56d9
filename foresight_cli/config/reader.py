"""Turn a composed Hydra config into the checked dataclasses of :mod:`foresight_cli.config`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

from foresight_cli.config import (
    GROUPS,
    POOLINGS,
    AdaptConfig,
    AnalyzeConfig,
    ExtractConfig,
    ModelConfig,
    ReportConfig,
    SpaceConfig,
)
from foresight_cli.config.text_settings import PATHS, literal
from foresight_cli.config.tree import config_groups
from foresight_cli.config.user_path import user_path
from foresight_cli.errors import UsageError, first_line

T = TypeVar("T")
WANTED: dict[type, str] = {str: "text", int: "a whole number", bool: "true or false"}


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn OmegaConf's errors about a value, for instance a ``${...}`` that names no setting, into one line."""
    try:
        yield
    except OmegaConfBaseException as error:
        raise UsageError(f"{error.full_key}: {_first_line(error)}") from None


def _first_line(error: OmegaConfBaseException) -> str:
    return str(error.msg or first_line(error)).splitlines()[0]


@_one_line_errors()
def extract_config(cfg: DictConfig) -> ExtractConfig:
    """Return the checked settings of ``foresight extract``.

    Raises:
        UsageError: a value has the wrong type or is out of range, or two do not fit together (``model=ltxv layer=8``).
    """
    return _stage(
        ExtractConfig,
        cfg,
        layers=_layers(_chosen(cfg, "layer").index, _group(cfg, "model"), "layer"),
        poolings=_poolings(_chosen(cfg, "pooling").name) or POOLINGS,
        weights=_chosen(cfg, "weights").name,
        batch_size=None if cfg.batch_size == "auto" else _scalar(cfg, "batch_size", int, " or auto"),
    )


@_one_line_errors()
def analyze_config(cfg: DictConfig) -> AnalyzeConfig:
    """Return the checked settings of ``foresight analyze``; raises like :func:`extract_config`."""
    return _stage(AnalyzeConfig, cfg, weights=_chosen(cfg, "weights").name)


@_one_line_errors()
def adapt_config(cfg: DictConfig) -> AdaptConfig:
    """Return the checked settings of ``foresight adapt``; raises like :func:`extract_config`."""
    unfinished = user_path("unfinished_dir", _scalar(cfg, "unfinished_dir", str))
    return _stage(AdaptConfig, cfg, weights=_chosen(cfg, "weights").name, unfinished_dir=unfinished)


@_one_line_errors()
def report_config(cfg: DictConfig) -> ReportConfig:
    """Return the checked settings of ``foresight report``.

    Raises:
        UsageError: a value has the wrong type, or both ``run=`` and ``runs=`` are set.
    """
    runs = cfg.get("runs")
    several = [str(runs)] if isinstance(runs, str | int) else [] if runs is None else _list(cfg, "runs")
    if runs is not None and not several:
        raise UsageError("runs=[]: name at least two analyses, or the folder of a sweep")
    return _stage(
        ReportConfig,
        cfg,
        outputs_dir=user_path("outputs_dir", _scalar(cfg, "outputs_dir", str)),
        run=None if cfg.run is None else user_path("run", str(cfg.run)),
        runs=tuple(user_path("runs", str(folder)) for folder in several),
    )


def _stage(schema: type[T], cfg: DictConfig, **read: Any) -> T:
    """Return the settings of a stage: those in ``read``, and the others by the types of the fields of ``schema``."""
    types = get_type_hints(schema)
    return schema(**{key: read[key] if key in read else _setting(cfg, key, types[key]) for key in types})


def _setting(cfg: DictConfig, key: str, kind: Any) -> Any:
    """Return the setting ``key``, checked against ``kind``, the type of its field."""
    alternatives = get_args(kind)
    if NoneType in alternatives and (key not in cfg or cfg[key] is None):
        return None
    if key in GROUPS:
        return _group(cfg, key)
    if kind is SpaceConfig:
        return _space(cfg, key)
    if is_dataclass(kind):
        return _typed(kind, cfg.get(key), key)  # type: ignore[arg-type]
    if get_origin(kind) is tuple:
        return tuple(str(v) if alternatives[0] is str else _number(cfg, key, v) for v in _list(cfg, key))
    return _scalar(cfg, key, alternatives[0] if alternatives else kind)


def _space(cfg: DictConfig, side: str) -> SpaceConfig:
    node = cfg[side]
    model = _group(node, "model", side)
    layers = _layers(_chosen(node, "layer", side).index, model, f"{side}.layer")
    return SpaceConfig(model, layers, _poolings(_chosen(node, "pooling", side).name))


def _chosen(cfg: DictConfig, group: str, side: str | None = None) -> DictConfig:
    """Return the chosen option of ``group``; refuse if the user chose none (``layer=null`` or ``~layer``)."""
    node = cfg.get(group)
    if not isinstance(node, DictConfig):
        at = f"{side}.{group}" if side else group
        raise UsageError(f"{at}={'null' if node is None else node}: choose one of {', '.join(config_groups()[group])}")
    return node


def _group(cfg: DictConfig, group: str, side: str | None = None) -> Any:
    node = _chosen(cfg, group, side)
    at = f"{side}.{group}" if side else group
    schema = GROUPS[group].get(str(node.get("name")))
    if schema is None:
        raise UsageError(f"{at}={node.get('name')}: choose one of {', '.join(GROUPS[group])}")
    return _typed(schema, _with_own_columns(node) if group == "data" else node, at)


def _with_own_columns(node: DictConfig) -> DictConfig:
    """Return ``data=precomputed`` without the columns of the model's file, if its own file is a different one.

    By default, path and columns are interpolated from the model's.
    """
    raw = OmegaConf.to_container(node, resolve=False)
    assert isinstance(raw, dict)
    if node.name != "precomputed" or "${" in str(raw["path"]) or node.path == OmegaConf.select(node, "..model.path"):
        return node
    inherited = [key for key in ("id", "values") if "${oc.select:model." in str(raw.get(key))]
    return OmegaConf.merge(node, dict.fromkeys(inherited))  # type: ignore[return-value]


def _typed(schema: type, node: DictConfig | None, at: str) -> Any:
    if not isinstance(node, DictConfig):
        raise UsageError(f"{at}={node}: it must be a group of settings; leave {at}= out for the defaults")
    try:
        raw: Any = OmegaConf.to_container(node, resolve=False)
        plain: Any = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
        for key in PATHS:
            if not isinstance(plain.get(key), str):
                continue
            models_own = "${oc.select:model." in str(raw[key])  # data=precomputed without a path: the model's own file
            if not models_own or OmegaConf.select(node, "..model.path") is not None:
                plain[key] = user_path(f"model.{key}" if models_own else f"{at}.{key}", plain[key])
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), OmegaConf.create(_literal(plain))))
    except MissingMandatoryValue as error:
        key = str(error.full_key or str(error).rsplit(maxsplit=1)[-1]).rpartition(".")[2]
        raise UsageError(f"{at}.{key} is needed: add {at}.{key}=...") from None
    except InterpolationResolutionError:
        raise
    except OmegaConfBaseException as error:
        key = str(error.full_key).rpartition(".")[2]
        raise UsageError(f"{at}.{key}: {_first_line(error)}") from None


def _literal(value: Any) -> Any:
    """Return ``value`` with each ``${`` in it escaped: interpolations are resolved by now, and the rest is text."""
    if isinstance(value, dict):
        return {key: _literal(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_literal(entry) for entry in value]
    return literal(value) if isinstance(value, str) else value


def _layers(index: Any, model: ModelConfig, key: str) -> tuple[str, ...] | None:
    """Return the layers named by ``layer.index``, or None for ``all``."""
    if index == "all":
        return None
    chosen = list(index) if isinstance(index, ListConfig | list | tuple) else [index]
    for layer in chosen:
        whole = isinstance(layer, int) and not isinstance(layer, bool) and layer >= 0
        if layer != "final" and not whole:
            raise UsageError(f"{key}.index={layer}: a layer is a whole number from 0 on, final, or all")
        if not model.layered and layer != "final":
            raise UsageError(f"model={model.name} has no layer {layer}. It has one: layer=final")
    if not chosen:
        raise UsageError(f"{key}.index=[]: name at least one layer")
    return tuple(dict.fromkeys(str(layer) for layer in chosen))


def _poolings(name: Any) -> tuple[str, ...] | None:
    if name == "all":
        return None
    if name not in POOLINGS:
        raise UsageError(f"pooling={name}: choose one of {', '.join(POOLINGS)}, all")
    return (str(name),)


def _list(cfg: DictConfig, key: str) -> list[Any]:
    value = cfg.get(key)
    if not isinstance(value, ListConfig):
        raise UsageError(f"{key}={value}: it must be a list, for example {key}=[a,b]")
    return list(value)


def _scalar(cfg: DictConfig, key: str, kind: type[T], more: str = "") -> T:
    value = cfg[key]
    if kind is float:
        return _number(cfg, key, value)  # type: ignore[return-value]
    if type(value) is not kind or value == "":
        raise UsageError(f"{key}={value}: it must be {WANTED[kind]}{more}")
    return value


def _number(cfg: DictConfig, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{key}={cfg[key]}: {value!r} is not a number")
    return float(value)
