"""Hydra's errors, said in a line or two with the likely fix."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from difflib import get_close_matches
from types import TracebackType

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from foresight_cli.config_groups import conf_dir, config_groups, group_aliases
from foresight_cli.stage import Stage


def explain(error: HydraException, config_name: str) -> str:
    """What is wrong with the overrides, and the nearest thing that would be right."""
    if isinstance(error, MissingConfigException) and error.options:
        group, _, wrong = (error.missing_cfg_file or "").rpartition("/")
        options = config_groups().get(group, error.options)
        if group == "hydra/launcher" and wrong == "joblib":
            return f"hydra/launcher={wrong} needs a package: pip install 'foresight-latents[joblib]'"
        hint = f" For another layer write layer.index={wrong}." if group == "layer" and wrong.isdigit() else ""
        hint = hint or _hint(wrong, options)
        return f"no option {wrong!r} in group {group!r}.{hint}\n  {group}: {', '.join(options)}"
    if isinstance(error, OverrideParseException):
        return f"cannot read the override {error.override!r}. Write KEY=VALUE"
    cause = error.__cause__ or error
    key = getattr(cause, "full_key", None)
    if key:
        known = sorted({*_keys(config_name), *group_aliases(config_name)})
        if key not in known:
            return f"no setting {key!r}.{_hint(key, known)}"
        if key in config_groups():
            options = ", ".join(config_groups()[key])
            return f"{key}.* is of one {key}: add {key}=NAME before it\n  {key}: {options}"
        if isinstance(cause, ConfigAttributeError | ConfigKeyError):
            there = ", ".join(map(str, cause.parent_node or ()))
            return f"no setting {key!r} with the options chosen here. {key.rpartition('.')[0]} has {there}"
        return f"{key}: {getattr(cause, 'msg', None) or cause}".splitlines()[0]
    message = str(error).splitlines()[0]
    if "hydra/launcher/submitit_slurm" in message:
        return "hydra/launcher=slurm needs a package: pip install 'foresight-latents[slurm]'"
    if message.startswith("Ambiguous value"):
        return f"{message}. To run one job for each value, add -m"
    if "Could not override" in message:
        wrong = message.split("'")[1]
        aliases = group_aliases(config_name)
        here = [f"{name}=" for name, group in aliases.items() if group.partition("@")[0] == wrong and "." not in name]
        if here:
            return f"no config group {wrong!r} here. Write {' or '.join(here)}"
        return f"no config group {wrong!r} here.{_hint(wrong, [*aliases, *_keys(config_name)])}"
    return message


def in_job(error: Exception) -> bool:
    """Whether ``error`` came out of the stage's own code, and not of Hydra's setting up."""
    return _job_frame(error) is not None


def _job_frame(error: Exception) -> TracebackType | None:
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code is not Stage.__call__.__code__:
        frame = frame.tb_next
    return frame


def print_job_traceback(error: Exception) -> None:
    """Print the traceback of a failed job from the stage's own code on, without Typer's and Hydra's frames."""
    frame = _job_frame(error)
    traceback.print_exception(type(error), error, frame.tb_next if frame else error.__traceback__, file=sys.stderr)


def _hint(wrong: str, known: list[str]) -> str:
    near = get_close_matches(wrong, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _keys(config_name: str) -> Iterator[str]:
    """Every dotted key of the config that ``config_name`` composes to by default."""
    from hydra import compose, initialize_config_dir

    def dotted(cfg: DictConfig, prefix: str) -> Iterator[str]:
        for key in map(str, cfg):
            yield f"{prefix}{key}"
            if OmegaConf.is_missing(cfg, key) or OmegaConf.is_interpolation(cfg, key):
                continue
            if isinstance(cfg[key], DictConfig):
                yield from dotted(cfg[key], f"{prefix}{key}.")

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield from dotted(compose(config_name, return_hydra_config=True), "")
