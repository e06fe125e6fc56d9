"""What a reader of the results must know before believing them."""

from __future__ import annotations

from dataclasses import replace

from foresight_cli.results import Analysis


def warnings_of(results: Analysis) -> Analysis:
    """``results`` with their warnings filled in."""
    said = []
    found = results.duplicates
    if results.weights == "tiny":
        said.append("weights=tiny: small checkpoints trained on drawn shapes; this says nothing about the real models")
    if found.exact + found.near > 0.01 * found.rows:
        said.append(f"{found.exact} exact and {found.near} near-duplicates among {found.rows} samples")
    if found.skipped:
        said.append(f"{len(found.skipped)} files could not be decoded and were left out")
    if found.groups < 300:
        said.append(f"only {found.groups} independent groups: intervals are wide; 300 and more are advised")
    for space in results.spaces:
        if space.top_feature_share > 0.2:
            said.append(f"{space.name}: one feature carries {space.top_feature_share:.0%} of the variance")
    return replace(results, warnings=said)
