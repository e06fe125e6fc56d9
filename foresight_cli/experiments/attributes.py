"""Which attributes of the samples survive the bridge, on the rows that have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from foresight_cli.config import AnalyzeConfig
from foresight_cli.experiments import bridge, pairs
from foresight_cli.experiments.representation import Representation
from foresight_cli.experiments.scored import Scored
from foresight_cli.metrics.folds import Fold
from foresight_cli.metrics.probe import LinearProbe, linear_probe
from foresight_cli.results import Attribute

LEAST_VALUES = 50
"""An attribute known of fewer rows is not judged."""


@dataclass(frozen=True)
class MeasuredAttributes:
    """Attributes as results have them, and those that could not be measured, with the reason."""

    attributes: list[Attribute]
    unmeasured: dict[str, str]


def measured_attributes(
    probe: LinearProbe | None,
    source: Representation,
    target: Representation,
    rows: Scored,
    folds: Sequence[Fold] | None,
    config: AnalyzeConfig,
) -> MeasuredAttributes:
    """Each attribute of ``rows`` through the bridge from source to target.

    Args:
        probe: of the pair in ``folds``; None to make one.
        source: on ``rows``.
        target: on ``rows``.
        rows: what is known of them.
        folds: of the probe.
        config: seed, folds and thresholds.
    """
    known, unmeasured = _enough(rows, config.folds)
    if not known:
        return MeasuredAttributes([], unmeasured)
    if probe is None or folds is None:
        folds = pairs.folds_of(rows.groups, config.folds, config.seed)
        probe = linear_probe(source.space, target.space, groups=list(rows.groups), folds=folds)
    found = bridge.attribute_retention(
        probe.carried,
        source,
        target,
        known,
        rows.groups,
        folds,
        ceiling=config.thresholds.ceiling,
        seed=config.seed,
    )
    left_out = known.keys() - {attribute.name for attribute in found}
    unmeasured |= dict.fromkeys(sorted(left_out), "no fold has enough samples that have it on both sides")
    return MeasuredAttributes(found, unmeasured)


def _enough(rows: Scored, folds: int) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    known: dict[str, torch.Tensor] = {}
    unmeasured: dict[str, str] = {}
    for name, column in rows.attributes.items():
        there = torch.isfinite(column).nonzero().flatten().tolist()
        groups = len({rows.groups[i] for i in there})
        if len(there) < LEAST_VALUES or groups < 2 * folds:
            unmeasured[name] = (
                f"{len(there)} of the {len(column)} scored samples have it, in {groups} groups; "
                f"{LEAST_VALUES} samples in {2 * folds} groups are needed"
            )
        elif column[there].min() == column[there].max():
            unmeasured[name] = "it is the same for all samples"
        else:
            known[name] = column
    return known, unmeasured
