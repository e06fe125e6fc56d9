"""Simulation: the code of ``foresight analyze``, from the audit of duplicates on, applied to a made-up data set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.calibration.generators import Draw, Scenario
from foresight_cli.config import AnalyzeConfig, PrecomputedConfig, SpaceConfig, Thresholds, Waivers
from foresight_cli.errors import ForesightError
from foresight_cli.experiments.assessment import assess
from foresight_cli.inputs.joined import JoinedSpaces
from foresight_cli.inputs.representation import Representation
from foresight_cli.inputs.split import choose_rows
from foresight_cli.latents import Latents


@dataclass(frozen=True)
class Outcome:
    """The outcome of one data set.

    Attributes:
        answer: PROCEED, PIVOT or INCONCLUSIVE; ``refused`` where there were too few data to measure anything.
        dependence: True if the permutation test over all measures had p <= .05.
        within: True if the permutation test within categories had p <= .05.
        r2: held-out R2.
    """

    answer: str
    dependence: bool = False
    within: bool = False
    r2: float = float("nan")


def run(scenario: Scenario, n: int, seed: int, permutations: int) -> Outcome:
    """Return the verdict on one draw of ``scenario`` with ``n`` rows."""
    # not hash(), which differs from process to process
    key = int.from_bytes(hashlib.sha256(f"{scenario.name} {n} {seed}".encode()).digest()[:8], "little")
    draw = scenario.draw(n, np.random.default_rng(key))
    config = settings(seed, permutations, attributes="required" if draw.attributes else "waived")
    try:
        assessed = assess(inputs_of(draw, seed), config, brief=True)
    except ForesightError:
        return Outcome("refused")
    p_value = {c.name: c.estimate.value if c.estimate else 1.0 for c in assessed.verdict.criteria}
    return Outcome(
        assessed.verdict.answer,
        p_value["dependence"] <= 0.05,
        p_value["beyond categories"] <= 0.05,
        assessed.pairs[assessed.index].r2.value,
    )


def inputs_of(draw: Draw, seed: int) -> JoinedSpaces:
    """Return ``draw`` as inputs of the analysis; each row's picture has different bytes, even for repeated inputs."""
    n = len(draw.x)
    ids = [f"sample{i:05d}" for i in range(n)]
    table = {
        "ids": ids,
        "labels": draw.labels or [None] * n,
        "groups": draw.groups or ids,
        "attributes": {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in draw.attributes.items()},
        "pixels": torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 32), dtype=np.uint8)),
    }
    latents = [Latents(values=torch.from_numpy(np.ascontiguousarray(values)), **table) for values in (draw.x, draw.y)]
    rows = choose_rows([[side] for side in latents], max_rows=5000, select_share=0.0, seed=seed, skipped=[])
    spaces = [
        Representation(side, side, "final", "flat", "", values.values.double())
        for side, values in zip(("source", "target"), latents, strict=True)
    ]
    controls = {name: torch.from_numpy(values) for name, values in draw.controls.items()}
    return JoinedSpaces([spaces[0]], [spaces[1]], controls, latents[0], rows)


def settings(seed: int, permutations: int, *, attributes: str) -> AnalyzeConfig:
    """Return settings with the shipped thresholds; controls are judged if the scenario has them, and not required."""
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
