"""Results as one long table with a row for each number, for pandas, R or a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from foresight_cli.results.analysis import Analysis, Pair, Space
from foresight_cli.results.estimates import Estimate

COLUMNS = (
    "analysis",
    "about",
    "source",
    "source_model",
    "source_layer",
    "source_pooling",
    "target",
    "target_model",
    "target_layer",
    "target_pooling",
    "measure",
    "k",
    "value",
    "low",
    "high",
    "chance",
    "p_value",
)
Row = dict[str, str | float | int | None]

_OF_SPACE = (
    "silhouette",
    "knn_accuracy",
    "knn_chance",
    "intra_inter_ratio",
    "mle_dimension",
    "twonn_dimension",
    "effective_rank",
    "participation_ratio",
    "top_feature_share",
)
_OF_PAIR = ("r2_reverse", "cosine", "cosine_reverse", "spearman_cosine", "pearson", "selection_r2")


def results_csv(analyses: Iterable[tuple[str, Analysis]]) -> str:
    """Return every number of ``analyses``, given with their names, as CSV; an empty cell was not measured.

    The column ``about`` has the subject: ``verdict``, ``pair``, ``space``, ``control``, ``attribute`` or
    ``permutation``. Rows about a control or an attribute have its name in ``measure``: ``pixels: r2``.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for name, results in analyses:
        for row in long_rows(results):
            # Nine digits, as in results.yaml: the same number in both files.
            cells = {key: f"{value:.9g}" if isinstance(value, float) else value for key, value in row.items()}
            writer.writerow({"analysis": name, **cells})
    return text.getvalue()


def long_rows(results: Analysis) -> Iterator[Row]:
    """Yield one row for each measured number."""
    chosen = _ends(results, results.chosen_pair)
    for criterion in results.verdict.criteria:
        if criterion.estimate is not None:
            yield {"about": "verdict", **chosen, "measure": criterion.name, **_estimate(criterion.estimate)}
    for pair in results.pairs:
        yield from _of_pair(_ends(results, pair), pair)
    if whole := results.whole:
        yield {"about": "every row", **chosen, "measure": "r2", **_estimate(whole.r2)}
        for measure in ("cka", "cka_biased"):
            yield {"about": "every row", **chosen, "measure": measure, "value": getattr(whole, measure)}
    for space in results.spaces:
        yield from _of_space(space)
    for control in results.controls:
        for measure in ("r2", "cka", "spearman", "recall"):
            value = getattr(control, measure)
            if value is not None:
                yield {"about": "control", **chosen, "measure": f"{control.name}: {measure}", "value": value}
        added = _estimate(control.delta_r2)
        yield {"about": "control", **chosen, "measure": f"{control.name}: r2 that the source adds", **added}
    for attribute in results.chosen.attributes:
        for measure in ("from_source", "from_target", "through_bridge"):
            value = getattr(attribute, measure)
            yield {"about": "attribute", **chosen, "measure": f"{attribute.name}: {measure}", "value": value}
        if attribute.retention is not None:
            kept = _estimate(attribute.retention)
            yield {"about": "attribute", **chosen, "measure": f"{attribute.name}: retention", **kept}


def _of_pair(ends: Row, pair: Pair) -> Iterator[Row]:
    for measure in ("r2", "cka", "cka_biased", "spearman"):
        yield {"about": "pair", **ends, "measure": measure, **_estimate(getattr(pair, measure))}
    for measure in _OF_PAIR:
        value = getattr(pair, measure)
        if value is not None:
            yield {"about": "pair", **ends, "measure": measure, "value": value}
    for hood in pair.neighborhood:
        yield {"about": "pair", **ends, "measure": "recall", "k": hood.k, **_estimate(hood.recall, hood.expected)}
        yield {"about": "pair", **ends, "measure": "jaccard", "k": hood.k, "value": hood.jaccard}
    for test in pair.tests:
        cells = {"value": test.value, "chance": test.null_mean, "p_value": test.p_corrected}
        yield {"about": "permutation", **ends, "measure": test.measure, **cells}
        yield {"about": "permutation", **ends, "measure": f"{test.measure}, calibrated", "value": test.calibrated}


def _of_space(space: Space) -> Iterator[Row]:
    side = "target" if space.side == "target" else "source"
    ends: Row = {
        side: space.called,
        f"{side}_model": space.model,
        f"{side}_layer": space.layer,
        f"{side}_pooling": space.pooling,
    }
    for measure in _OF_SPACE:
        value = getattr(space, measure)
        if value is not None:
            yield {"about": "space", **ends, "measure": measure, "value": value}
    for share, count in zip((90, 95, 99), space.pca_dimensions, strict=False):
        yield {"about": "space", **ends, "measure": f"pca_dimension_{share}", "value": count}


def _ends(results: Analysis, pair: Pair) -> Row:
    ends: Row = {}
    for side, space in (("source", results.spaces[pair.source]), ("target", results.spaces[pair.target])):
        ends |= {
            side: space.called,
            f"{side}_model": space.model,
            f"{side}_layer": space.layer,
            f"{side}_pooling": space.pooling,
        }
    return ends


def _estimate(estimate: Estimate, chance: float | None = None) -> Row:
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "chance": estimate.chance if chance is None else chance,
        "p_value": estimate.p_value,
    }
