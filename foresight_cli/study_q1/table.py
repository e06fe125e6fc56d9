"""The Q1 study's table: on the terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from foresight_cli.latents.storage.atomic import write_atomic
from foresight_cli.reporting.markdown import escape
from foresight_cli.reporting.summary import plain_table
from foresight_cli.results import Analysis
from foresight_cli.results.numbers import fixed
from foresight_cli.study_q1.numbers import StudyRow

HEADER = ("Section", "Measure", "Published", "Its estimator, here", "foresight, here", "Why the two differ")
_TINY = (
    "Tiny weights: the last two columns are of small checkpoints trained on drawn shapes. They show that the two sets "
    "of estimators differ, and say nothing about the real models."
)
_HUB = "Its estimators are run on these latents; the posterior is sampled with a seed, which the study did not set."


def write_study_table(
    rows: Sequence[StudyRow], results: Analysis, folder: Path, console: Console | None = None
) -> None:
    """Print the table, and write it as ``study_q1.md`` and ``study_q1.csv`` into ``folder``."""
    note = _TINY if results.weights == "tiny" else _HUB
    verdicts = f"The study's rule on these latents: {results.verdict.study_answer}. foresight: {results.verdict.line}."
    lines = ["# The Q1 study, beside foresight", "", note, "", " | ".join(("", *HEADER, "")).strip()]
    lines.append("|" + "---|" * len(HEADER))
    lines += ["| " + " | ".join(escape(cell) for cell in _cells(row)) + " |" for row in rows]
    lines += ["", escape(verdicts), ""]
    write_atomic(folder / "study_q1.md", "\n".join(lines).encode())
    write_atomic(folder / "study_q1.csv", _csv(rows).encode())
    console = console or Console()
    table = plain_table(*HEADER[:5], right=(2, 3, 4))
    for row in rows:
        section, *cells = _cells(row)[:5]
        table.add_row(f"  {section}", *map(Text, cells))
    console.print()
    console.print(table)
    console.print()
    for text in (verdicts, note, f"Why each number differs: {folder / 'study_q1.md'}"):
        console.print(Padding(Text(text, "dim"), (0, 0, 0, 2)))


def _cells(row: StudyRow) -> tuple[str, ...]:
    numbers = (fixed(row.published), fixed(row.recomputed), fixed(row.foresight))
    return (row.section, row.measure, *numbers, row.differs)


def _csv(rows: Sequence[StudyRow]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("section", "measure", "published", "recomputed", "foresight", "differs"))
    for row in rows:
        cells = ("" if value is None else f"{value:.9g}" for value in (row.published, row.recomputed, row.foresight))
        writer.writerow((row.section, row.measure, *cells, row.differs))
    return text.getvalue()
