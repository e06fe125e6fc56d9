"""Evidence that passes every criterion; tests make it worse one piece at a time."""

from __future__ import annotations

from dataclasses import replace

from foresight_cli.config import Thresholds, Waivers
from foresight_cli.results import (
    Attribute,
    ChosenPair,
    Control,
    Estimate,
    LearningPoint,
    Neighborhood,
    Pair,
    PermutationTest,
)
from foresight_cli.verdict.evidence import Evidence

THRESHOLDS = Thresholds(r2=0.5, delta=0.05, retention=0.7, ceiling=0.3, min_groups=100)
STUDY = {"r2": 0.6, "spearman": 0.7, "recall@10": 0.3, "cka": 0.5}
CONTROLS = ("pixels", "histogram", "mean_rgb", "random_network", "label")


def waivers(**changes: str) -> Waivers:
    """Return waivers with everything required, except for ``changes``."""
    return Waivers(**{"attributes": "required", "controls": "required", "categories": "required", **changes})


def estimate(value: float, half: float = 0.1) -> Estimate:
    """Return an interval of ``half`` to either side, and one-sided bounds as far out."""
    return Estimate(value, value - half, value + half, lower=value - half, upper=value + half)


def permuted(p: float, spearman: float = 0.001) -> list[PermutationTest]:
    """Return permutation tests whose corrected p values are ``p``, and ``spearman`` for distances."""
    corrected = {"cka": p, "spearman": spearman, "recall": p}
    return [PermutationTest(name, 0.4, 0.0, 0.1, value, value, 0.3) for name, value in corrected.items()]


def control(name: str, r2: float = 0.3, delta: float = 0.3, half: float = 0.1) -> Control:
    return Control(name, r2, 0.2, 0.2, 0.1, estimate(delta, half))


def attribute(name: str, kept: float | None = 0.9) -> Attribute:
    if kept is None:
        return Attribute(name, 0.4, 0.311, 0.2, None, 0.262)
    return Attribute(name, 0.8, 0.9, 0.8, estimate(kept), 0.85)


PAIR = Pair(
    source=0,
    target=1,
    cka=estimate(0.6),
    cka_biased=Estimate(0.7),
    r2=estimate(0.7),
    r2_reverse=0.5,
    cosine=0.8,
    cosine_reverse=0.7,
    spearman=Estimate(0.8),
    spearman_cosine=0.8,
    pearson=0.8,
    neighborhood=[Neighborhood(10, Estimate(0.4), 0.2, 0.2, 0.02)],
    tests=permuted(0.001),
)
CHOSEN = ChosenPair(
    index=0,
    pc_r2=[],
    kendall=None,
    mantel=Estimate(0.8),
    within_label=permuted(0.002),
    within_clusters=permuted(0.001),
    procrustes=0.4,
    categories=[],
    learning_curve=[LearningPoint(rows, 0.7, 0.8) for rows in (60, 120, 240)],
    r2_limit=0.7,
    r2_typical=estimate(0.6),
    r2_unseen=estimate(0.65),
    shifted_cka=0.01,
    power=0.99,
    attributes=[attribute("x")],
)
GOOD = Evidence(pair=PAIR, chosen=CHOSEN, groups=300, controls=[control(name) for name in CONTROLS], hope=0.0)


def evidence(**changes: object) -> Evidence:
    """Return :data:`GOOD` with ``changes``, each of a field of the evidence, of its pair or of its chosen pair."""
    of = [{key: changes.pop(key) for key in vars(record).keys() & changes.keys()} for record in (PAIR, CHOSEN)]
    return replace(GOOD, pair=replace(PAIR, **of[0]), chosen=replace(CHOSEN, **of[1]), **changes)
