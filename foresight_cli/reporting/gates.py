"""The table of gates: each criterion with the value expected by chance and that of the best control."""

from __future__ import annotations

from dataclasses import dataclass

from foresight_cli.results import Analysis, Criterion


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
