"""``foresight extract``: run a model over a dataset, and cache the latents of every layer and pooling asked for."""

from __future__ import annotations

import logging
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from foresight_cli.config.reader import extract_config
from foresight_cli.data.sample_size import shortage_of
from foresight_cli.extraction.plan import described, open_data
from foresight_cli.extraction.run import extract
from foresight_cli.suggest.next_step import after_extract
from foresight_cli.trackers import open_tracking, settings_of

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> None:
    """Run the stage."""
    config = extract_config(cfg)
    dataset = open_data(config)
    if message := shortage_of(dataset.samples, config.data.name):
        log.warning("warning: %s", message)
    if config.dry_run:
        log.info("%s", described(config, dataset))
        return
    folder = Path(HydraConfig.get().runtime.output_dir)
    with open_tracking(config.tracker, "extract", folder, settings_of(config)) as tracking:
        entries = extract(config, tracking, dataset)
    if dataset.left_alone:
        log.info("%s", dataset.left_alone.line)
    for tap, entry in entries.items():
        skipped = len(entry.manifest()["skipped"])
        rows = f"{entry.recipe.rows - skipped} rows" + (f" ({skipped} left out)" if skipped else "")
        log.info("%s layer=%s %s: %s -> %s", config.model.name, *tap, rows, entry.path)
    log.info("Next: %s", after_extract(config, list(entries.values())))
    if config.weights == "tiny":
        log.info("note: weights=tiny are small checkpoints trained on drawn shapes, in place of the real models")
