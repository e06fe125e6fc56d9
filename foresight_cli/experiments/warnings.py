"""Warnings that a reader of the results needs to judge them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from foresight_cli.inputs.joined import SampleTable
from foresight_cli.results import Analysis, WholeSet


def warnings_of(results: Analysis, rows: SampleTable, advice: Sequence[str] = ()) -> Analysis:
    """Return ``results`` with their warnings; ``rows`` are the scored rows, ``advice`` comes last."""
    lines: list[str] = []
    duplicates = results.duplicates
    if results.weights == "tiny":
        lines.append("weights=tiny: small checkpoints trained on drawn shapes; this says nothing about the real models")
    if duplicates.exact + duplicates.near > 0.01 * duplicates.rows:
        lines.append(f"{duplicates.exact} exact and {duplicates.near} near-duplicates among {duplicates.rows} samples")
    if duplicates.skipped:
        lines.append(f"{len(duplicates.skipped)} samples could not be used and were left out")
    groups = len(set(rows.groups))
    if groups < 300:
        of = f" of {duplicates.groups}" if groups < duplicates.groups else ""
        lines.append(f"only {groups}{of} independent groups are scored: intervals are wide; 300 or more are advised")
    if groups < duplicates.groups:
        lines.append(
            f"{duplicates.groups - groups} groups were set aside to choose among pairs; to score them all, give "
            "one layer and pooling of each side"
        )
    for space in results.spaces:
        if space.top_feature_share > 0.2:
            lines.append(f"{space.name}: one feature carries {space.top_feature_share:.0%} of the variance")
    return replace(results, warnings=[*lines, *advice])


def outside(results: Analysis, whole: WholeSet) -> list[str]:
    """Return a sentence for each measure on every row that is outside the interval of the drawn rows.

    R2 above the interval is no reason to warn: a probe gains from more training rows.
    """
    pair = results.chosen_pair
    lines = []
    for name, drawn, value, both_ways in (("R2", pair.r2, whole.r2.value, False), ("CKA", pair.cka, whole.cka, True)):
        if drawn.low is None or drawn.high is None:
            continue
        if value < drawn.low or (both_ways and value > drawn.high):
            lines.append(
                f"{name} of every row is {value:.3f}, outside the interval [{drawn.low:.3f}, {drawn.high:.3f}] of the "
                f"{results.rows} that were scored: raise max_rows"
            )
    return lines
