"""Attributes of the samples through the bridge, on the rows that have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from foresight_cli.config import AnalyzeConfig
from foresight_cli.experiments import bridge, pairs
from foresight_cli.inputs.joined import SampleTable
from foresight_cli.inputs.representation import Representation
from foresight_cli.metrics.folds import Fold
from foresight_cli.metrics.probe import LinearProbe, linear_probe
from foresight_cli.results import Attribute

LEAST_VALUES = 50
"""An attribute with values on fewer rows is not judged."""


@dataclass(frozen=True)
class MeasuredAttributes:
    """The attributes that were measured, and those that could not be, with the reason."""

    attributes: list[Attribute]
    unmeasured: dict[str, str]


def measured_attributes(
    probe: LinearProbe | None,
    source: Representation,
    target: Representation,
    rows: SampleTable,
    folds: Sequence[Fold] | None,
    config: AnalyzeConfig,
) -> MeasuredAttributes:
    """Measure each attribute of ``rows`` through the bridge from source to target.

    Args:
        probe: of the pair in ``folds``; None to fit one.
        source: on ``rows``.
        target: on ``rows``.
        rows: their ids, labels, groups and attributes.
        folds: of the probe.
        config: seed, folds and thresholds.
    """
    measurable, unmeasured = _enough(rows, config.folds)
    if not measurable:
        return MeasuredAttributes([], unmeasured)
    if probe is None or folds is None:
        folds = pairs.folds_of(rows.groups, config.folds, config.seed)
        probe = linear_probe(source.space, target.space, groups=list(rows.groups), folds=folds)
    attributes = bridge.attribute_retention(
        probe.carried,
        source,
        target,
        measurable,
        rows.groups,
        folds,
        ceiling=config.thresholds.ceiling,
        seed=config.seed,
    )
    left_out = measurable.keys() - {attribute.name for attribute in attributes}
    unmeasured |= dict.fromkeys(sorted(left_out), "no fold has enough training and test samples with a value")
    return MeasuredAttributes(attributes, unmeasured)


def _enough(rows: SampleTable, folds: int) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    measurable: dict[str, torch.Tensor] = {}
    unmeasured: dict[str, str] = {}
    for name, column in rows.attributes.items():
        rows_with_value = torch.isfinite(column).nonzero().flatten().tolist()
        groups = len({rows.groups[i] for i in rows_with_value})
        if len(rows_with_value) < LEAST_VALUES or groups < 2 * folds:
            unmeasured[name] = (
                f"{len(rows_with_value)} of the {len(column)} scored samples have it, in {groups} groups; "
                f"{LEAST_VALUES} samples in {2 * folds} groups are needed"
            )
        elif column[rows_with_value].min() == column[rows_with_value].max():
            unmeasured[name] = "it is the same for all samples"
        else:
            measurable[name] = column
    return measurable, unmeasured
