"""What a reader of the results must know before believing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from foresight_cli.experiments.scored import Scored
from foresight_cli.results import Analysis, WholeSet


def warnings_of(results: Analysis, rows: Scored, advice: Sequence[str] = ()) -> Analysis:
    """``results`` with their warnings filled in; ``rows`` are those that were scored, ``advice`` comes last."""
    said: list[str] = []
    found = results.duplicates
    if results.weights == "tiny":
        said.append("weights=tiny: small checkpoints trained on drawn shapes; this says nothing about the real models")
    if found.exact + found.near > 0.01 * found.rows:
        said.append(f"{found.exact} exact and {found.near} near-duplicates among {found.rows} samples")
    if found.skipped:
        said.append(f"{len(found.skipped)} samples could not be used and were left out")
    groups = len(set(rows.groups))
    if groups < 300:
        of = f" of {found.groups}" if groups < found.groups else ""
        said.append(f"only {groups}{of} independent groups are scored: intervals are wide; 300 and more are advised")
    if groups < found.groups:
        said.append(
            f"{found.groups - groups} groups were set aside to choose among pairs; name one layer and pooling of each "
            "side to score them all"
        )
    for space in results.spaces:
        if space.top_feature_share > 0.2:
            said.append(f"{space.name}: one feature carries {space.top_feature_share:.0%} of the variance")
    return replace(results, warnings=[*said, *advice])


def outside(results: Analysis, whole: WholeSet) -> list[str]:
    """What to say where a number of every row lies outside the interval that the drawn rows gave it.

    R2 above it is what a probe gains from more rows to learn from, and nothing to warn of.
    """
    pair = results.chosen_pair
    said = []
    for name, drawn, value, both_ways in (("R2", pair.r2, whole.r2.value, False), ("CKA", pair.cka, whole.cka, True)):
        if drawn.low is None or drawn.high is None:
            continue
        if value < drawn.low or (both_ways and value > drawn.high):
            said.append(
                f"{name} of every row is {value:.3f}, outside the interval [{drawn.low:.3f}, {drawn.high:.3f}] of the "
                f"{results.rows} that were scored: raise max_rows"
            )
    return said
