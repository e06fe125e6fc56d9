"""What a representation without a network scores against the chosen target, and what the source adds to it."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from foresight_cli.config import AnalyzeConfig
from foresight_cli.experiments import pairs
from foresight_cli.experiments.chosen import Scored
from foresight_cli.experiments.clusters import label_codes
from foresight_cli.experiments.representation import Representation
from foresight_cli.inference.controls import delta_r2, one_hot
from foresight_cli.metrics import linear_cka
from foresight_cli.results import Control, Estimate


def control_results(
    controls: Mapping[str, torch.Tensor],
    source: Representation,
    target: Representation,
    rows: Scored,
    config: AnalyzeConfig,
) -> list[Control]:
    """One result for each control, and one for the categories where every row has one.

    Args:
        controls: ``[n, d]`` by name, on the scored rows.
        source: of the chosen pair.
        target: of the chosen pair.
        rows: the scored rows.
        config: folds, neighbours, seed.
    """
    spaces = dict(controls)
    codes, names = label_codes(rows.labels)
    if len(names) >= 2 and (codes >= 0).all():
        spaces["label"] = one_hot([names[c] for c in codes])
    return [_score(name, values, source, target, rows, config) for name, values in spaces.items()]


def _score(
    name: str, values: torch.Tensor, source: Representation, target: Representation, rows: Scored, config: AnalyzeConfig
) -> Control:
    space = Representation("control", name, "final", "flat", "", values)
    k = min(config.neighbors, len(values) - 2)
    delta, low, high, alone = delta_r2(source.values, values, target.rotated, rows.groups, config.folds, config.seed)
    return Control(
        name=name,
        r2=alone,
        cka=linear_cka(space.rotated, target.rotated),
        spearman=pairs.spearman(space, target),
        recall=pairs.overlap(space, target, k, config.seed).recall.value,
        delta_r2=Estimate(delta, low, high, chance=0.0),
    )
