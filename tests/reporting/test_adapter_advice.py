"""The choice of an adapter: never one that loses an attribute, or that ridge or the mean equals."""

from __future__ import annotations

import dataclasses

import pytest

from foresight_cli.reporting.adapter_advice import by_pair, decide, least_kept, recommended, standard_error
from foresight_cli.reporting.adapter_names import Sized, named
from foresight_cli.results import Attribute, Estimate
from tests.reporting import example


@pytest.fixture
def sized():
    def make(name, parameters, validation, error=0.01, r2=None, kept=(0.9,), ridge=(0.9,)):
        """Return an mlp (or linear) that keeps shares of x, y ...; its ridge has R2 0.551 and 8,320 parameters."""
        kind = "linear" if name.startswith("adapter=linear") else "mlp"
        results = example.adapter(kind, r2=validation if r2 is None else r2)
        own = dataclasses.replace(results.scores[0], parameters=parameters)
        results = dataclasses.replace(
            results, scores=[own, *results.scores[1:]], r2_validation=Estimate.of(validation, error),
            attributes=attributes(kept), attributes_ridge=attributes(ridge),
        )  # fmt: skip
        return Sized(name, results)

    return make


def attributes(shares):
    return [
        Attribute(name, 0.9, 0.9, 0.5, None if share is None else Estimate.of(share, 0.01))
        for name, share in zip(("x", "y", "size"), shares, strict=False)
    ]


@pytest.mark.parametrize(
    ("adapters", "wanted"),
    [
        ([("a", 100, 0.50), ("b", 1000, 0.505), ("c", 9000, 0.51)], "a"),  # 0.51 - 0.01 is reached
        ([("a", 100, 0.4999), ("b", 1000, 0.505), ("c", 9000, 0.51)], "b"),
        ([("a", 100, 0.30), ("b", 1000, 0.40), ("c", 9000, 0.51)], "c"),
        ([("a", 100, 0.50), ("b", 100, 0.502), ("c", 9000, 0.51)], "b"),  # as small and better
        ([("a", 9000, 0.4)], "a"),
    ],
)
def test_the_smallest_within_one_standard_error_of_the_best(sized, adapters, wanted):
    adapters = [sized(*values) for values in adapters]
    assert standard_error(adapters[0]) == pytest.approx(0.01)
    assert recommended(adapters).name == wanted


def test_the_test_rows_do_not_choose(sized):
    assert recommended([sized("a", 100, 0.3, r2=0.9), sized("b", 900, 0.5, r2=0.1)]).name == "b"


def test_an_adapter_that_gains_over_ridge_is_taken(sized):
    small, large = sized("adapter=mlp adapter.hidden=8", 100, 0.70), sized("adapter=mlp", 9000, 0.705)
    advice = decide([small, large], 0.7)
    assert advice.chosen is small
    assert advice.text == (
        "Take adapter=mlp adapter.hidden=8 (100 parameters): the smallest within one standard error of the best, "
        "adapter=mlp (9,000). It gains 0.149 (0.110 to 0.188) of test R² over ridge (8,320 parameters)."
    )
    assert decide([large], 0.7).text.startswith("Take adapter=mlp (9,000 parameters): the best validation R². It gains")


def test_equals_are_named(sized):
    adapters = [sized(f"adapter=mlp adapter.lr=0.{n}", 100, 0.70 + n / 1e4) for n in range(1, 6)]
    assert decide(adapters, 0.7).text.startswith(
        "Take adapter=mlp adapter.lr=0.5 (100 parameters): the best validation R². Equally small, and also within "
        "one standard error: adapter=mlp adapter.lr=0.1, adapter=mlp adapter.lr=0.2, adapter=mlp adapter.lr=0.3, "
        ".... It gains"
    )


def test_an_adapter_that_is_worse_than_ridge_is_not_taken(sized):
    advice = decide([sized("adapter=mlp", 493_312, 0.50)], 0.7)
    assert (advice.chosen, advice.untrained, advice.parameters) == (None, "adapter=linear", 8320)
    assert advice.text == (
        "Take adapter=linear (ridge, 8,320 parameters): adapter=mlp (493,312), the choice on the validation rows, is "
        "worse than ridge (8,320 parameters) on the test rows: it adds -0.051 (-0.090 to -0.012) of R²."
    )


def test_ridge_is_taken_where_a_larger_adapter_only_ties(sized):
    mlp, linear = sized("adapter=mlp", 90_000, 0.57), sized("adapter=linear", 8320, 0.551)
    tie = "ridge is as good on the test rows as adapter=mlp (90,000), the choice on the validation rows."
    assert decide([mlp], 0.7).text == f"Take adapter=linear (ridge, 8,320 parameters): {tie}"
    both = decide([mlp, linear], 0.7)
    assert both.text == f"Take adapter=linear (8,320 parameters): {tie}"
    assert both.chosen is linear
    assert decide([linear], 0.7).text == (
        "Take adapter=linear (8,320 parameters): the best validation R². It is ridge."
    )
    near = decide([linear, sized("adapter=mlp", 90_000, 0.555)], 0.7)
    assert near.text == (
        "Take adapter=linear (8,320 parameters): the smallest within one standard error of the best, adapter=mlp "
        "(90,000). It is ridge, and no other gains more than a standard error over it."
    )


def test_an_adapter_smaller_than_ridge_is_taken_where_it_ties(sized):
    assert decide([sized("adapter=mlp", 900, 0.57)], 0.7).text == (
        "Take adapter=mlp (900 parameters): the best validation R². It ties with ridge (8,320 parameters)."
    )
    lossy = decide([sized("adapter=mlp", 90_000, 0.57, ridge=(0.9, 0.2))], 0.7)
    assert lossy.text == (
        "Take adapter=mlp (90,000 parameters): the best validation R². It ties with ridge (8,320 parameters), which "
        "keeps 0.20 of y, wanted 0.70."
    )


def test_an_adapter_that_loses_an_attribute_is_not_taken(sized):
    query = sized("adapter=query", 75_904, 0.80, kept=(0.9, None, 0.06))
    mlp = sized("adapter=mlp", 90_000, 0.70)
    advice = decide([query, mlp], 0.7)
    assert advice.chosen is mlp
    assert advice.text == (
        "Take adapter=mlp (90,000 parameters): the best validation R² of those that pass. It gains 0.149 (0.110 to "
        "0.188) of test R² over ridge (8,320 parameters). adapter=query (75,904) keeps 0.06 of size, wanted 0.70."
    )
    assert decide([query], 0.7).text == (
        "Take adapter=linear (ridge, 8,320 parameters): adapter=query (75,904), the choice on the validation rows, "
        "keeps 0.06 of size, wanted 0.70."
    )
    assert decide([query], 0.06).chosen is query  # the threshold itself is enough


def test_where_ridge_loses_one_too_nothing_is_taken(sized):
    advice = decide([sized("adapter=query", 75_904, 0.80, kept=(0.9, 0.9, 0.6999), ridge=(0.22,))], 0.7)
    assert (advice.chosen, advice.untrained) == (None, "")
    assert advice.text == (
        "None is worth taking: adapter=query (75,904), the choice on the validation rows, keeps 0.6999 of size, wanted "
        "0.70. Ridge (8,320) keeps 0.22 of x, wanted 0.70. Try another layer or pooling, or more samples."
    )


@pytest.mark.parametrize(("outcome", "verb"), [("tie", "ties with"), ("worse", "is worse than")])
def test_nothing_is_advised_that_the_mean_predicts_as_well(sized, outcome, verb):
    mlp = sized("adapter=mlp", 90_000, 0.001)
    low = {"mean": {"outcome": outcome}, "ridge": {"r2": Estimate(0.02, -0.01, 0.05)}}
    scores = [dataclasses.replace(s, **low.get(s.name, {})) for s in mlp.results.scores]
    results = dataclasses.replace(mlp.results, scores=scores)
    assert decide([Sized("adapter=mlp", results)], 0.7).text == (
        f"None is worth taking: adapter=mlp (90,000), the choice on the validation rows, {verb} the mean of the "
        "training rows: 0.001 (-0.038 to 0.040) of test R². Ridge (8,320) is no better than the mean of the training "
        "rows: 0.020 (-0.010 to 0.050) of test R². Try another layer or pooling, or more samples."
    )


def test_names_are_the_words_that_lead_to_each():
    settings = [
        {"name": "mlp", "hidden": 16, "lr": 0.001, "max_parameters": 10_000_000},
        {"name": "mlp", "hidden": 256, "lr": 0.001, "max_parameters": 10_000_000},
        {"name": "lowrank", "rank": None},
        {"name": "lowrank", "rank": 4},
        {"name": "linear"},
    ]
    adapters = [dataclasses.replace(example.adapter(s["name"]), settings={"adapter": s}) for s in settings]
    assert [adapter.name for adapter in named(adapters)] == [
        "adapter=mlp adapter.hidden=16", "adapter=mlp adapter.hidden=256", "adapter=lowrank adapter.rank=null",
        "adapter=lowrank adapter.rank=4", "adapter=linear",
    ]  # fmt: skip
    assert [adapter.name for adapter in named(adapters[:1])] == [
        "adapter=mlp adapter.hidden=16"
    ]  # not the default, 256
    assert [adapter.name for adapter in named(adapters[1:2])] == ["adapter=mlp"]
    rows = ["mlp hidden=16", "mlp hidden=256", "lowrank rank=null", "lowrank rank=4", "linear"]
    assert [adapter.label for adapter in named(adapters)] == rows
    slow = {**settings[0], "epochs": 9, "max_parameters": 1000}
    both = [dataclasses.replace(adapters[0], settings={"adapter": {**slow, "hidden": n}}) for n in (8, 16)]
    assert [adapter.label for adapter in named(both)] == ["mlp hidden=8", "mlp hidden=16"]
    assert named(both)[0].name == "adapter=mlp adapter.hidden=8 adapter.epochs=9 adapter.max_parameters=1000"
    assert named(both[:1])[0].label == "mlp hidden=8 epochs=9"
    seeds = [dataclasses.replace(adapters[1], settings={"adapter": settings[1], "seed": n}) for n in (0, 7)]
    assert [adapter.name for adapter in named(seeds)] == ["adapter=mlp seed=0", "adapter=mlp seed=7"]


def test_pairs_are_decided_one_by_one():
    keys = (["a", "t"], ["b", "t"], ["a", "t"])
    adapters = [Sized(str(n), example.adapter(keys=pair)) for n, pair in enumerate(keys)]
    assert [[adapter.name for adapter in pair] for pair in by_pair(adapters)] == [["0", "2"], ["1"]]


def test_the_share_to_keep_is_that_of_the_analysis():
    analysis = example.full()[0]
    strict = {**analysis.settings, "thresholds": {**analysis.settings["thresholds"], "retention": 0.85}}
    assert least_kept(dataclasses.replace(analysis, settings=strict)) == 0.85
    assert least_kept(None) == 0.7
