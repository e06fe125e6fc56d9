"""Words for numbers: the study's own bands, named so that a reader knows they are bands and not tests."""

from __future__ import annotations

from foresight_cli.results import Analysis, Space

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


def against(value: float, low: float | None, high: float | None, threshold: float | None) -> str:
    """How an estimate stands to a threshold: ``above``, ``below`` or ``not clearly above``."""
    if threshold is None:
        return ""
    if (value if low is None else low) > threshold:
        return "above"
    return "below" if (value if high is None else high) < threshold else "not clearly above"


def threshold(results: Analysis, name: str) -> float | None:
    """A threshold of the analysis by its key in ``conf/analyze.yaml``; None where the settings have none."""
    found = (results.settings.get("thresholds") or {}).get(name)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
