"""The summary at the end of ``foresight report`` on a terminal: the verdict and its reasons, on one screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from foresight_cli.config.text_settings import shell_line
from foresight_cli.reporting.adapter_advice import decide, least_kept, other_pair
from foresight_cli.reporting.adapter_names import named
from foresight_cli.reporting.commands import adapt_command, adapter_command
from foresight_cli.reporting.derived import best_outside, chosen_among
from foresight_cli.reporting.traced import Numbers
from foresight_cli.reporting.wording import kept_share, limiting, outlook, threshold
from foresight_cli.results import AdapterResults, Analysis, Criterion
from foresight_cli.results.numbers import fixed, percent, rough, with_interval

_COLORS = {"PROCEED": "green", "PIVOT": "red", "INCONCLUSIVE": "yellow"}
_OUTCOMES = {"PASS": "green", "FAIL": "bold red", "UNCLEAR": "yellow", "NOT MEASURED": "yellow", "WAIVED": "cyan"}
_SAYS = {
    "PROCEED": "a small adapter can be expected to work",
    "PIVOT": "not bridgeable like this",
    "INCONCLUSIVE": "the data cannot settle it",
}
_STUDY = {"r2": "R²", "spearman": "Spearman", "cka": "biased CKA"}
MOST_WIDTH = 100


def print_summary(
    results: Analysis,
    adapters: Sequence[AdapterResults],
    page: Path,
    figures: int,
    console: Console | None = None,
    elsewhere: Sequence[str] = (),
) -> None:
    """Print the criteria, the scores of the controls, and last, where it stays visible, the verdict and the paths.

    Boxes and colours only on a terminal; never wider than the terminal or 100 columns.
    """
    console = console or Console()
    width = min(console.width, MOST_WIDTH)
    gates, coded = _criteria(results, console, width)
    blocks = [_data(results), _pair(results), gates, _controls(results), _attributes(results), _more_rows(results)]
    blocks += [_adapters(results, adapters), _elsewhere(adapters, elsewhere)]
    blocks += [_verdict(results, console.is_terminal, codes=not coded)]
    console.print()
    for block in blocks:
        if block is not None:
            console.print(block, width=width, crop=False)
            console.print()
    # Paths and commands stay in one piece, to be copied.
    console.print(_line("Report", str(page)), soft_wrap=True)
    console.print(
        _line("", f"beside it {fixed(figures)} figures, FINDINGS.md, and every number in results.yaml", "dim")
    )
    of_verdict = adapters and not other_pair(results, adapters)
    then = shell_line(["python", "-m", "webbrowser", str(page)]) if of_verdict else adapt_command(results)
    if command := _ridge_command(results, adapters):
        console.print(_line("Ridge", command), soft_wrap=True)
    console.print(_line("Next", then), soft_wrap=True)


def _verdict(results: Analysis, boxed: bool, *, codes: bool) -> RenderableType:
    """Return the answer and its reasons; with their ``codes`` if the table of criteria has no room for those."""
    verdict = results.verdict
    code = {c.name: f" [{c.code}]" for c in verdict.criteria if codes and c.code}
    color = _COLORS.get(verdict.answer, "cyan")
    head = Text.assemble(
        (results.source_label, "bold"),
        " -> ",
        (results.target_label, "bold"),
        ": ",
        _SAYS.get(verdict.answer, "see the reasons"),
    )
    lines: list[RenderableType] = [head, Text()]
    for reason in verdict.reasons:
        row = Table.grid(padding=(0, 1))
        name, colon, why = reason.partition(":")
        row.add_row("-", Text.assemble((name + code.get(name, "") + colon, "bold"), why) if colon else Text(reason))
        lines.append(row)
    holds_up = limiting(verdict, results.chosen.companion, fixed, rough)
    if holds_up is not None:
        lines += [Text(), Text.assemble(("Held up by: ", "bold"), holds_up)]
    if verdict.study_values:
        measures = ", ".join(f"{_STUDY.get(name, name)} {fixed(value)}" for name, value in verdict.study_values.items())
        lines += [Text(), Text(f"The Q1 study's rule would say {verdict.study_answer} ({measures}).", "dim")]
    if results.weights == "tiny":
        lines += [
            Text(),
            Text("Tiny weights: this shows the machinery, and says nothing about the real models.", "italic"),
        ]
    body = Group(*lines)
    if not boxed:
        return Group(Text(f"  {verdict.line}"), Text(), Padding(body, (0, 0, 0, 2)))
    title = Text(f" {verdict.line} ", f"bold reverse {color}")
    return Panel(body, title=title, title_align="left", border_style=color, padding=(1, 2), box=box.ROUNDED)


def _pair(results: Analysis) -> RenderableType:
    count = len(results.pairs)
    pair = f"{results.chosen_source.name} -> {results.chosen_target.name}"
    if count == 1:
        return _line("Pair", pair)
    among = len(chosen_among(results))
    choice = f"best of {fixed(count)} by R² ({fixed(results.chosen_pair.selection_r2)}) on rows set aside for choosing"
    if among == 1:
        choice = f"the only one of {fixed(count)} with a flat target, as no pooled latent can be decoded"
    elif among < count:
        choice = f"best of {fixed(among)} of {choice.removeprefix('best of ')}: flat targets only, as no pooled latent "
        choice += "can be decoded"
    lines = [_line("Pair" if among == 1 else "Best pair", pair), _hanging(choice)]
    other = best_outside(results)
    if other is not None:
        names = " -> ".join(results.spaces[i].name for i in (other.source, other.target))
        r2 = other.r2.value if other.selection_r2 is None else other.selection_r2
        lines.append(_hanging(f"not a candidate, but higher: {names} ({fixed(r2)})"))
    return Group(*lines)


def _criteria(results: Analysis, console: Console, width: int) -> tuple[RenderableType, bool]:
    """Return the widest table of criteria that fits into ``width``, and True if it has a column of codes."""
    criteria = results.verdict.criteria
    kinds = [(True, 2), (True, 1), (False, 2), (False, 1)]
    tables = [(_criteria_table(criteria, codes=codes, gap=gap), codes) for codes, gap in kinds]
    unlimited = console.options.update(max_width=10 * MOST_WIDTH)
    fits = (t for t in tables if Measurement.get(console, unlimited, t[0]).maximum <= width)
    table, coded = next(fits, tables[-1])
    note = "Thresholds are policy (thresholds.*); bounds and p values are statistics."
    return Group(table, Text(), Padding(Text(note, "dim"), (0, 0, 0, 2))), coded


def _criteria_table(criteria: Sequence[Criterion], *, codes: bool, gap: int) -> Table:
    numbers = Numbers()
    columns = ("Criterion", "Estimate (95 %)", "Bound", "Threshold", "Outcome", *(("Reason code",) if codes else ()))
    table = plain_table(*columns, gap=gap)
    for criterion in criteria:
        table.add_row(
            _first(criterion.name),
            *(Text(numbers.criterion(criterion, part)) for part in ("estimate", "bound", "threshold")),
            Text(criterion.outcome, _OUTCOMES.get(criterion.outcome, "")),
            *((Text(criterion.code),) if codes else ()),
        )
    return table


def _controls(results: Analysis) -> RenderableType:
    if not results.controls:
        return _line("Controls", "none measured", "yellow")
    table = plain_table("Same target", "R²", "CKA", "Neighbours", "The source adds (R²)", right=(1, 2, 3))
    pair = results.chosen_pair
    recall = percent(pair.neighborhood[0].recall.value) if pair.neighborhood else ""
    table.add_row(_first(results.source_label, "bold"), fixed(pair.r2.value), fixed(pair.cka.value), recall, "")
    for control in results.controls:
        scores = (fixed(control.r2), fixed(control.cka), percent(control.recall), with_interval(control.delta_r2))
        table.add_row(_first(control.name), *scores)
    return table


def _attributes(results: Analysis) -> RenderableType | None:
    if not results.chosen.attributes:
        return None
    table = plain_table("Attribute", "In the target", "Through the bridge", "Share kept (95 %)", right=(1, 2), gap=1)
    for attribute in results.chosen.attributes:
        kept = kept_share(attribute, threshold(results, "ceiling"), fixed, with_interval)
        table.add_row(_first(attribute.name), fixed(attribute.from_target), fixed(attribute.through_bridge), kept)
    notes = []
    if any(attribute.kept_fully for attribute in results.chosen.attributes):
        notes.append("Fully: read better through the bridge than from the target itself.")
    if results.chosen.companion is not None:
        notes.append(f"Measured on the companion data {results.chosen.companion}.")
    if not notes:
        return table
    return Group(table, Text(), *(Padding(Text(note, "dim"), (0, 0, 0, 2)) for note in notes))


def _more_rows(results: Analysis) -> RenderableType | None:
    curve = results.chosen.learning_curve
    if not curve:
        return None
    reached = f"R² {fixed(curve[-1].r2)} with {fixed(curve[-1].rows)} training rows"
    return Group(_line("More rows", reached), _hanging(outlook(results, fixed)))


def _adapters(results: Analysis, adapters: Sequence[AdapterResults]) -> RenderableType | None:
    """Return a table of the adapters of one pair, named by their settings, and the advice which to take."""
    if not adapters:
        return None
    table = plain_table("Adapter", "Parameters", "R², test", "against ridge", "shuffled", right=(1, 4))
    sized = named(adapters)
    for adapter in sized:
        ridge, shuffled = adapter.control("ridge"), adapter.control("shuffled")
        against = f"{ridge.outcome} ({fixed(ridge.r2.value)})" if ridge else "not measured"
        control = fixed(shuffled.r2.value if shuffled else None)
        table.add_row(
            _first(adapter.label), fixed(adapter.own.parameters), with_interval(adapter.own.r2), against, control
        )
    text = decide(sized, least_kept(results)).text
    if pair := other_pair(results, adapters):
        text = f"None was trained for the pair of the verdict; these are of {pair}. {text}"
    return Group(table, Padding(Text(text, "dim"), (0, 0, 0, 2)))


def _elsewhere(adapters: Sequence[AdapterResults], elsewhere: Sequence[str]) -> RenderableType | None:
    """Return a line for each other pair with adapters, or a line that there are none."""
    if not elsewhere:
        return None if adapters else _line("Adapters", "none trained yet", "dim")
    first = "of other pairs: " if adapters else "none for this pair; "
    lines = [_line("" if adapters else "Adapters", first + elsewhere[0], "dim")]
    lines += [_line("", line, "dim") for line in elsewhere[1:]]
    for line in lines:  # folders stay in one piece, to be copied
        line.no_wrap, line.overflow = True, "ignore"
    return Group(*lines)


def _ridge_command(results: Analysis, adapters: Sequence[AdapterResults]) -> str:
    """Return the command that trains ridge if ridge is advised and not trained; ``""`` otherwise."""
    sized = named(adapters)
    untrained = decide(sized, least_kept(results)).untrained if sized else ""
    return adapter_command(results, sized[0].pair, untrained) if untrained else ""


def _samples(count: int) -> str:
    return f"{fixed(count)} sample" if count == 1 else f"{fixed(count)} samples"


def _data(results: Analysis) -> RenderableType:
    d = results.duplicates
    text = f"{fixed(d.rows)} samples, {fixed(d.groups)} independent groups (effective n), "
    text += f"{fixed(results.rows)} rows scored"
    lines = [_line("Data", text)]
    if d.exact or d.near:
        duplicates = f"{d.exact_words} left out, {d.near_words} kept together"
        lines.append(_line("", duplicates, "yellow"))
        lines += [_line("", f"such as {', '.join(same[:4])}", "dim") for same in d.examples[:1]]
    if d.skipped:
        lines.append(_line("", f"{_samples(len(d.skipped))} left out that could not be used", "yellow"))
    for noun, kinds in results.left_alone.items():
        named = ", ".join(f"{fixed(count)} {kind}" for kind, count in list(kinds.items())[:6])
        lines.append(_line("", f"{noun} left alone: {named}{', ...' if len(kinds) > 6 else ''}", "dim"))
    return Group(*lines)


def _line(name: str, text: str, style: str = "") -> Text:
    return Text.assemble((f"  {name:<9}  ", "bold"), (text, style))


def _hanging(text: str) -> RenderableType:
    """Return text that continues the line above, indented to its column over any number of lines."""
    return Padding(Text(text, "dim"), (0, 0, 0, 13))


def _first(name: str, style: str = "") -> Text:
    return Text(f"  {name}", style)


def plain_table(*columns: str, right: Sequence[int] = (), gap: int = 2) -> Table:
    """Return an empty table without a frame; ``right`` are the columns of numbers, ``gap`` is the space after each."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, padding=(0, gap, 0, 0))
    for place, name in enumerate(columns):
        table.add_column(f"  {name}" if place == 0 else name, justify="right" if place in right else "left")
    return table
