"""The results of an adapter on the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from foresight_cli.config.verdict import default_thresholds
from foresight_cli.results import AdapterResults

log = logging.getLogger(__name__)


def print_adapter(results: AdapterResults, folder: Path) -> None:
    """Print a line for the adapter and for each baseline, and for what it keeps of each attribute."""
    own = results.scores[0]
    for score in results.scores:
        low, high = score.r2.low, score.r2.high
        against = f"  adapter against this: {score.outcome}" if score.outcome else f"  [{low:.3f}, {high:.3f}]"
        recall = "  ".join(f"{k}: {share:.2f}" for k, share in score.recall.items())
        log.info("  %-9s held-out R2 %6.3f  cosine %6.3f  retrieval@k %s%s", score.name, score.r2.value, score.cosine,
                 recall, against)  # fmt: skip
    for line in _attributes(results):
        log.info("  %s", line)
    if results.noise_from:
        log.info("  the target after %s predicts itself with R2 %.3f, the ceiling: %s reaches %.2f of it",
                 results.noise_from, results.noise_ceiling, results.adapter,
                 own.r2.value / results.noise_ceiling)  # fmt: skip
    if advice := training_advice(results):
        log.warning("  %s", advice)
    log.info("%s: %d parameters, R2 %.3f on its training rows -> %s", results.adapter, own.parameters,
             results.r2_train, folder / "adapter.safetensors")  # fmt: skip


def training_advice(results: AdapterResults) -> str | None:
    """Return what to change if training failed or stopped too early; None if it did neither."""
    settings = results.settings["adapter"]
    if "lr" not in settings:
        return None
    if results.r2_validation.value < 0:
        return (
            f"R2 {results.r2_validation.value:.3g} on the validation rows is worse than their mean: what was "
            f"learned does not generalise. Try adapter.lr={settings['lr'] / 10:g}, more rows, or adapter=linear"
        )
    last = sum(seed.best_epoch == settings["epochs"] for seed in results.seeds)
    if last:
        return (
            f"{last} of {len(results.seeds)} seeds still improved in epoch {settings['epochs']}, the last: "
            f"try adapter.epochs={2 * settings['epochs']}"
        )
    return None


def _attributes(results: AdapterResults) -> Iterator[str]:
    """Yield a line for each attribute: the share that the adapter keeps, and whether ridge keeps as much."""
    linear = {ridge.name: ridge.retention for ridge in results.attributes_ridge}
    gains = {more.name: more for more in results.attribute_gains}
    ceiling = default_thresholds().ceiling
    for kept in results.attributes:
        if kept.retention is None:
            least = f", lower bound {kept.target_lower:.2f}, below {ceiling:g}" if kept.target_lower is not None else ""
            yield f"{kept.name}: not judged, hardly readable from the target itself (R2 {kept.from_target:.2f}{least})"
            continue
        share = f"{kept.retention.value:.2f} [{kept.retention.low:.2f}, {kept.retention.high:.2f}]"
        line = f"{kept.name}: kept fully, {share}" if kept.kept_fully else f"{kept.name}: keeps {share}"
        if kept.through_bridge > kept.from_target:
            line += f" (R2 {kept.through_bridge:.2f}, better than {kept.from_target:.2f} from the target itself)"
        ridge, more = linear.get(kept.name), gains.get(kept.name)
        if results.adapter == "linear" or ridge is None or more is None:
            yield line
        else:
            gain = f"{more.gain.value:+.2f} [{more.gain.low:+.2f}, {more.gain.high:+.2f}]"
            yield f"{line}; ridge {ridge.value:.2f}; R2 {gain} against ridge: {more.outcome}"
