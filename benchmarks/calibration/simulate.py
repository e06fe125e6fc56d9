"""One made-up data set through the very code that ``foresight analyze`` runs, from the audit of duplicates on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.calibration.generators import Draw, Scenario
from foresight_cli.config import AnalyzeConfig, PrecomputedConfig, SpaceConfig, Thresholds, Waivers
from foresight_cli.errors import ForesightError
from foresight_cli.experiments.assessment import assess
from foresight_cli.experiments.inputs import Inputs
from foresight_cli.experiments.representation import Representation
from foresight_cli.experiments.rows import choose_rows
from foresight_cli.latents import Latents


@dataclass(frozen=True)
class Outcome:
    """What one data set came to.

    Attributes:
        answer: PROCEED, PIVOT or INCONCLUSIVE; ``refused`` where there was too little to measure anything.
        dependence: whether the permutation test over all measures said p <= .05.
        within: whether the one within categories did.
        r2: held out.
    """

    answer: str
    dependence: bool = False
    within: bool = False
    r2: float = float("nan")


def run(scenario: Scenario, n: int, seed: int, permutations: int) -> Outcome:
    """The verdict on one draw of ``scenario`` with ``n`` rows."""
    # hash() differs from process to process
    key = int.from_bytes(hashlib.sha256(f"{scenario.name} {n} {seed}".encode()).digest()[:8], "little")
    draw = scenario.draw(n, np.random.default_rng(key))
    config = settings(seed, permutations, attributes="required" if draw.attributes else "waived")
    try:
        found = assess(inputs_of(draw, seed), config, brief=True)
    except ForesightError:
        return Outcome("refused")
    p_value = {c.name: c.estimate.value if c.estimate else 1.0 for c in found.verdict.criteria}
    return Outcome(
        found.verdict.answer,
        p_value["dependence"] <= 0.05,
        p_value["beyond categories"] <= 0.05,
        found.pairs[found.index].r2.value,
    )


def inputs_of(draw: Draw, seed: int) -> Inputs:
    """``draw`` as the analysis takes it; every row's picture has bytes of its own, even those of repeated inputs."""
    n = len(draw.x)
    ids = [f"sample{i:05d}" for i in range(n)]
    known = {
        "ids": ids,
        "labels": draw.labels or [None] * n,
        "groups": draw.groups or ids,
        "attributes": {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in draw.attributes.items()},
        "pixels": torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 32), dtype=np.uint8)),
    }
    latents = [Latents(values=torch.from_numpy(np.ascontiguousarray(values)), **known) for values in (draw.x, draw.y)]
    rows = choose_rows([[side] for side in latents], max_rows=5000, select_share=0.0, seed=seed, skipped=[])
    spaces = [
        Representation.of(side, side, "final", "flat", "", values)
        for side, values in zip(("source", "target"), latents, strict=True)
    ]
    controls = {name: torch.from_numpy(values) for name, values in draw.controls.items()}
    return Inputs([spaces[0]], [spaces[1]], controls, latents[0], rows)


def settings(seed: int, permutations: int, *, attributes: str) -> AnalyzeConfig:
    """The shipped thresholds; controls are judged where a scenario has them, and not asked for where it has none."""
    anything = SpaceConfig(PrecomputedConfig("precomputed", ""), None, None)
    return AnalyzeConfig(
        source=anything,
        target=anything,
        data=None,
        weights="none",
        cache_dir="",
        device="cpu",
        seed=seed,
        max_rows=5000,
        permutations=permutations,
        folds=5,
        neighbors=10,
        controls=(),
        thresholds=Thresholds(r2=0.5, delta=0.05, retention=0.7, ceiling=0.3, min_groups=100),
        verdict=Waivers(attributes=attributes, controls="waived", categories="required"),
    )
