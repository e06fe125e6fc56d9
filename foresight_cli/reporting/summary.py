"""The end of ``foresight report`` on a terminal: the verdict and why, in a screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from foresight_cli.reporting.commands import adapt_command
from foresight_cli.reporting.findings import Numbers
from foresight_cli.reporting.numbers import fixed, percent, with_interval
from foresight_cli.results import AdapterResults, Analysis

_COLORS = {"PROCEED": "green", "PIVOT": "red", "INCONCLUSIVE": "yellow"}
_OUTCOMES = {"PASS": "green", "FAIL": "bold red", "UNCLEAR": "yellow", "NOT MEASURED": "yellow"}
_SAYS = {
    "PROCEED": "a small adapter can be expected to work",
    "PIVOT": "not bridgeable like this",
    "INCONCLUSIVE": "these data do not say",
}
MOST_WIDTH = 100


def print_summary(
    results: Analysis, adapters: Sequence[AdapterResults], findings: Path, figures: int, console: Console | None = None
) -> None:
    """Print the criteria, what controls score, and last, where it stays in sight, the verdict and where the report is.

    Boxes and colours only on a terminal; no wider than the terminal, nor than 100 columns.
    """
    console = console or Console()
    width = min(console.width, MOST_WIDTH)
    blocks = [_data(results), _pair(results), _criteria(results), _controls(results), _attributes(results)]
    blocks += [_adapters(adapters), _verdict(results, console.is_terminal)]
    console.print()
    for block in blocks:
        if block is not None:
            console.print(block, width=width)
            console.print()
    # Paths and commands stay in one piece, to be copied.
    console.print(_line("Report", str(findings)), soft_wrap=True)
    console.print(_line("", f"{fixed(figures)} figures in figures/ beside it; every number is in results.yaml", "dim"))
    if not adapters:
        console.print(_line("Next", adapt_command(results)), soft_wrap=True)


def _verdict(results: Analysis, boxed: bool) -> RenderableType:
    verdict = results.verdict
    color = _COLORS.get(verdict.answer, "cyan")
    head = Text.assemble(
        (results.source, "bold"), " -> ", (results.target, "bold"), ": ", _SAYS.get(verdict.answer, "see the reasons")
    )
    lines: list[RenderableType] = [head, Text()]
    for reason in verdict.reasons:
        row = Table.grid(padding=(0, 1))
        name, colon, why = reason.partition(":")
        row.add_row("-", Text.assemble((name + colon, "bold"), why) if colon else Text(reason))
        lines.append(row)
    if results.weights == "tiny":
        lines += [
            Text(),
            Text("Tiny weights: this shows the machinery, and says nothing about the real models.", "italic"),
        ]
    body = Group(*lines)
    if not boxed:
        return Group(Text(f"  {verdict.answer}"), Text(), Padding(body, (0, 0, 0, 2)))
    title = Text(f" {verdict.answer} ", f"bold reverse {color}")
    return Panel(body, title=title, title_align="left", border_style=color, padding=(1, 2), box=box.ROUNDED)


def _pair(results: Analysis) -> RenderableType:
    count = len(results.pairs)
    pair = f"{results.chosen_source.name} -> {results.chosen_target.name}"
    if count == 1:
        return _line("Pair", pair)
    return Group(_line("Best pair", pair), _line("", f"of {fixed(count)}, chosen on rows set aside for it", "dim"))


def _criteria(results: Analysis) -> RenderableType:
    numbers = Numbers()
    table = _table("Criterion", "Estimate (95 % interval)", "Threshold", "Outcome")
    for found in results.verdict.criteria:
        table.add_row(
            _first(found.name),
            Text(numbers.criterion(found, "estimate")),
            Text(numbers.criterion(found, "threshold")),
            Text(found.outcome, _OUTCOMES.get(found.outcome, "")),
        )
    return table


def _controls(results: Analysis) -> RenderableType:
    if not results.controls:
        return _line("Controls", "none measured", "yellow")
    table = _table("Same target", "R²", "CKA", "Recall", "The source adds (R²)", right=(1, 2, 3))
    pair = results.chosen_pair
    recall = percent(pair.neighborhood[0].recall.value) if pair.neighborhood else ""
    table.add_row(_first(results.source, "bold"), fixed(pair.r2.value), fixed(pair.cka.value), recall, "")
    for control in results.controls:
        scores = (fixed(control.r2), fixed(control.cka), percent(control.recall), with_interval(control.delta_r2))
        table.add_row(_first(control.name), *scores)
    return table


def _attributes(results: Analysis) -> RenderableType | None:
    if not results.chosen.attributes:
        return None
    table = _table("Attribute", "In the target", "Through the bridge", "Kept (95 % interval)", right=(1, 2))
    for found in results.chosen.attributes:
        kept = with_interval(found.retention) if found.retention else "not judged"
        table.add_row(_first(found.name), fixed(found.from_target), fixed(found.through_bridge), kept)
    return table


def _adapters(adapters: Sequence[AdapterResults]) -> RenderableType:
    if not adapters:
        return _line("Adapters", "none trained yet", "dim")
    table = _table("Adapter", "Parameters", "R², test", "ridge", "mean", "shuffled", right=(1, 2, 3, 4, 5))
    for found in adapters:
        scores = {score.name: fixed(score.r2) for score in found.scores}
        first = found.scores[0]
        others = (scores.get(name, "") for name in ("ridge", "mean", "shuffled"))
        table.add_row(_first(found.adapter), fixed(first.parameters), fixed(first.r2), *others)
    return table


def _data(results: Analysis) -> RenderableType:
    d = results.duplicates
    said = f"{fixed(d.rows)} samples, {fixed(d.groups)} independent groups, {fixed(results.rows)} rows scored"
    lines = [_line("Data", said)]
    if d.exact or d.near:
        duplicates = f"{fixed(d.exact)} exact duplicates left out, {fixed(d.near)} near-duplicates kept together"
        lines.append(_line("", duplicates, "yellow"))
    if d.skipped:
        lines.append(_line("", f"{fixed(len(d.skipped))} undecodable files left out", "yellow"))
    return Group(*lines)


def _line(name: str, text: str, style: str = "") -> Text:
    return Text.assemble((f"  {name:<9}  ", "bold"), (text, style))


def _first(name: str, style: str = "") -> Text:
    return Text(f"  {name}", style)


def _table(*columns: str, right: Sequence[int] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(columns):
        table.add_column(f"  {name}" if place == 0 else name, justify="right" if place in right else "left")
    return table
