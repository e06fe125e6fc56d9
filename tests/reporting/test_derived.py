import dataclasses

import pytest

from foresight_cli.reporting.commands import adapt_command, analyze_command
from foresight_cli.reporting.derived import derived, layer_order, names_within, one_pooling, spaces_of
from foresight_cli.reporting.wording import against, clusters_band, limiting, scored_groups, threshold
from foresight_cli.results import Criterion, Estimate, Verdict


def test_layers_are_ordered_by_depth():
    layers = ["final", "16", "embedding", "4", "24", "8"]
    assert sorted(layers, key=layer_order) == ["4", "8", "16", "24", "embedding", "final"]


def test_derived_values_by_hand(example):
    results, _ = example.full()
    found = derived(results)
    assert found["mle_ratio"] == pytest.approx(18.31 / 9.93)
    assert found["twonn_ratio"] == pytest.approx(7.42 / 11.71)
    assert found["gap_to_training"] == pytest.approx(0.8 - 0.56)
    assert found["gain_of_last_rows"] == pytest.approx(0.56 - 0.49)
    assert found["hopeful_r2"] == 0.729
    assert found["row_pairs"] == 270 * 269 / 2
    assert found["lift_10"] == pytest.approx(0.268 * 269 / 10)
    assert found["exact_share"] == 78 / 354
    counts = {
        name: found[name] for name in ("pairs", "labels", "criteria", "skipped", "source_spaces", "target_spaces")
    }
    assert counts == {"pairs": 8, "labels": 9, "criteria": 8, "skipped": 1, "source_spaces": 4, "target_spaces": 2}


def test_derived_values_that_cannot_be(example):
    found = derived(example.bare()[0])
    for name in ("mle_ratio", "twonn_ratio", "gap_to_training", "gain_of_last_rows", "hopeful_r2"):
        assert found[name] is None


def test_names_without_what_is_shared(example):
    results, _ = example.full()
    assert names_within(results, "target") == {4: "channel_mean", 5: "flat"}
    assert names_within(results, "source")[1] == "layer 8, flat"
    one = dataclasses.replace(results, spaces=[s for s in results.spaces if s.pooling == "flat"])
    assert names_within(one, "source") == {0: "layer 8", 1: "final"}


def test_one_space_a_layer(example):
    results, _ = example.full()
    assert [i for i, _ in one_pooling(spaces_of(results, "source"))] == [0, 2]
    assert [i for i, _ in one_pooling(spaces_of(results, "source"), "flat")] == [1, 3]


def test_commands_have_what_differs_from_the_defaults(example):
    results, _ = example.full()
    assert adapt_command(results) == "foresight adapt weights=tiny layer=8 source.pooling=flat"
    assert analyze_command(results) == "foresight analyze weights=tiny"
    other = dataclasses.replace(results, source="pixels", target="my model", weights="hub")
    assert analyze_command(other) == "foresight analyze source=pixels 'target=my model'"


def test_commands_say_where_the_data_and_the_cache_are(example):
    results, _ = example.full()
    typed = "foresight analyze max_rows=200 data=shapes data.per_category=20 weights=tiny 'cache_dir=my cache'"
    there = dataclasses.replace(results, provenance={**results.provenance, "command": typed})
    place = "data=shapes data.per_category=20 weights=tiny 'cache_dir=my cache'"
    assert analyze_command(there) == f"foresight analyze {place}"
    assert adapt_command(there) == f"foresight adapt {place} layer=8 source.pooling=flat"


@pytest.mark.parametrize(
    ("side", "silhouette", "accuracy", "band"),
    [
        ("source", 0.51, 0.81, "strong"),
        ("source", 0.51, 0.8, "moderate"),
        ("source", 0.1, 0.61, "moderate"),
        ("source", 0.3, 0.6, "weak"),
        ("target", 0.41, 0.71, "strong"),
        ("target", 0.2, 0.5, "weak"),
        ("target", None, 0.9, "not measured"),
    ],
)
def test_bands_of_the_study(example, side, silhouette, accuracy, band):
    space = example.full()[0].spaces[0]
    assert clusters_band(dataclasses.replace(space, side=side, silhouette=silhouette, knn_accuracy=accuracy)) == band


def bounded(lower, upper):
    return Estimate(0.6, 0.0, 1.0, lower=lower, upper=upper)


def test_against_a_threshold():
    assert against(bounded(0.55, 0.65), 0.5) == "above"
    assert against(bounded(0.45, 0.75), 0.5) == "not clearly above"
    assert against(bounded(0.35, 0.45), 0.5) == "below"
    assert against(bounded(0.5, 0.7), 0.5) == "not clearly above"
    assert against(Estimate(0.6), 0.5) == "above"
    assert against(Estimate(0.4), 0.5) == "below"
    assert against(Estimate(0.6), None) == ""


def test_no_r2_is_hoped_for_above_one(example):
    results, _ = example.full()
    results = dataclasses.replace(results, chosen=dataclasses.replace(results.chosen, r2_limit=1.3))
    assert derived(results)["hopeful_r2"] == 1.0


def stands(name, outcome, needed, groups=267):
    counted = Criterion("sample size", "", Estimate(groups), 100, "PASS", "", "count")
    criteria = [counted, Criterion(name, "", None, 0.5, outcome, "")]
    return Verdict("INCONCLUSIVE", [], criteria, "", {}, {}, limiting=name, groups_needed=needed)


def few(groups):
    counted = Criterion("sample size", "", Estimate(groups), 100, "NOT MEASURED", "", "count")
    return Verdict("INCONCLUSIVE", [], [counted], "", {}, {}, limiting="sample size", groups_needed=100)


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (stands("linear probe", "UNCLEAR", 1200), "linear probe; about 1,200 groups would settle it (have 267)"),
        (few(52), "sample size; at least 100 groups are wanted (have 52)"),
        (stands("pairing", "UNCLEAR", None), "pairing; how many groups would settle it is not known"),
        (
            stands("beyond controls", "NOT MEASURED", None),
            "beyond controls; it was not measured, and more samples alone will not settle it",
        ),
        (dataclasses.replace(stands("a", "FAIL", None), limiting=None), None),
        (
            dataclasses.replace(stands("a", "UNCLEAR", 300), criteria=[]),
            "a; about 300 groups would settle it",
        ),
    ],
)
def test_what_stands_in_the_way_of_an_answer(verdict, said):
    assert limiting(verdict, lambda count: f"{count:,}") == said


def test_groups_that_the_verdict_is_based_on(example):
    assert scored_groups(example.full()[0].verdict) == 267
    assert scored_groups(example.bare()[0].verdict) is None


def test_thresholds_come_from_the_settings(example):
    assert threshold(example.full()[0], "r2") == 0.5
    assert threshold(example.bare()[0], "r2") is None
