"""Checks before a stage's libraries are loaded: that its settings are valid and that its inputs exist.

torch and the libraries around it take seconds to import, and a usage error needs none of them. The checks return
what they looked up, and the stage uses it without a second search.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from omegaconf import DictConfig

from foresight_cli.catalog.find import Found, find
from foresight_cli.cluster.connection import refuse_silence
from foresight_cli.config import RayConfig
from foresight_cli.config.reader import adapt_config, analyze_config, report_config
from foresight_cli.data.sample_size import refuse_few_groups
from foresight_cli.results.runs import asked_for


def check_analyze(cfg: DictConfig) -> Found | None:
    """Return the cache entries that ``foresight analyze`` compares; None if it extracts them first.

    Raises:
        ForesightError: nothing is cached for a side, it has too few groups, or the cluster of ``runner=ray`` does not
            answer.
        UsageError: a setting is wrong.
    """
    config = analyze_config(cfg)
    if isinstance(config.runner, RayConfig):
        refuse_silence(config.runner)  # now, not after an hour of work
    if config.extract:
        return None
    entries = find(config.cache_dir, config.source, config.target, config.data)
    refuse_few_groups(entries.source[0], entries.target[0])
    return entries


def check_adapt(cfg: DictConfig) -> Found | None:
    """Return the cache entries that ``foresight adapt`` trains on; None in a sweep, whose jobs look for themselves.

    Raises:
        ForesightError: nothing is cached for a side, or it has too few groups.
        UsageError: a setting is wrong.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return None
    config = adapt_config(cfg)
    entries = find(config.cache_dir, config.source, config.target, config.data)
    refuse_few_groups(entries.source[0], entries.target[0])
    return entries


def check_report(cfg: DictConfig) -> list[Path]:
    """Return the folders of the analyses that ``foresight report`` shows.

    Raises:
        ForesightError: there is no analysis.
        UsageError: a setting is wrong.
    """
    config = report_config(cfg)
    if config.format == "json":  # standard output carries the results, so the log goes to standard error
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout:
                handler.setStream(sys.stderr)
    return asked_for(config)
