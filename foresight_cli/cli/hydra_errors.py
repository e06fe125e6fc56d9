"""Messages for Hydra's errors: a line or two, with the likely fix."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from types import TracebackType

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from foresight_cli.cli.did_you_mean import no_option, no_setting
from foresight_cli.cli.hydra_stage import Stage
from foresight_cli.config.tree import config_groups, group_aliases
from foresight_cli.errors import first_line


def explain(error: HydraException, stage: str, typed: Sequence[str] = (), written: Sequence[str] = ()) -> str:
    """Explain what is wrong with the overrides, with the nearest correct spelling.

    Args:
        error: raised by Hydra.
        stage: name of the command.
        typed: the overrides, as they were typed.
        written: the same overrides, as rewritten for Hydra; empty if they could not be rewritten.
    """
    if isinstance(error, MissingConfigException) and error.options:
        group, _, wrong = (error.missing_cfg_file or "").rpartition("/")
        if group == "hydra/launcher" and wrong == "joblib":
            return f"hydra/launcher={wrong} needs a package: pip install 'foresight-latents[joblib]'"
        return no_option(stage, group, wrong, config_groups().get(group, error.options))
    if isinstance(error, OverrideParseException):
        return f"cannot read the override {error.override!r}. Write KEY=VALUE"
    cause = error.__cause__ or error
    key = getattr(cause, "full_key", None)
    if key:
        unknown = isinstance(cause, ConfigAttributeError | ConfigKeyError)
        pairs = list(zip(typed, written, strict=False))
        exact = [word for word, rewritten in pairs if _key(rewritten) == key]
        inside = [word for word, rewritten in pairs if _key(rewritten).startswith(f"{key}.")]
        line = next(iter([*exact, *inside]), f"{key}=")
        if unknown or key in group_aliases(stage):
            return _no_setting(stage, line, written)
        return f"{key}: {getattr(cause, 'msg', None) or cause}".splitlines()[0]
    message = first_line(error)
    if "hydra/launcher/submitit_slurm" in message:
        return "hydra/launcher=slurm needs a package: pip install 'foresight-latents[slurm]'"
    if message.startswith("Ambiguous value"):
        return f"{message}. To run one job for each value, add -m"
    if "Could not override" in message:
        wrong = message.split("'")[1]
        aliases = group_aliases(stage)
        sides = [f"{name}=" for name, group in aliases.items() if group.partition("@")[0] == wrong and "." not in name]
        if sides:
            return f"no config group {wrong!r} here. Write {' or '.join(sides)}"
        return _no_setting(stage, next((word for word in typed if _key(word) == wrong), f"{wrong}="), written)
    return message


def _no_setting(stage: str, line: str, written: Sequence[str]) -> str:
    groups = group_aliases(stage).values()
    choices = [word for word in written if _key(word) in groups]
    return no_setting(stage, _key(line), line.partition("=")[2], choices)


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def outside_a_job(error: Exception) -> str:
    """Return one line for an unexpected error inside Hydra, with how to see its traceback."""
    text = first_line(error)
    return f"cannot set up the run: {text} (HYDRA_FULL_ERROR=1 shows where)"


def in_job(error: Exception) -> bool:
    """Check whether ``error`` was raised by the stage's own code, and not while Hydra set up the run."""
    return _job_frame(error) is not None


def _job_frame(error: Exception) -> TracebackType | None:
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code is not Stage.__call__.__code__:
        frame = frame.tb_next
    return frame


def print_job_traceback(error: Exception) -> None:
    """Print the traceback of a failed job, without the frames of Typer and Hydra."""
    frame = _job_frame(error)
    traceback.print_exception(type(error), error, frame.tb_next if frame else error.__traceback__, file=sys.stderr)
