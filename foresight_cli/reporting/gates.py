"""What stands beside a criterion in the table of gates: what chance gives, and what the best control reaches."""

from __future__ import annotations

from dataclasses import dataclass

from foresight_cli.results import Analysis, Criterion


@dataclass(frozen=True)
class Gate:
    """A criterion of the verdict with its yardsticks; None where there is none of that kind.

    Attributes:
        null: what chance gives, in the estimate's units, or for a p value in those of the measure ``of``.
        of: the measure that ``null`` and ``control`` are of, where it is not the estimate's own.
        which: ``best`` or ``hardest``: the control that scores most, or that the source adds least to.
        control: its name.
        control_value: what it reaches.
    """

    criterion: Criterion
    null: float | None = None
    of: str = ""
    which: str = ""
    control: str = ""
    control_value: float | None = None


def gates(results: Analysis) -> list[Gate]:
    """Every criterion, in the verdict's order."""
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
