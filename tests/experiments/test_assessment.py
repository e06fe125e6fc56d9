"""Tests of the verdict on spaces whose truth is known, through the code of ``foresight analyze``."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.calibration.generators import Draw, scenarios
from benchmarks.calibration.simulate import inputs_of, run, settings
from foresight_cli.config import Waivers
from foresight_cli.errors import ForesightError
from foresight_cli.experiments.assessment import assess

SMALL = {scenario.name: scenario for scenario in scenarios(d1=256, d2=128)}
CONTROLS = ("pixels", "histogram", "mean_rgb", "random_network")


def verdict(draw, seed=0, **waived):
    waivers = {"attributes": "required", "controls": "required", "categories": "required"} | waived
    config = replace(settings(seed, 99, attributes="required"), verdict=Waivers(**waivers))
    return assess(inputs_of(draw, seed), config).verdict


def outcome(result, name):
    return next(c for c in result.criteria if c.name == name)


@pytest.fixture(scope="module")
def same_space():
    """Return a space and its rotated, scaled copy, with attributes that it holds, and controls independent of it."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 64)) / np.sqrt(1 + np.arange(64))
    turned = 3 * x @ np.linalg.qr(rng.standard_normal((64, 64)))[0] - 7
    attributes = {"x": x[:, 0] + 0.1 * rng.standard_normal(300), "y": x[:, 1] + 0.1 * rng.standard_normal(300)}
    controls = {name: rng.standard_normal((300, 8)) for name in CONTROLS}
    labels = [f"{code}" for code in rng.integers(0, 4, 300)]
    return Draw(x, turned, labels=labels, controls=controls, attributes=attributes)


def test_the_same_space_rotated_and_scaled_proceeds_with_its_attributes(same_space):
    result = verdict(same_space)
    assert result.line == "PROCEED"
    assert result.reasons == ["every criterion passes"]
    assert {c.outcome for c in result.criteria} == {"PASS"}


def test_without_attributes_it_proceeds_only_where_they_are_waived(same_space):
    bare = replace(same_space, attributes={})
    result = verdict(bare)
    assert result.answer == "INCONCLUSIVE"
    assert result.limiting == "attributes survive"
    waived = verdict(bare, attributes="waived")
    assert waived.line == "PROCEED (attributes waived)"
    assert outcome(waived, "attributes survive").outcome == "WAIVED"


def test_without_controls_it_proceeds_only_where_they_are_waived(same_space):
    bare = replace(same_space, controls={})
    result = verdict(bare)
    assert result.answer == "INCONCLUSIVE"
    assert outcome(result, "beyond controls").reason == (
        "the controls histogram, mean_rgb, pixels, random_network were not measured"
    )
    assert verdict(bare, controls="waived").line == "PROCEED (controls waived)"


def test_without_categories_clusters_of_the_target_are_used(same_space):
    result = verdict(replace(same_space, labels=None))
    assert result.answer == "PROCEED"
    reason = outcome(result, "beyond categories").reason
    assert "clusters of the target (the data has no categories that tell samples apart)" in reason


def test_a_pairing_shifted_by_one_row_collapses(same_space):
    shifted = replace(same_space, y=np.roll(same_space.y, 1, axis=0))
    config = settings(0, 99, attributes="required")
    right, wrong = (assess(inputs_of(draw, 0), config) for draw in (same_space, shifted))
    assert right.pairs[0].cka.value > 0.99
    assert right.evidence.chosen.shifted_cka < 0.05
    assert abs(wrong.pairs[0].cka.value) < 0.05
    assert wrong.pairs[0].r2.value < 0.05
    assert wrong.verdict.answer != "PROCEED"


def test_a_source_that_its_controls_explain_does_not_proceed(same_space):
    explained = replace(same_space, controls={**same_space.controls, "pixels": same_space.x[:, :60]})
    result = verdict(explained)
    assert result.answer != "PROCEED"
    assert outcome(result, "beyond controls").code == "control-explains:pixels"


@pytest.mark.parametrize("times", [2, 10])
def test_repeated_inputs_do_not_proceed(times):
    rng = np.random.default_rng(0)
    rows = np.arange(300 // times).repeat(times)
    draw = Draw(rng.standard_normal((300 // times, 256))[rows], rng.standard_normal((300 // times, 128))[rows])
    result = assess(inputs_of(draw, 0), settings(0, 99, attributes="waived"))
    assert result.pairs[0].r2.value <= 0.05
    assert result.verdict.answer != "PROCEED"
    assert len(set(result.scored.groups)) == 300 // times


def test_position_of_five_percent_variance_that_is_lost_is_named():
    answers = [run(SMALL["position (5 % of variance) lost"], 300, seed, 99).answer for seed in range(3)]
    assert answers == ["PIVOT"] * 3
    draw = SMALL["position (5 % of variance) lost"].draw(300, np.random.default_rng(0))
    result = verdict(draw, controls="waived")
    lost = outcome(result, "attributes survive")
    assert lost.outcome == "FAIL"
    assert lost.code == "spatial-retention:x,y"
    assert "lost: x, y" in lost.reason


@pytest.mark.parametrize("name", [s.name for s in SMALL.values() if s.truth == "no"])
def test_no_bridge_no_proceed(name):
    """Run the short version of the calibration."""
    assert "PROCEED" not in [run(SMALL[name], 120, seed, 49).answer for seed in range(3)]


@pytest.mark.parametrize("name", ["shared, R2 0.8", "labels 0.4 + shared, R2 0.88"])
def test_a_bridge_is_seen(name):
    assert [run(SMALL[name], 200, seed, 49).answer for seed in range(4)].count("PROCEED") >= 3


def test_permutation_tests_hold_their_level():
    """Expect p <= .05 in at most 6 of 40 independent pairs: at a level of 5 %, more has a probability of 1 %."""
    outcomes = [run(SMALL["independent, each with its own clusters"], 60, seed, 49) for seed in range(40)]
    assert sum(outcome.dependence for outcome in outcomes) <= 6
    assert sum(outcome.within for outcome in outcomes) <= 6


def test_too_few_and_constant_are_refused(same_space):
    few = Draw(same_space.x[:15], same_space.y[:15])
    with pytest.raises(ForesightError) as caught:
        assess(inputs_of(few, 0), settings(0, 99, attributes="waived"))
    assert str(caught.value) == (
        "15 independent samples are left of 15: at least 20 are needed to measure anything, and 100 for a verdict. "
        "Extract more data"
    )


def test_a_space_that_is_like_every_other_is_refused(same_space):
    alike = np.eye(300)
    nearly = np.ones((300, 8))
    nearly[3] = 2
    for x in (alike, nearly):
        with pytest.raises(ForesightError) as caught:
            assess(inputs_of(Draw(x, same_space.y), 0), settings(0, 99, attributes="waived"))
        assert str(caught.value) == (
            "source final flat: all rows but one are the same, or all are equally far apart, so no space is more "
            "similar to it than another and nothing can be measured"
        )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_comes_to_the_same(same_space):
    config = settings(0, 99, attributes="required")
    inputs = inputs_of(same_space, 0)
    moved = replace(
        inputs,
        sources=[replace(space, device="cuda") for space in inputs.sources],
        targets=[replace(space, device="cuda") for space in inputs.targets],
    )
    on_cpu, on_gpu = assess(inputs, config), assess(moved, config)
    assert on_gpu.verdict.answer == on_cpu.verdict.answer
    assert on_gpu.pairs[0].r2.value == pytest.approx(on_cpu.pairs[0].r2.value, rel=1e-6)
    assert on_gpu.pairs[0].cka.value == pytest.approx(on_cpu.pairs[0].cka.value, rel=1e-6)
    assert [a.through_bridge for a in on_gpu.evidence.chosen.attributes] == pytest.approx(
        [a.through_bridge for a in on_cpu.evidence.chosen.attributes]
    )
