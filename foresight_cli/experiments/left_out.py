"""Warnings on rows that a measure cannot use, and on measures that could not be made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from foresight_cli.experiments.dimension import Dimensions
from foresight_cli.inputs.joined import SampleTable
from foresight_cli.inputs.representation import Representation
from foresight_cli.results import Analysis, CategoryRows, Pair, Space

SHOWN = 5
"""Number of ids that a sentence names."""


def left_out(
    results: Analysis, spaces: Sequence[Representation], rows: SampleTable, attributes: Mapping[str, str]
) -> list[str]:
    """Return a sentence for each measure of ``results`` that some rows, columns or categories are left out of.

    Args:
        results: the measures.
        spaces: on which they were made, sources first.
        rows: the scored rows.
        attributes: those that were not measured, with the reason.
    """
    categories = [] if results.category_rows is None else uncategorised(results.category_rows, rows, results.spaces)
    unmeasured = [f"attribute {name} is not measured: {why}" for name, why in attributes.items()]
    some = [] if results.chosen.companion else partly_measured([a.name for a in results.chosen.attributes], rows)
    return [*categories, *unmeasured, *some, *zero_rows(spaces, rows), *no_cosines(spaces, results.pairs)]


def partly_measured(measured: Sequence[str], rows: SampleTable) -> list[str]:
    """Return a sentence for each attribute that only some rows have."""
    counts = {name: int(rows.attributes[name].isfinite().sum()) for name in measured if name in rows.attributes}
    return [
        f"attribute {name} is measured on the {count} of {len(rows.ids)} rows that have it"
        for name, count in counts.items()
        if count < len(rows.ids)
    ]


def zero_rows(spaces: Sequence[Representation], rows: SampleTable) -> list[str]:
    """Return a sentence for each space that has rows of zeros: they have no direction, and so no cosine."""
    sentences = []
    for space in spaces:
        flat = space.independent.zero_rows.nonzero().flatten().tolist()
        if flat:
            count, without = (f"{len(flat)} rows are", "them") if len(flat) > 1 else ("1 row is", "it")
            ids = named([rows.independent.ids[row] for row in flat])
            sentences.append(
                f"{space.side} {space.name}: {count} all zeros ({ids}): cosine distances are measured without {without}"
            )
    return sentences


def no_cosines(spaces: Sequence[Representation], pairs: Sequence[Pair]) -> list[str]:
    """Return a sentence for each pair with a space of equal distances: they have no correlation."""
    return [
        f"{spaces[pair.source].name} -> {spaces[pair.target].name}: {measure} is not measured: in one of the two, all "
        "distances are the same"
        for pair in pairs
        for measure, value in (
            ("Spearman of cosine distances", pair.spearman_cosine),
            ("Pearson of distances", pair.pearson),
        )
        if value is None
    ]


def no_dimensions(space: Representation, size: Dimensions) -> list[str]:
    """Return a sentence for each dimension of ``space`` that could not be estimated."""
    return [f"{space.name}: dimension by {name} is not measured: {why}" for name, why in size.unmeasured.items()]


def uncategorised(rows: CategoryRows, scored: SampleTable, spaces: Sequence[Space]) -> list[str]:
    """Return a sentence on the rows that categories were scored on, if not all; nothing for data without categories."""
    if rows.unlabelled == len(scored.labels):
        return []
    left = _left_out(rows, scored)
    if rows.reason is not None:
        return [f"categories are not scored: {'; '.join([rows.reason, *left])}"]
    sentences = []
    if left:
        sentences.append(f"categories are scored on {rows.scored} of {len(scored.labels)} rows: {' and '.join(left)}")
    if any(space.knn_accuracy is None for space in spaces):
        sentences.append("5-NN accuracy is not measured: too few groups have a category for five folds of them")
    return sentences


def _left_out(rows: CategoryRows, scored: SampleTable) -> list[str]:
    parts = []
    if rows.unlabelled:
        ids = [i for i, label in zip(scored.ids, scored.labels, strict=True) if label is None]
        parts.append(f"{rows.unlabelled} without a label ({named(ids)})")
    if rows.alone:
        counts = Counter(label for label in scored.labels if label is not None)
        ids = [
            i for i, label in zip(scored.ids, scored.labels, strict=True) if label is not None and counts[label] == 1
        ]
        parts.append(f"{rows.alone} alone in {'its' if rows.alone == 1 else 'their'} category ({named(ids)})")
    return parts


def named(ids: Sequence[str]) -> str:
    """Return the ids as ``s5, s7 and 12 more``."""
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more
