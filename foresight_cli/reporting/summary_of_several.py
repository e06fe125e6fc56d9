"""The summary at the end of ``foresight report runs=[...]`` on a terminal: the analyses, ranked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from foresight_cli.reporting.compared import Compared
from foresight_cli.reporting.summary import MOST_WIDTH, plain_table
from foresight_cli.results.numbers import fixed, with_interval


def print_comparison(compared: Sequence[Compared], page: Path, console: Console | None = None) -> None:
    """Print the ranked table and the path of the page."""
    console = console or Console()
    table = plain_table("Analysis", "Verdict", "Criteria", "R² (95 %)", "Over the hardest control")
    for analysis in compared:
        verdict, hardest = analysis.results.verdict, analysis.hardest
        table.add_row(
            Text(f"  {analysis.name}"),
            Text(verdict.line),
            f"{fixed(analysis.passed)} of {fixed(len(verdict.criteria))}",
            with_interval(analysis.results.chosen_pair.r2),
            Text(f"{hardest.name}: {with_interval(hardest.delta_r2)}" if hardest else "not measured"),
        )
    console.print()
    console.print(table, width=min(console.width, MOST_WIDTH))
    console.print()
    note = "Ranked by verdict, criteria passed and the lower bound of R²; choosing among them is not corrected for."
    console.print(Padding(Text(note, "dim"), (0, 0, 0, 2)), width=min(console.width, MOST_WIDTH))
    console.print()
    for name, text in (("Report", str(page)), ("Next", compared[0].command)):
        console.print(Text.assemble((f"  {name:<9}  ", "bold"), text), soft_wrap=True)
