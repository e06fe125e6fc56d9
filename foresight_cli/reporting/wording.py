"""Words for numbers: the study's own bands, named so that a reader knows they are bands and not tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from foresight_cli.reporting.derived import hopeful_r2
from foresight_cli.results import CURVE_SIZES, Analysis, Attribute, Control, Criterion, Estimate, Space, Verdict

# silhouette and 5-NN accuracy from which the study called clusters strong, then moderate (E-Q1.1 and E-Q1.2)
_BANDS = {"source": ((0.5, 0.8), (0.3, 0.6)), "target": ((0.4, 0.7), (0.2, 0.5))}


def clusters_band(space: Space) -> str:
    """``strong``, ``moderate``, ``weak`` or ``not measured``, by the study's bands.

    Strong wants both scores; moderate either of them.
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
    """A verb phrase for the title of a figure."""
    phrases = {
        "strong": "keeps the categories apart",
        "moderate": "keeps the categories partly apart",
        "weak": "hardly separates the categories",
        "not measured": "has no categories to judge it by",
    }
    return phrases[clusters_band(space)]


def against(estimate: Estimate, threshold: float | None) -> str:
    """How an estimate stands to a threshold, on its one-sided bounds: ``above``, ``below`` or ``not clearly above``."""
    if threshold is None:
        return ""
    least = estimate.value if estimate.lower is None else estimate.lower
    most = estimate.value if estimate.upper is None else estimate.upper
    return "above" if least > threshold else "below" if most < threshold else "not clearly above"


def threshold(results: Analysis, name: str) -> float | None:
    """A threshold of the analysis by its key in ``conf/analyze.yaml``; None where the settings have none."""
    found = (results.settings.get("thresholds") or {}).get(name)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def scored_groups(verdict: Verdict) -> int | None:
    """Independent groups that the verdict is based on; None where it has no criterion that counts them."""
    counted = next((c.estimate for c in verdict.criteria if c.kind == "count"), None)
    return None if counted is None else round(counted.value)


def limiting(verdict: Verdict, count: Callable[[int], str], estimated: Callable[[int], str]) -> str | None:
    """What holds up an answer, and how many samples would decide it, in sentences; None where there is an answer.

    Args:
        verdict: with its criteria.
        count: writes a count.
        estimated: writes a count that was estimated.
    """
    if verdict.limiting is None:
        return None
    found: Criterion | None = next((c for c in verdict.criteria if c.name == verdict.limiting), None)
    groups = scored_groups(verdict)
    you = "" if groups is None else f"; you have {count(groups)}"
    missing = found is not None and found.outcome == "NOT MEASURED"
    if verdict.groups_needed is not None and missing:
        return f"{verdict.limiting}. At least {count(verdict.groups_needed)} independent samples are needed{you}."
    if verdict.groups_needed is not None:
        return f"{verdict.limiting}. {decided_by(verdict.groups_needed, estimated)[:-1]}{you}."
    if missing:
        return f"{verdict.limiting}. It was not measured, and more samples alone will not decide it."
    return f"{verdict.limiting}. How many samples would decide it cannot be estimated{you}."


def decided_by(groups: int, estimated: Callable[[int], str]) -> str:
    """How many groups would decide a criterion, as a sentence."""
    return f"About {estimated(groups)} independent samples would decide it."


def outlook(results: Analysis, number: Callable[[float | None], str]) -> str:
    """How far R2 may rise with more rows, as the learning curve has it.

    Args:
        results: with the learning curve of the chosen pair.
        number: writes a number.
    """
    curve, most = results.chosen.learning_curve, hopeful_r2(results)
    if most is not None:
        return f"with unlimited data R² might reach at most {number(most)}"
    if len(curve) < CURVE_SIZES:
        return "too few samples for a learning curve that shows whether more would raise R²"
    return "R² is still rising with more samples, and its learning curve does not bend yet: no limit can be estimated"


def kept_share(
    attribute: Attribute,
    ceiling: float | None,
    number: Callable[[float | None], str],
    interval: Callable[[Estimate | None], str],
) -> str:
    """What the bridge keeps of an attribute, or the bound for which it is not judged.

    Args:
        attribute: that was read through the bridge.
        ceiling: the threshold of that bound; None where the settings have none.
        number: writes a number.
        interval: writes an estimate.
    """
    if attribute.retention is not None:
        better = attribute.kept_fully and attribute.through_bridge > attribute.from_target
        return interval(attribute.retention) + (", fully" if better else "")
    if attribute.target_lower is None or ceiling is None:
        return "not judged: hardly readable from the target itself"
    return f"not judged: lower bound in the target, {number(attribute.target_lower)}, below {number(ceiling)}"


_CONTROLS = {
    "pixels": "thumbnails",
    "histogram": "colour histograms",
    "mean_rgb": "mean colours",
    "random_network": "a small convolutional network with random weights",
    "random_init": "the source's own network, untrained",
    "label": "the categories alone",
    "all_controls": "all of them fitted as one, which may score below the best of them",
}


def control_meanings(controls: Sequence[Control]) -> list[tuple[str, str]]:
    """Each control by its name in the tables, and what it is."""
    return [(control.name, _CONTROLS[control.name]) for control in controls if control.name in _CONTROLS]
