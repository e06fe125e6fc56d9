"""Words for numbers: the study's own bands, named so that a reader knows they are bands and not tests."""

from __future__ import annotations

from collections.abc import Callable

from foresight_cli.results import Analysis, Criterion, Estimate, Space, Verdict

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


def limiting(verdict: Verdict, say: Callable[[int], str]) -> str | None:
    """What stands in the way of an answer, and how many samples would settle it; None where there is an answer.

    Args:
        verdict: with its criteria.
        say: writes a count.
    """
    if verdict.limiting is None:
        return None
    found: Criterion | None = next((c for c in verdict.criteria if c.name == verdict.limiting), None)
    have = scored_groups(verdict)
    missing = found is not None and found.outcome == "NOT MEASURED"
    if verdict.groups_needed is not None:
        of = "" if have is None else f" (have {say(have)})"
        needed = say(verdict.groups_needed)
        asks = f"at least {needed} groups are wanted" if missing else f"about {needed} groups would settle it"
        return f"{verdict.limiting}; {asks}{of}"
    if missing:
        return f"{verdict.limiting}; it was not measured, and more samples alone will not settle it"
    return f"{verdict.limiting}; how many groups would settle it is not known"
