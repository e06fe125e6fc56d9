import csv
import dataclasses
import io

from foresight_cli.results import results_csv
from tests.reporting import example


def rows(results, name="here"):
    return list(csv.DictReader(io.StringIO(results_csv([(name, results)]))))


def test_every_pair_and_measure_has_a_row():
    results, _ = example.full()
    table = rows(results)
    for pair in results.pairs:
        source, target = results.spaces[pair.source], results.spaces[pair.target]
        of_pair = [
            row
            for row in table
            if row["about"] == "pair"
            and (row["source_layer"], row["source_pooling"], row["target_pooling"])
            == (source.layer, source.pooling, target.pooling)
        ]
        r2 = next(row for row in of_pair if row["measure"] == "r2")
        assert float(r2["value"]) == float(f"{pair.r2.value:.9g}")
        assert float(r2["low"]) == float(f"{pair.r2.low:.9g}")
        recall = {int(row["k"]): float(row["value"]) for row in of_pair if row["measure"] == "recall"}
        assert recall == {h.k: float(f"{h.recall.value:.9g}") for h in pair.neighborhood}


def test_controls_attributes_and_criteria_have_rows():
    results, _ = example.full()
    cells = {(row["about"], row["measure"]): row["value"] for row in rows(results)}
    assert float(cells["control", "pixels: r2"]) == 0.482
    assert float(cells["control", "pixels: r2 that the source adds"]) == 0.063
    assert float(cells["attribute", "x: retention"]) == 0.237
    assert ("attribute", "hue: retention") not in cells
    assert float(cells["verdict", "linear probe"]) == 0.56


def test_what_was_not_measured_is_no_row_or_an_empty_cell():
    results, _ = example.bare()
    table = rows(results)
    assert not [row for row in table if row["measure"] in ("silhouette", "mle_dimension", "selection_r2")]
    assert next(row for row in table if row["measure"] == "cka")["low"] == ""


def test_names_with_commas_and_lines_stay_one_cell():
    results = dataclasses.replace(example.bare()[0])
    assert {row["analysis"] for row in rows(results, 'a, "b"\nc')} == {'a, "b"\nc'}
