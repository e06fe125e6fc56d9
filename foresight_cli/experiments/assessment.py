"""From spaces to a verdict: the evidence for every criterion, measured on held-out rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from foresight_cli.config import AnalyzeConfig
from foresight_cli.data.sample_size import LEAST_GROUPS
from foresight_cli.errors import ForesightError
from foresight_cli.experiments import bridge, pairs
from foresight_cli.experiments.attributes import measured_attributes
from foresight_cli.experiments.categories import categorised, clusters
from foresight_cli.experiments.controls import control_results
from foresight_cli.inference.dependence import dependence
from foresight_cli.inputs.inputs import Companion, Inputs
from foresight_cli.inputs.representation import Representation
from foresight_cli.inputs.scored import Scored
from foresight_cli.metrics import linear_cka
from foresight_cli.metrics.probe import LinearProbe, linear_probes
from foresight_cli.metrics.space import Space
from foresight_cli.results import LearningPoint, Pair, PermutationTest, Verdict, candidates
from foresight_cli.verdict import Evidence
from foresight_cli.verdict.rule import judge

log = logging.getLogger(__name__)

FindCompanion = Callable[[int, int], Companion | None]
FindControls = Callable[[int], Mapping[str, torch.Tensor]]


@dataclass(frozen=True)
class Assessment:
    """The measures, and the verdict on them.

    Attributes:
        scored: the scored rows.
        sources: on the scored rows.
        targets: on the scored rows.
        pairs: every source with every target, sources first.
        index: of the pair that the verdict is about.
        probe: of that pair.
        learning_curve: of that pair.
        r2_limit: R2 that it might reach with more rows; None if unknown.
        evidence: for the verdict.
        verdict: on the evidence.
    """

    scored: Scored
    sources: list[Representation]
    targets: list[Representation]
    pairs: list[Pair]
    index: int
    probe: LinearProbe
    learning_curve: list[LearningPoint]
    r2_limit: float | None
    evidence: Evidence
    verdict: Verdict

    @property
    def chosen(self) -> tuple[Representation, Representation]:
        """Source and target of the pair that the verdict is about."""
        return self.sources[self.index // len(self.targets)], self.targets[self.index % len(self.targets)]


def assess(
    inputs: Inputs,
    config: AnalyzeConfig,
    *,
    study_values: Callable[[int, int], Mapping[str, float]] | None = None,
    companion: FindCompanion | None = None,
    more_controls: FindControls | None = None,
    brief: bool = False,
) -> Assessment:
    """Measure, choose the pair, and judge it.

    Args:
        inputs: the spaces and their rows.
        config: seed, folds, permutations, neighbours, thresholds, waivers.
        study_values: the Q1 study's four numbers for a source and a target; None to leave them out.
        brief: measure only what the verdict uses.
        more_controls: finds controls ``[n, d]`` of a source, on every row, for example its network with random weights.
        companion: finds latents of a source and a target on data that has attributes; called if these rows have none.

    Raises:
        ForesightError: too few samples to measure anything, or a constant space.
    """
    scored, rows = inputs.scored, inputs.rows
    _refuse_few(scored, len(inputs.samples))
    sources, targets = (
        [space.rows(rows.score, rows.one_of_each) for space in side] for side in (inputs.sources, inputs.targets)
    )
    _refuse_constant([*sources, *targets])
    folds = pairs.folds_of(scored.groups, config.folds, config.seed)
    alone = [[space.independent.space for space in side] for side in (sources, targets)]
    k = min(config.neighbors, len(alone[0][0]) - 2)
    tests = dependence(*alone, k=k, permutations=config.permutations, seed=config.seed)
    selection = _selection(inputs, config)
    measured, probes = pairs.measure(
        *(sources, targets, scored.groups, folds, tests, selection), k=k, seed=config.seed, brief=brief
    )
    for pair in measured:
        log.debug("%d -> %d: R2 %.3f, CKA %.3f", pair.source, pair.target, pair.r2.value, pair.cka.value)
    index = _choose(measured, targets)
    s, t = divmod(index, len(targets))
    source, target, probe = sources[s], targets[t], probes[s][t]
    by_label, by_cluster = _within(source, target, scored, k, config)
    curve = bridge.learning_curve(probe, source, target, scored.groups, folds, config.seed)
    carried = measured_attributes(probe, source, target, scored, folds, config)
    other = companion(s, t) if companion is not None and not scored.attributes else None
    if other is not None:
        carried = measured_attributes(None, other.source, other.target, other.scored, None, config)
    control_values = {**inputs.controls, **(more_controls(s) if more_controls else {})}
    control_rows = {name: values.double()[list(rows.score)] for name, values in control_values.items()}
    controls = control_results(control_rows, source, target, scored, folds, config)
    limit = bridge.hopeful_limit(curve)
    cka = tests.measures.index("cka")
    evidence = Evidence(
        pair=measured[index],
        groups=len(set(scored.groups)),
        within_label=by_label,
        within_clusters=by_cluster,
        labelled=bool(by_label),
        controls=controls,
        attributes=carried.attributes,
        unmeasured=carried.unmeasured,
        companion=other.name if other else None,
        attribute_groups=len(set(other.scored.groups)) if other else None,
        learning_sizes=len(curve),
        hope=max(0.0, (limit or 0.0) - measured[index].r2.value) if limit is not None else None,
        typical=bridge.typical(probe, target, scored.groups),
        unseen=bridge.unseen_neighborhoods(source, target, scored.groups, config.folds, config.seed),
        shifted_cka=float(tests.shifted[cka, s, t]),
        power=tests.power(config.thresholds.r2, s, t),
    )
    study = study_values(s, t) if study_values else {}
    return Assessment(
        scored=scored,
        sources=sources,
        targets=targets,
        pairs=measured,
        index=index,
        probe=probe,
        learning_curve=curve,
        r2_limit=limit,
        evidence=evidence,
        verdict=judge(evidence, config.thresholds, config.verdict, study_values=study),
    )


def _refuse_few(scored: Scored, samples: int) -> None:
    groups = len(set(scored.groups))
    if groups < LEAST_GROUPS:
        raise ForesightError(
            f"{groups} independent samples are left of {samples}: at least {LEAST_GROUPS} are needed to measure "
            "anything, and 100 for a verdict. Extract more data"
        )


def _refuse_constant(spaces: Sequence[Representation]) -> None:
    for space in spaces:
        if bool((space.values == space.values[0]).all()):
            raise ForesightError(f"{space.name}: all {len(space.values)} rows are the same, so nothing can be measured")
        alone = space.independent.space
        try:
            linear_cka(alone, alone)
        except ForesightError:
            raise ForesightError(
                f"{space.name}: all rows but one are the same, or all are equally far apart, so no space is more "
                "similar to it than another and nothing can be measured"
            ) from None


def _selection(inputs: Inputs, config: AnalyzeConfig) -> np.ndarray | None:
    """Return the held-out R2 of every cell ``[S, T]`` on the rows set aside to choose; None if no choice is needed."""
    aside = inputs.rows.select
    if not aside:
        return None
    groups = [inputs.rows.groups[i] for i in aside]
    folds = pairs.folds_of(groups, min(config.folds, len(set(groups))), config.seed)
    sources, targets = ([space.rows(aside).space for space in side] for side in (inputs.sources, inputs.targets))
    return np.array([[p.r2 for p in linear_probes(s, targets, groups=groups, folds=folds)] for s in sources])


def _choose(measured: Sequence[Pair], targets: Sequence[Representation]) -> int:
    """Return the index of the pair for the verdict: of the candidates, the best on the rows set aside."""
    poolings = [targets[i % len(targets)].pooling for i in range(len(measured))]
    return max(candidates(poolings), key=lambda i: measured[i].selection_r2 or 0.0)


def _within(
    source: Representation, target: Representation, scored: Scored, k: int, config: AnalyzeConfig
) -> tuple[list[PermutationTest], list[PermutationTest]]:
    """Return tests within the data's categories (none without shared ones) and within clusters of the target."""
    x, y = source.independent.space, target.independent.space

    def tests(x: Space, y: Space, labels: Sequence[object]) -> list[PermutationTest]:
        near = min(k, len(x) - 2)
        tested = dependence([x], [y], k=near, permutations=config.permutations, labels=list(labels), seed=config.seed)
        return tested.tests(0, 0)

    # Rows without a label are left out: they may share categories, which a permutation among them would break up.
    labels = scored.independent.labels
    rows = categorised(labels)
    by_label: list[PermutationTest] = []
    if len(rows) >= LEAST_GROUPS:
        some = [space.independent.rows(rows).space for space in (source, target)]
        by_label = tests(some[0], some[1], [labels[row] for row in rows])
    return by_label, tests(x, y, clusters(target.independent.rotated, config.seed).tolist())
