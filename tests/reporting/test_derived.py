import dataclasses

import pytest

from foresight_cli.reporting.commands import adapt_command, analyze_command
from foresight_cli.reporting.context import gates
from foresight_cli.reporting.derived import (
    best_outside,
    chosen_among,
    derived,
    layer_order,
    names_within,
    one_pooling,
    ranked,
    spaces_of,
)
from foresight_cli.results import Control, Estimate
from tests.reporting import example


def test_layers_are_ordered_by_depth():
    layers = ["final", "16", "embedding", "4", "24", "8"]
    assert sorted(layers, key=layer_order) == ["4", "8", "16", "24", "embedding", "final"]


def test_derived_values_by_hand():
    results, _ = example.full()
    values = derived(results)
    assert values["mle_ratio"] == pytest.approx(18.31 / 9.93)
    assert values["twonn_ratio"] == pytest.approx(7.42 / 11.71)
    assert values["gap_to_training"] == pytest.approx(0.8 - 0.56)
    assert values["gain_of_last_rows"] == pytest.approx(0.56 - 0.49)
    assert values["hopeful_r2"] == 0.729
    assert values["row_pairs"] == 270 * 269 / 2
    assert values["lift_10"] == pytest.approx(0.268 * 269 / 10)
    assert values["exact_share"] == 78 / 354
    counts = {"pairs": 8, "candidates": 8, "learning_sizes": 4, "labels": 9, "criteria": 8, "skipped": 1}
    counts |= {"source_spaces": 4, "target_spaces": 2}
    assert {name: values[name] for name in counts} == counts


def test_derived_values_that_cannot_be():
    values = derived(example.bare()[0])
    for name in ("mle_ratio", "twonn_ratio", "gap_to_training", "gain_of_last_rows", "hopeful_r2"):
        assert values[name] is None


def test_names_without_what_is_shared():
    results, _ = example.full()
    assert names_within(results, "target") == {4: "channel_mean", 5: "flat"}
    assert names_within(results, "source")[1] == "layer 8, flat"
    flat = dataclasses.replace(results, spaces=[s for s in results.spaces if s.pooling == "flat"])
    assert names_within(flat, "source") == {0: "layer 8", 1: "final"}


def test_one_space_a_layer():
    results, _ = example.full()
    assert [i for i, _ in one_pooling(spaces_of(results, "source"))] == [0, 2]
    assert [i for i, _ in one_pooling(spaces_of(results, "source"), "flat")] == [1, 3]


def test_commands_have_what_differs_from_the_defaults():
    results, _ = example.full()
    assert adapt_command(results) == "foresight adapt weights=tiny layer=8 source.pooling=flat"
    assert analyze_command(results) == "foresight analyze weights=tiny"
    other = dataclasses.replace(results, source="pixels", target="my model", weights="hub")
    assert analyze_command(other) == "foresight analyze source=pixels 'target=my model'"


def test_commands_say_where_the_data_and_the_cache_are():
    results, _ = example.full()
    typed = "foresight analyze max_rows=200 data=shapes data.per_category=20 weights=tiny 'cache_dir=my cache'"
    elsewhere = dataclasses.replace(results, provenance={**results.provenance, "command": typed})
    place = "data=shapes data.per_category=20 weights=tiny 'cache_dir=my cache'"
    assert analyze_command(elsewhere) == f"foresight analyze {place}"
    assert adapt_command(elsewhere) == f"foresight adapt {place} layer=8 source.pooling=flat"


def test_no_r2_is_hoped_for_above_one():
    results, _ = example.full()
    results = dataclasses.replace(results, chosen=dataclasses.replace(results.chosen, r2_limit=1.3))
    assert derived(results)["hopeful_r2"] == 1.0


def test_the_verdicts_pair_is_the_best_of_those_that_can_be_decoded():
    """Pooled targets are predicted better (R2 .54 to .56 against .41 to .44), but are not candidates."""
    results = example.decodable()
    pair = results.chosen_pair
    assert (results.chosen_source.name, results.chosen_target.name) == (
        "qwen25vl final channel_mean",
        "ltxv final flat",
    )
    assert {results.spaces[p.target].pooling for p in chosen_among(results)} == {"flat"}
    assert derived(results)["candidates"] == 4
    outside = best_outside(results)
    assert outside.selection_r2 == max(p.selection_r2 for p in results.pairs) > pair.selection_r2
    order = ranked(results)
    assert order[:2] == [pair, outside]
    rest = [p.selection_r2 for p in order[1:]]
    assert rest == sorted(rest, reverse=True)
    assert sorted(map(id, order)) == sorted(map(id, results.pairs))


def test_nothing_is_outside_a_choice_among_all_pairs():
    results, _ = example.full()
    assert (len(chosen_among(results)), best_outside(results)) == (8, None)
    results = example.decodable()
    worse = [
        dataclasses.replace(p, selection_r2=0.1) if results.spaces[p.target].pooling != "flat" else p
        for p in results.pairs
    ]
    assert best_outside(dataclasses.replace(results, pairs=worse)) is None


def test_the_control_of_a_gate_is_named():
    """All controls together may score below the best of them, and still be the hardest to add to."""
    results, _ = example.full()
    controls = [
        Control("random_network", 0.566, 0.4, 0.4, 0.552, Estimate.of(0.02, 0.01)),
        Control("all_controls", 0.549, 0.3, 0.3, 0.249, Estimate.of(-0.08, 0.01)),
    ]
    shown = {
        gate.criterion.name: (gate.which, gate.control, gate.control_value)
        for gate in gates(dataclasses.replace(results, controls=controls))
        if gate.control
    }
    assert shown == {
        "dependence": ("best", "random_network", 0.4),
        "linear probe": ("best", "random_network", 0.566),
        "beyond controls": ("hardest", "all_controls", 0.549),
    }
