"""What is checked before a stage's libraries are loaded: its settings, and that what it is to read is there.

torch and the libraries around it take seconds to import, and an error of use needs none of them. What is found on the
way is handed to the stage, which does not look again.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from omegaconf import DictConfig

from foresight_cli.catalog import Found, find
from foresight_cli.config import RayConfig
from foresight_cli.config_reader import adapt_config, analyze_config, report_config
from foresight_cli.ray_cluster import refuse_silence
from foresight_cli.runs import asked_for
from foresight_cli.sample_size import refuse_few_groups


def check_analyze(cfg: DictConfig) -> Found | None:
    """The cache entries that ``foresight analyze`` compares; None where it extracts them first.

    Raises:
        ForesightError: nothing is cached for a side, or of too few groups; the cluster of ``runner=ray`` is silent.
        UsageError: a setting is wrong.
    """
    config = analyze_config(cfg)
    if isinstance(config.runner, RayConfig):
        refuse_silence(config.runner)  # now, not after an hour's work
    if config.extract:
        return None
    found = find(config.cache_dir, config.source, config.target, config.data)
    refuse_few_groups(found.source[0], found.target[0])
    return found


def check_adapt(cfg: DictConfig) -> Found | None:
    """The cache entries that ``foresight adapt`` trains on; None in a sweep, where each job says what it lacks.

    Raises:
        ForesightError: nothing is cached for a side, or of too few groups.
        UsageError: a setting is wrong.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return None
    config = adapt_config(cfg)
    found = find(config.cache_dir, config.source, config.target, config.data)
    refuse_few_groups(found.source[0], found.target[0])
    return found


def check_report(cfg: DictConfig) -> list[Path]:
    """The folders of the analyses that ``foresight report`` is about.

    Raises:
        ForesightError: there is none.
        UsageError: a setting is wrong.
    """
    config = report_config(cfg)
    if config.format == "json":  # standard output is for the results: the log goes to standard error
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
                handler.setStream(sys.stderr)
    return asked_for(config)
