"""Words for numbers: the bands of the study, and phrases that several reports share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from foresight_cli.config.controls import CONTROLS
from foresight_cli.reporting.derived import hopeful_r2
from foresight_cli.results import CURVE_SIZES, Analysis, Attribute, Control, Criterion, Estimate, Space, Verdict

# silhouette and 5-NN accuracy from which the study called clusters strong, then moderate (E-Q1.1 and E-Q1.2)
_BANDS = {"source": ((0.5, 0.8), (0.3, 0.6)), "target": ((0.4, 0.7), (0.2, 0.5))}


_DRAWINGS = "drawings"
# codes of criteria that were not measured, but may be with more samples
_MORE_MAY_DO = ("few-groups", "attributes-unread")


def clusters_band(space: Space) -> str:
    """Return ``strong``, ``moderate``, ``weak`` or ``not measured``, by the study's bands.

    Strong needs both scores; moderate needs one of them.
    """
    if space.silhouette is None or space.knn_accuracy is None:
        return "not measured"
    strong, moderate = _BANDS["target" if space.side == "target" else "source"]
    if space.silhouette > strong[0] and space.knn_accuracy > strong[1]:
        return "strong"
    if space.silhouette > moderate[0] or space.knn_accuracy > moderate[1]:
        return "moderate"
    return "weak"


def organisation(space: Space) -> str:
    """Return a verb phrase for the title of a figure."""
    phrases = {
        "strong": "keeps the categories apart",
        "moderate": "keeps the categories partly apart",
        "weak": "hardly separates the categories",
        "not measured": "has no categories to judge it by",
    }
    return phrases[clusters_band(space)]


def against(estimate: Estimate, threshold: float | None) -> str:
    """Compare one-sided bounds of an estimate with a threshold: ``above``, ``below`` or ``not clearly above``."""
    if threshold is None:
        return ""
    least = estimate.value if estimate.lower is None else estimate.lower
    most = estimate.value if estimate.upper is None else estimate.upper
    return "above" if least > threshold else "below" if most < threshold else "not clearly above"


def threshold(results: Analysis, name: str) -> float | None:
    """Return a threshold of the analysis by its key in ``conf/analyze.yaml``; None if the settings have none."""
    value = (results.settings.get("thresholds") or {}).get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def scored_groups(verdict: Verdict) -> int | None:
    """Return the number of independent groups behind the verdict; None if no criterion counts them."""
    counted = next((c.estimate for c in verdict.criteria if c.kind == "count"), None)
    return None if counted is None else round(counted.value)


def limiting(
    verdict: Verdict, companion: str | None, count: Callable[[int], str], estimated: Callable[[int], str]
) -> str | None:
    """Return the criterion that holds up an answer, and the samples that would decide it; None if answered.

    Args:
        verdict: the verdict with its criteria.
        companion: the drawings that the attributes were measured on; None if it was the data itself.
        count: formats a count.
        estimated: formats an estimated count.
    """
    if verdict.limiting is None:
        return None
    criterion: Criterion | None = next((c for c in verdict.criteria if c.name == verdict.limiting), None)
    groups, nouns = scored_groups(verdict), _counted(verdict.limiting, companion)
    have = "" if groups is None else f"; you have {count(groups)}"
    if nouns == _DRAWINGS:  # the number of samples says nothing about them
        have = f"; you have {companion}"
    missing = criterion is not None and criterion.outcome == "NOT MEASURED"
    needed = verdict.groups_needed
    if missing and criterion is not None:
        text = "It was not measured, and more samples alone will not decide it"
        if needed is not None:
            text = f"At least {count(needed)} independent {nouns} are needed{have}"
        elif criterion.code in _MORE_MAY_DO:
            text = f"It was not measured, and how many {nouns} are needed cannot be estimated{have}"
    elif needed is not None:
        text = f"{_decided_by(needed, nouns, estimated)}{have}"
    else:
        text = f"How many {nouns} would decide it cannot be estimated{have}"
    return f"{verdict.limiting}. {text}."


def decided_by(criterion: Criterion, companion: str | None, estimated: Callable[[int], str]) -> str:
    """Return a sentence with the number of groups that would decide an unclear criterion; ``""`` if there is none.

    Args:
        criterion: of the verdict.
        companion: the drawings that the attributes were measured on; None if it was the data itself.
        estimated: formats an estimated count.
    """
    if criterion.outcome != "UNCLEAR" or criterion.groups_needed is None:
        return ""
    return f"{_decided_by(criterion.groups_needed, _counted(criterion.name, companion), estimated)}."


def _decided_by(groups: int, nouns: str, estimated: Callable[[int], str]) -> str:
    return f"About {estimated(groups)} independent {nouns} would decide it"


def _counted(criterion: str, companion: str | None) -> str:
    """Return what the groups of a criterion are: only the attributes may be measured on other data."""
    return _DRAWINGS if companion is not None and criterion == "attributes survive" else "samples"


def outlook(results: Analysis, number: Callable[[float | None], str]) -> str:
    """Describe how far R2 may rise with more rows, from the learning curve.

    Args:
        results: the analysis, with the learning curve of the chosen pair.
        number: formats a number.
    """
    curve, most = results.chosen.learning_curve, hopeful_r2(results)
    if most is not None:
        return f"with unlimited data R² might reach at most {number(most)}"
    if len(curve) < CURVE_SIZES:
        return "too few samples for a learning curve that shows whether more would raise R²"
    return "R² still rises with more samples and its learning curve has not levelled off: no limit can be estimated"


def kept_share(
    attribute: Attribute,
    ceiling: float | None,
    number: Callable[[float | None], str],
    interval: Callable[[Estimate | None], str],
) -> str:
    """Return the share of an attribute that the bridge keeps, or the reason why it is not judged.

    Args:
        attribute: an attribute that was read through the bridge.
        ceiling: threshold of the lower bound in the target; None if the settings have none.
        number: formats a number.
        interval: formats an estimate.
    """
    if attribute.retention is not None:
        better = attribute.kept_fully and attribute.through_bridge > attribute.from_target
        return interval(attribute.retention) + (", fully" if better else "")
    if attribute.target_lower is None or ceiling is None:
        return "not judged: hardly readable from the target itself"
    return f"not judged: lower bound in the target, {number(attribute.target_lower)}, below {number(ceiling)}"


def control_meanings(controls: Sequence[Control]) -> list[tuple[str, str]]:
    """Return the name of each control in the tables, with an explanation."""
    return [(control.name, CONTROLS[control.name].meaning) for control in controls if control.name in CONTROLS]
