"""From spaces to a verdict: the evidence for every criterion, measured on held-out rows."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from foresight_cli.config import AnalyzeConfig
from foresight_cli.config.verdict import LEAST_GROUPS
from foresight_cli.errors import ForesightError
from foresight_cli.experiments import bridge, pairs
from foresight_cli.experiments.attributes import measured_attributes
from foresight_cli.experiments.categories import categorised, clusters
from foresight_cli.experiments.controls import control_results
from foresight_cli.inference.dependence import Dependence, dependence
from foresight_cli.inputs.joined import CompanionSet, JoinedSpaces, SampleTable
from foresight_cli.inputs.representation import Representation
from foresight_cli.metrics import linear_cka
from foresight_cli.metrics.folds import Fold
from foresight_cli.metrics.probe import LinearProbe, linear_probes
from foresight_cli.metrics.space import Space
from foresight_cli.results import ChosenPair, Estimate, Pair, PermutationTest, Verdict, candidates
from foresight_cli.verdict.evidence import Evidence
from foresight_cli.verdict.rule import judge

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measured:
    """Every source with every target, measured on the scored rows.

    Attributes:
        joined: the spaces and their rows.
        scored: the scored rows.
        sources: on the scored rows.
        targets: on the scored rows.
        folds: of the scored rows, for the probes.
        k: number of neighbours.
        tests: permutation tests of all pairs at once.
        pairs: sources first.
        probes: ``[S][T]``.
    """

    joined: JoinedSpaces
    scored: SampleTable
    sources: list[Representation]
    targets: list[Representation]
    folds: Sequence[Fold]
    k: int
    tests: Dependence
    pairs: list[Pair]
    probes: list[list[LinearProbe]]

    def place_of(self, index: int) -> tuple[int, int]:
        """Return the source and the target of a pair, as indices into ``sources`` and ``targets``."""
        return divmod(index, len(self.targets))


@dataclass(frozen=True)
class Assessment(Measured):
    """The measures of all pairs, and the verdict on one of them.

    Attributes:
        evidence: for the verdict; `describe` adds what only the report has to the chosen pair.
        verdict: on the evidence.
    """

    evidence: Evidence
    verdict: Verdict

    @property
    def index(self) -> int:
        """Index of the pair that the verdict is about."""
        return self.evidence.chosen.index

    @property
    def place(self) -> tuple[int, int]:
        """Source and target of the pair that the verdict is about, as indices into ``sources`` and ``targets``."""
        return self.place_of(self.index)

    @property
    def chosen(self) -> tuple[Representation, Representation]:
        """Source and target of that pair."""
        s, t = self.place
        return self.sources[s], self.targets[t]

    @property
    def probe(self) -> LinearProbe:
        """Probe of that pair."""
        s, t = self.place
        return self.probes[s][t]


@dataclass(frozen=True)
class More:
    """Further evidence on the chosen pair, from outside of its latents on the scored rows.

    Attributes:
        companion: the pair on data that has attributes; None if there is none, or the scored rows have attributes.
        controls: ``[n, d]`` by name, on every row, for example of the source's network with random weights.
        study_values: the Q1 study's four numbers; empty to leave them out.
    """

    companion: CompanionSet | None = None
    controls: Mapping[str, torch.Tensor] = field(default_factory=dict)
    study_values: Mapping[str, float] = field(default_factory=dict)


def assess(joined: JoinedSpaces, config: AnalyzeConfig, *, brief: bool = False) -> Assessment:
    """Measure, choose the pair, and judge it on its inputs alone; raises as :func:`measure_pairs` does."""
    measured = measure_pairs(joined, config, brief=brief)
    return judge_pair(measured, choose(measured), More(), config)


def measure_pairs(joined: JoinedSpaces, config: AnalyzeConfig, *, brief: bool = False) -> Measured:
    """Measure every source with every target.

    Args:
        joined: the spaces and their rows.
        config: seed, folds, permutations, neighbours.
        brief: measure only what the verdict uses.

    Raises:
        ForesightError: too few samples to measure anything, or a constant space.
    """
    scored, rows = joined.scored, joined.rows
    _refuse_few(scored, len(joined.samples), config.thresholds.min_groups)
    sources, targets = (
        [space.rows(rows.score, rows.one_of_each) for space in side] for side in (joined.sources, joined.targets)
    )
    _refuse_constant([*sources, *targets])
    folds = pairs.folds_of(scored.groups, config.folds, config.seed)
    alone = [[space.independent.space for space in side] for side in (sources, targets)]
    k = min(config.neighbors, len(alone[0][0]) - 2)
    tests = dependence(*alone, k=k, permutations=config.permutations, seed=config.seed)
    selection = _selection(joined, config)
    measured, probes = pairs.measure(
        sources, targets, scored.groups, folds, tests, selection, k=k, seed=config.seed, brief=brief
    )
    for pair in measured:
        log.debug("%d -> %d: R2 %.3f, CKA %.3f", pair.source, pair.target, pair.r2.value, pair.cka.value)
    return Measured(joined, scored, sources, targets, folds, k, tests, measured, probes)


def choose(measured: Measured) -> int:
    """Return the index of the pair for the verdict: of the candidates, the best on the rows set aside."""
    poolings = [measured.targets[measured.place_of(i)[1]].pooling for i in range(len(measured.pairs))]
    return max(candidates(poolings), key=lambda i: measured.pairs[i].selection_r2 or 0.0)


def judge_pair(measured: Measured, index: int, more: More, config: AnalyzeConfig) -> Assessment:
    """Gather the evidence on the chosen pair, and judge it.

    Args:
        measured: every pair.
        index: of the chosen pair.
        more: further evidence on it.
        config: seed, folds, permutations, thresholds, waivers.
    """
    scored, folds, pair = measured.scored, measured.folds, measured.pairs[index]
    s, t = measured.place_of(index)
    source, target, probe = measured.sources[s], measured.targets[t], measured.probes[s][t]
    by_label, by_cluster = _within(source, target, scored, measured.k, config)
    curve = bridge.learning_curve(probe, source, target, scored.groups, folds, config.seed)
    other = more.companion
    if other is None:
        carried = measured_attributes(probe, source, target, scored, folds, config)
    else:
        carried = measured_attributes(None, other.source, other.target, other.scored, None, config)
    rows = list(measured.joined.rows.score)
    controls = {name: values.double()[rows] for name, values in {**measured.joined.controls, **more.controls}.items()}
    limit = bridge.hopeful_limit(curve)
    cka = measured.tests.measures.index("cka")
    evidence = Evidence(
        pair=pair,
        chosen=ChosenPair(
            index=index,
            pc_r2=[float(v) for v in probe.r2_per_component[:50]],
            kendall=None,
            mantel=Estimate(math.nan),
            within_label=by_label,
            within_clusters=by_cluster,
            procrustes=math.nan,
            categories=[],
            learning_curve=curve,
            r2_limit=limit,
            r2_typical=bridge.typical(probe, target, scored.groups),
            r2_unseen=bridge.unseen_neighborhoods(source, target, scored.groups, config.folds, config.seed),
            shifted_cka=float(measured.tests.shifted[cka, s, t]),
            power=measured.tests.power(config.thresholds.r2, s, t),
            attributes=carried.attributes,
            companion=other.name if other else None,
        ),
        groups=len(set(scored.groups)),
        controls=control_results(controls, source, target, scored, folds, config),
        unmeasured=carried.unmeasured,
        hope=max(0.0, limit - pair.r2.value) if limit is not None else None,
        unseen_groups=bridge.groups_for_neighborhoods(config.folds),
        attribute_groups=len(set(other.scored.groups)) if other else None,
    )
    return Assessment(
        **vars(measured),
        evidence=evidence,
        verdict=judge(evidence, config.thresholds, config.verdict, study_values=more.study_values),
    )


def _refuse_few(scored: SampleTable, samples: int, enough: int) -> None:
    groups = len(set(scored.groups))
    if groups < LEAST_GROUPS:
        raise ForesightError(
            f"{groups} independent samples are left of {samples}: at least {LEAST_GROUPS} are needed to measure "
            f"anything, and {enough} for a verdict. Extract more data"
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


def _selection(joined: JoinedSpaces, config: AnalyzeConfig) -> np.ndarray | None:
    """Return the held-out R2 of every cell ``[S, T]`` on the rows set aside to choose; None if no choice is needed."""
    aside = joined.rows.select
    if not aside:
        return None
    groups = [joined.rows.groups[i] for i in aside]
    folds = pairs.folds_of(groups, min(config.folds, len(set(groups))), config.seed)
    sources, targets = ([space.rows(aside).space for space in side] for side in (joined.sources, joined.targets))
    return np.array([[p.r2 for p in linear_probes(s, targets, groups=groups, folds=folds)] for s in sources])


def _within(
    source: Representation, target: Representation, scored: SampleTable, k: int, config: AnalyzeConfig
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
