"""The context of the templates of ``FINDINGS.md`` and ``report.html``: the results, and values derived from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foresight_cli.reporting.adapter_advice import Advice, decide, least_kept, other_pair
from foresight_cli.reporting.adapter_names import named
from foresight_cli.reporting.commands import adapt_command, adapter_command, analyze_command, report_commands
from foresight_cli.reporting.derived import best_outside, best_pair, derived, one_pooling, ranked, spaces_of
from foresight_cli.reporting.figures import Drawn
from foresight_cli.reporting.figures.clusters import tsne_names
from foresight_cli.reporting.traced import Numbers
from foresight_cli.reporting.wording import (
    against,
    clusters_band,
    control_meanings,
    kept_share,
    outlook,
    threshold,
)
from foresight_cli.results import AdapterResults, Analysis, Criterion, PermutationTest
from foresight_cli.results.numbers import RHO

_STUDY_NAMES = {"r2": "R²", "spearman": f"Spearman {RHO}", "cka": "CKA, biased"}
_MEASURES = {"cka": "CKA, debiased", "spearman": f"Spearman {RHO} of distances"}


def report_context(
    results: Analysis, adapters: Sequence[AdapterResults], drawn: Drawn, kept: Numbers
) -> dict[str, Any]:
    """Return every name that a template may use; ``kept`` formats the numbers within sentences."""
    maps, written = tsne_names(results), kept.filters()
    sized = named(adapters)
    advice = decide(sized, least_kept(results), written["number"], written["interval"]) if sized else Advice("")
    sources, targets = spaces_of(results, "source"), spaces_of(results, "target")
    chosen = next((n for n, i in maps.items() if results.spaces[i].layer == results.chosen_source.layer), "")
    return {
        "a": results,
        "verdict": results.verdict,
        "chosen": results.chosen,
        "pair": results.chosen_pair,
        "source": results.chosen_source,
        "target": results.chosen_target,
        "sources": [space for _, space in sources],
        "targets": [space for _, space in targets],
        "layers": [space for _, space in one_pooling(sources)],
        "derived": derived(results),
        "clearest": _clearest([space for _, space in sources]),
        "category_rows": _category_rows(results, written["number"]),
        "no_categories": (results.category_rows and results.category_rows.reason) or "the data has no categories",
        "clearest_target": _clearest([space for _, space in targets]),
        "best_cka": best_pair(results, "cka"),
        "adapters": adapters,
        "adapter_names": [adapter.label for adapter in sized],
        "adapter_rows": [
            (named_adapter.label if score is adapter.scores[0] else "", adapter, score)
            for named_adapter, adapter in zip(sized, adapters, strict=True)
            for score in adapter.scores
        ],
        "adapters_of": other_pair(results, adapters),
        "advice": advice.text,
        "advice_command": adapter_command(results, sized[0].pair, advice.untrained) if advice.untrained else "",
        "study_names": _STUDY_NAMES,
        "gates": gates(results),
        "measure": lambda test: _measure(test, results),
        "limiting": kept.limiting(results.verdict, results.chosen.companion),
        "decided_by": lambda criterion: kept.decided_by(criterion, results.chosen.companion),
        "outlook": outlook(results, written["number"]),
        "ranked": ranked(results),
        "best_outside": best_outside(results),
        "control_meanings": control_meanings(results.controls),
        "kept_share": lambda attribute: kept_share(
            attribute, threshold(results, "ceiling"), written["number"], written["interval"]
        ),
        "adapt_command": adapt_command(results),
        "analyze_command": analyze_command(results),
        "commands": "\n".join(report_commands(results)),
        "source_map": chosen,
        "source_maps": [name for name in maps if name.startswith("source_") and name != chosen],
        "target_maps": [name for name in maps if name.startswith("target_")],
        "left_out": drawn.left_out,
        "notes": drawn.notes,
        "provenance": {"data": results.data, **results.provenance},
        "clusters_band": clusters_band,
        "against": against,
        "threshold": lambda name: threshold(results, name),
    }


def _measure(test: PermutationTest, results: Analysis) -> str:
    """Return the name of the measure of a permutation test."""
    near = results.chosen_pair.neighborhood
    neighbors = f"Neighbour recall@{near[0].k}" if near else "Neighbour recall"
    return neighbors if test.measure == "recall" else _MEASURES.get(test.measure, test.measure)


def _category_rows(results: Analysis, number: Any) -> str:
    """Describe the rows that the categories are scored on; ``""`` if these are all rows."""
    rows = results.category_rows
    if rows is None or not rows.unlabelled + rows.alone:
        return ""
    left = [
        f"{number(count)} {why}"
        for count, why in ((rows.unlabelled, "without a label"), (rows.alone, "alone in a category"))
        if count
    ]
    return f"Scored on {number(rows.scored)} rows; left out: {' and '.join(left)}"


def _clearest(spaces: Sequence[Any]) -> Any:
    """Return the space with the highest silhouette; None if none was measured."""
    return max((s for s in spaces if s.silhouette is not None), key=lambda s: s.silhouette, default=None)


@dataclass(frozen=True)
class Gate:
    """A criterion of the verdict with its reference values; None for a value that does not exist.

    Attributes:
        null: the value expected by chance, in units of the estimate, or for a p value in those of the measure ``of``.
        of: the measure of ``null`` and ``control``, if it is not that of the estimate.
        which: ``best`` (the control that scores most) or ``hardest`` (the control that the source adds least to).
        control: name of the control.
        control_value: score of the control.
    """

    criterion: Criterion
    null: float | None = None
    of: str = ""
    which: str = ""
    control: str = ""
    control_value: float | None = None


def gates(results: Analysis) -> list[Gate]:
    """Return a gate for every criterion, in the order of the verdict."""
    return [_gate(results, criterion) for criterion in results.verdict.criteria]


def _gate(results: Analysis, criterion: Criterion) -> Gate:
    chance = criterion.estimate.chance if criterion.estimate else None
    controls = results.controls
    if criterion.name == "dependence":
        test = next((t for t in results.chosen_pair.tests if t.measure == "cka"), None)
        best = max((c for c in controls if c.cka is not None), key=lambda c: c.cka or 0.0, default=None)
        if test is None:
            return Gate(criterion)
        if best is None:
            return Gate(criterion, test.null_mean, "CKA")
        return Gate(criterion, test.null_mean, "CKA", "best", best.name, best.cka)
    if criterion.name == "linear probe" and controls:
        strongest = max(controls, key=lambda c: c.r2)
        return Gate(criterion, chance, "", "best", strongest.name, strongest.r2)
    if criterion.name == "beyond controls" and controls:
        decided = criterion.code.removeprefix("control-explains:")
        hardest = min(controls, key=lambda c: (c.name != decided, c.delta_r2.value))
        return Gate(criterion, chance, "R² by itself", "hardest", hardest.name, hardest.r2)
    return Gate(criterion, chance)
