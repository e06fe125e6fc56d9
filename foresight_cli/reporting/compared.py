"""Comparison of several analyses: their names, their order, and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from matplotlib.figure import Figure

from foresight_cli.config.text_settings import shell_line
from foresight_cli.config.tree import as_override
from foresight_cli.reporting.figures.labels import shorten
from foresight_cli.reporting.figures.style import (
    CONTROL,
    SOURCE,
    TARGET,
    Rule,
    grid,
    label_top,
    new_figure,
    nice_limits,
    rows_down,
)
from foresight_cli.reporting.wording import threshold
from foresight_cli.results import Analysis, Attribute, Control
from foresight_cli.results.numbers import fixed, with_interval
from foresight_cli.results.runs import SWEEP
from foresight_cli.suggest.words import shown_path, words_of

_ORDER = {"PROCEED": 0, "INCONCLUSIVE": 1, "PIVOT": 2}


@dataclass(frozen=True)
class Compared:
    """One analysis among several.

    Attributes:
        name: the settings that differ from those of the others.
        folder: the folder that it was read from.
    """

    name: str
    folder: Path
    results: Analysis

    @property
    def command(self) -> str:
        """The command that prints and writes its whole report."""
        return shell_line(["foresight", "report", as_override("run", shown_path(str(self.folder)))])

    @property
    def passed(self) -> int:
        """Number of criteria that pass."""
        return sum(criterion.outcome == "PASS" for criterion in self.results.verdict.criteria)

    @property
    def hardest(self) -> Control | None:
        """The control over which the source adds least."""
        return min(self.results.controls, key=lambda c: c.delta_r2.value, default=None)

    @property
    def weakest(self) -> Attribute | None:
        """The attribute that suffers most."""
        judged = [a for a in self.results.chosen.attributes if a.retention is not None]
        return min(judged, key=lambda a: a.retention.value if a.retention else 0.0, default=None)


def compare(analyses: Sequence[tuple[Path, Analysis]]) -> list[Compared]:
    """Name each analysis by its distinct settings, and sort: the best first.

    Sorted by the verdict, then by the number of criteria that pass, then by the lower bound of R2.
    """
    names = _varied([folder for folder, _ in analyses]) or _names([results for _, results in analyses])
    names = [
        name if names.count(name) == 1 else f"{name}, {folder.name}".removeprefix(", ")
        for name, (folder, _) in zip(names, analyses, strict=True)
    ]
    names = [
        name if names.count(name) == 1 else f"{name} ({folder})"
        for name, (folder, _) in zip(names, analyses, strict=True)
    ]
    compared = [Compared(name, folder, results) for name, (folder, results) in zip(names, analyses, strict=True)]
    return sorted(compared, key=lambda c: (_ORDER.get(c.results.verdict.answer, 3), -c.passed, -_lower(c.results)))


def _varied(folders: Sequence[Path]) -> list[str]:
    """Return the overrides in which jobs of one sweep differ; [] if these do not distinguish them."""
    if len({folder.parent for folder in folders}) > 1 or not (folders[0].parent / SWEEP).is_file():
        return []
    try:
        texts = [(folder / ".hydra/overrides.yaml").read_text(encoding="utf-8") for folder in folders]
        typed = [words_of("analyze", yaml.safe_load(text)) for text in texts]
    except (OSError, ValueError, yaml.YAMLError):
        return []
    common = set.intersection(*map(set, typed))
    names = [" ".join(word for word in words if word not in common) for words in typed]
    return names if all(names) and len(set(names)) == len(names) else []


def _names(analyses: Sequence[Analysis]) -> list[str]:
    """Return names from as few facets as distinguish the most analyses."""
    facets = [_facets(results) for results in analyses]
    names = [""] * len(facets)
    for key in facets[0]:
        longer = [", ".join(filter(None, (name, facet[key]))) for name, facet in zip(names, facets, strict=True)]
        if len(set(longer)) > len(set(names)):
            names = longer
    return names


def _facets(results: Analysis) -> dict[str, str]:
    """Return the properties in which analyses may differ, in words."""
    source = [space for space in results.spaces if space.side == "source"]
    target = [space for space in results.spaces if space.side == "target"]
    data = results.data.get("path") or " ".join(str(results.data.get(key) or "") for key in ("name", "variant"))
    return {
        "source": results.source_label,
        "target": f"to {results.target_label}",
        "data": f"on {data}".strip(),
        "source layers": _all_of("layer", [space.layer for space in source]),
        "source poolings": _all_of("pooling", [space.pooling for space in source]),
        "target poolings": "target " + _all_of("pooling", [space.pooling for space in target]),
        "weights": f"{results.weights} weights",
        "rows": f"{results.rows:,} rows",
        "seed": f"seed {results.settings.get('seed')}",
        "permutations": f"{results.settings.get('permutations')} permutations",
    }


def _all_of(noun: str, values: Sequence[str]) -> str:
    named = list(dict.fromkeys(values))
    return f"{noun} {named[0]}" if len(named) == 1 else f"{len(named)} {noun}s"


def _lower(results: Analysis) -> float:
    r2 = results.chosen_pair.r2
    return r2.value if r2.lower is None else r2.lower


def comparison_figure(compared: Sequence[Compared]) -> Figure:
    """Draw R2 of each analysis with its interval and best control, and what the source adds to the hardest control."""
    best = compared[0]
    figure = new_figure(
        f"{shorten(best.name, 60)} is judged best: {best.results.verdict.line}, "
        f"R² {with_interval(best.results.chosen_pair.r2, 2)}",
        1.95 + 0.3 * len(compared),
    )
    left, right = figure.subplots(1, 2, sharey=True)
    values: list[float | None] = []
    added: list[float | None] = []
    for row, analysis in enumerate(compared):
        r2 = analysis.results.chosen_pair.r2
        if r2.low is not None and r2.high is not None:
            left.hlines(row, r2.low, r2.high, color=SOURCE, linewidth=2)
        left.plot(r2.value, row, "o", color=SOURCE, markersize=6, label="source" if row == 0 else None)
        values += [r2.value, r2.low, r2.high]
        if analysis.results.controls:
            control = max(analysis.results.controls, key=lambda c: c.r2)
            left.plot(control.r2, row, "s", color=CONTROL, markersize=5.5)
            values.append(control.r2)
        if analysis.hardest is not None:
            delta = analysis.hardest.delta_r2
            if delta.low is not None and delta.high is not None:
                right.hlines(row, delta.low, delta.high, color=TARGET, linewidth=2)
            right.plot(delta.value, row, "D", color=TARGET, markersize=5.5)
            added += [delta.value, delta.low, delta.high]
    left.plot([], [], "s", color=CONTROL, label="best control")
    left.plot([], [], "D", color=TARGET, label="added to the hardest control")
    rows_down(left, [shorten(analysis.name, 40) for analysis in compared])
    left.set_xlim(*nice_limits([max(-0.5, v) for v in values if v is not None]))
    right.set_xlim(*nice_limits([max(-0.5, v) for v in added if v is not None], include=(0.0, 0.1)))
    for ax, name, label in ((left, "r2", "R², held out"), (right, "delta", "R² that the source adds")):
        least = {threshold(analysis.results, name) for analysis in compared} - {None}
        rules = [Rule(value, f"threshold {fixed(value, 2)}", "#111111") for value in least if value is not None]
        label_top(ax, rules if len(rules) == 1 else [])
        ax.axvline(0.0, color="#888888", linewidth=0.9)
        ax.set_xlabel(label)
        grid(ax, "x")
    figure.legend(loc="outside lower center", ncols=3, handletextpad=0.2)
    return figure
