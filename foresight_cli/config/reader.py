"""Turn a composed Hydra config into the checked dataclasses of :mod:`foresight_cli.config`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
    Thresholds,
    Waivers,
)
from foresight_cli.config.text_settings import PATHS
from foresight_cli.config.tree import config_groups
from foresight_cli.config.user_path import user_path
from foresight_cli.errors import UsageError, first_line


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
    model = _group(cfg, "model")
    return ExtractConfig(
        model=model,
        layers=_layers(_chosen(cfg, "layer").index, model, "layer"),
        poolings=_poolings(_chosen(cfg, "pooling").name) or POOLINGS,
        data=_group(cfg, "data"),
        runner=_group(cfg, "runner"),
        weights=_chosen(cfg, "weights").name,
        cache_dir=_text(cfg, "cache_dir"),
        device=_text(cfg, "device"),
        batch_size=None if cfg.batch_size == "auto" else _whole(cfg, "batch_size", " or auto"),
        rows_per_shard=_whole(cfg, "rows_per_shard"),
        dry_run=_switch(cfg, "dry_run"),
        tracker=_group(cfg, "tracker"),
    )


@_one_line_errors()
def analyze_config(cfg: DictConfig) -> AnalyzeConfig:
    """Return the checked settings of ``foresight analyze``; raises like :func:`extract_config`."""
    return AnalyzeConfig(
        source=_space(cfg, "source"),
        target=_space(cfg, "target"),
        data=_group(cfg, "data") if cfg.get("data") is not None else None,
        weights=_chosen(cfg, "weights").name,
        cache_dir=_text(cfg, "cache_dir"),
        device=_text(cfg, "device"),
        seed=_whole(cfg, "seed"),
        max_rows=_whole(cfg, "max_rows"),
        permutations=_whole(cfg, "permutations"),
        folds=_whole(cfg, "folds"),
        neighbors=_whole(cfg, "neighbors"),
        controls=tuple(str(name) for name in _list(cfg, "controls")),
        thresholds=_typed(Thresholds, cfg.get("thresholds"), "thresholds"),
        verdict=_typed(Waivers, cfg.get("verdict"), "verdict"),
        extract=_switch(cfg, "extract"),
        study_table=_switch(cfg, "study_table"),
        preset=None if cfg.preset is None else _text(cfg, "preset"),
        tracker=_group(cfg, "tracker"),
        runner=_group(cfg, "runner"),
        every_row=_switch(cfg, "every_row"),
    )


@_one_line_errors()
def adapt_config(cfg: DictConfig) -> AdaptConfig:
    """Return the checked settings of ``foresight adapt``; raises like :func:`extract_config`."""
    return AdaptConfig(
        source=_space(cfg, "source"),
        target=_space(cfg, "target"),
        adapter=_group(cfg, "adapter"),
        data=_group(cfg, "data") if cfg.get("data") is not None else None,
        weights=_chosen(cfg, "weights").name,
        cache_dir=_text(cfg, "cache_dir"),
        seed=_whole(cfg, "seed"),
        device=_text(cfg, "device"),
        split=tuple(_number(cfg, "split", share) for share in _list(cfg, "split")),  # type: ignore[arg-type]
        seeds=_whole(cfg, "seeds"),
        memory_gb=_number(cfg, "memory_gb", cfg.memory_gb),
        unfinished_dir=user_path("unfinished_dir", _text(cfg, "unfinished_dir")),
        noise_ceiling=_text(cfg, "noise_ceiling"),
        push=None if cfg.push is None else _text(cfg, "push"),
        tracker=_group(cfg, "tracker"),
    )


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
    return ReportConfig(
        outputs_dir=user_path("outputs_dir", _text(cfg, "outputs_dir")),
        run=None if cfg.run is None else user_path("run", str(cfg.run)),
        runs=tuple(user_path("runs", str(folder)) for folder in several),
        format=_text(cfg, "format"),
        fail_on=None if cfg.fail_on is None else _text(cfg, "fail_on"),
    )


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
    return re.sub(r"(\\*)(\$\{)", r"\1\1\\\2", value) if isinstance(value, str) else value


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


def _text(cfg: DictConfig, key: str) -> str:
    value = cfg[key]
    if not isinstance(value, str) or not value:
        raise UsageError(f"{key}={value}: it must be text")
    return value


def _whole(cfg: DictConfig, key: str, more: str = "") -> int:
    value = cfg[key]
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{key}={value}: it must be a whole number{more}")
    return value


def _switch(cfg: DictConfig, key: str) -> bool:
    value = cfg[key]
    if not isinstance(value, bool):
        raise UsageError(f"{key}={value}: it must be true or false")
    return value


def _number(cfg: DictConfig, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{key}={cfg[key]}: {value!r} is not a number")
    return float(value)
