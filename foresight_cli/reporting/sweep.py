"""The end of ``foresight adapt -m``: one table and one figure of all its adapters, and advice on which to take."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode

from foresight_cli.config.text_settings import shell_line
from foresight_cli.errors import ForesightError
from foresight_cli.latents.storage.atomic import write_atomic
from foresight_cli.results import AdapterResults, load_results

if TYPE_CHECKING:
    from rich.table import Table

    from foresight_cli.reporting.adapter_names import Sized

log = logging.getLogger(__name__)

REFUSED = "refused.txt"
"""File in the folder of a job that failed: its reason. The other jobs continue."""


Job = tuple[list[str], AdapterResults]
"""The words typed after ``foresight adapt``, and the results."""

WIDE, NARROW = 120, 90
"""Columns of a terminal: under ``WIDE``, intervals go below the numbers; under ``NARROW``, one is only in the file."""


class SweepEnd(Callback):  # type: ignore[misc]
    """A callback that Hydra calls; ``conf/adapt.yaml`` names it."""

    def on_job_start(self, config: Any, **kwargs: Any) -> None:
        """Delete the reason of an earlier refusal in a folder that is used again."""
        (Path(config.hydra.runtime.output_dir) / REFUSED).unlink(missing_ok=True)

    def on_job_end(self, config: Any, job_return: JobReturn, **kwargs: Any) -> None:
        """Print the traceback of a job of a sweep that failed, and count it as refused.

        Hydra itself would end the sweep before the table: one adapter that does not fit in memory would hide all.
        """
        if config.hydra.mode != RunMode.MULTIRUN or job_return.status != JobStatus.FAILED:
            return
        try:
            job_return.return_value  # noqa: B018  (it raises what the job raised)
        except Exception as error:
            folder = Path(config.hydra.runtime.output_dir)
            log.exception("%s failed", folder.name)
            write_atomic(folder / REFUSED, f"{type(error).__name__}: {error}".splitlines()[0].encode())
        job_return.status, job_return.return_value = JobStatus.COMPLETED, math.nan

    def on_multirun_end(self, config: Any, **kwargs: Any) -> None:
        """Print the table, and write ``sweep.md`` and ``sweep.png`` next to the jobs' folders.

        Raises:
            SystemExit: a job was refused; the status is 1.
        """
        folder = Path(config.hydra.sweep.dir).absolute()
        summarise(folder)
        refused = sorted(folder.glob(f"*/{REFUSED}"))
        for path in refused:
            log.error("left out, %s: %s", path.parent.name, path.read_text(encoding="utf-8"))
        if refused:
            raise SystemExit(1)


def summarise(folder: Path) -> None:
    """Print and write table, figure and advice for each pair of spaces of a sweep; nothing if no job has finished."""
    from rich.console import Console

    from foresight_cli.reporting.adapter_advice import decide
    from foresight_cli.reporting.adapter_sizes import HEADER, sizes_figure, table_rows
    from foresight_cli.reporting.commands import after_adapt, sweep_command
    from foresight_cli.reporting.figures import Drawn
    from foresight_cli.reporting.figures.fonts import no_font

    jobs = list(_jobs(folder))
    if not jobs:
        return
    drawn = Drawn()
    console, lines = Console(), ["# Adapters of one sweep", ""]
    pairs = _pairs(jobs)
    for number, pair in enumerate(pairs):
        name = "sweep" if number == 0 else f"sweep-{number + 1}"
        rows, advice = table_rows(pair.adapters), decide(pair.adapters, _least_kept(pair))
        console.print(_table(pair.title, [HEADER, *rows], console.width))
        console.print(advice.text, soft_wrap=True, highlight=False)
        bars = ["|" + "---|" * len(HEADER)]
        lines += [f"## {pair.title}", "", _row(HEADER), *bars, *map(_row, rows), "", advice.text, ""]
        if pair.repeated:
            again = f"{pair.repeated} of its jobs had the same settings as another, and have no row."
            console.print(again, soft_wrap=True, highlight=False)
            lines += [again, ""]
        if advice.untrained:
            command = sweep_command(pair.typed, advice.untrained)
            console.print(f"Type: {command}", soft_wrap=True, highlight=False)
            lines += ["```bash", command, "```", ""]
        picture = drawn.draw(name, partial(sizes_figure, pair.adapters, advice)).get("png")
        if picture is not None:
            write_atomic(folder / f"{name}.png", picture)
            console.print(f"{folder / name}.png", soft_wrap=True, highlight=False)
        lines += [f"![held-out R² against parameters]({name}.png)" if picture is not None else drawn.failures[-1], ""]
    for line in _across(pairs):
        console.print(line, soft_wrap=True, highlight=False)
        lines += [line, ""]
    if drawn.lost:
        log.warning("warning: %s", no_font(drawn.lost))
    write_atomic(folder / "sweep.md", "\n".join(lines).encode())
    typed, last = jobs[-1]
    console.print(f"Next: {after_adapt(last, typed)}", soft_wrap=True, highlight=False)


def _table(title: str, rows: list[tuple[str, ...]], width: int) -> Table:
    """Return a table for a terminal ``width`` wide; intervals that do not fit go below their numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    if width < NARROW:
        rows = [(*row[:4], row[4].partition(" (")[0], *row[5:]) for row in rows]
    if width < WIDE:
        rows = [(row[0], *(re.sub(r" (\(|±|validation|attribute)", r"\n\1", cell) for cell in row[1:])) for row in rows]
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", show_edge=False, padding=(0, 1, 0, 0))
    for position, column in enumerate(rows[0]):
        justify: Literal["left", "right"] = "right" if position == 1 else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=0 < position < 5)
    for row in rows[1:]:
        table.add_row(*row)
    return table


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


@dataclass(frozen=True)
class SweptPair:
    """The adapters of a sweep between the same two spaces: R2 can only be compared on the same target.

    Attributes:
        title: the pair, with the words that distinguish it from another of the same name.
        adapters: in the order of the jobs; of jobs with the same settings, the first.
        typed: words typed after ``foresight adapt`` for its first job.
        repeated: number of jobs with the same settings as another.
    """

    title: str
    adapters: list[Sized]
    typed: list[str]
    repeated: int


def _pairs(jobs: Sequence[Job]) -> list[SweptPair]:
    """Return the pairs of the sweep in the order of its jobs."""
    from foresight_cli.reporting.adapter_advice import by_pair
    from foresight_cli.reporting.adapter_names import Sized, named

    typed = {id(results): words for words, results in jobs}
    common = set.intersection(*(set(words) for words, _ in jobs))
    pairs = []
    for swept in by_pair([Sized("", results) for _, results in jobs]):
        words = [typed[id(item.results)] for item in swept]
        own = named([item.results for item in swept])
        shared = set.intersection(*map(set, words))
        adapters: dict[str, Sized] = {}
        for item, job_words in zip(own, words, strict=True):
            more = [word for word in job_words if word not in shared and not _in_name(word)]
            name, row = (" ".join([text, *([shell_line(more)] if more else [])]) for text in (item.name, item.row))
            adapters.setdefault(name, Sized(name, item.results, row))
        first = swept[0].results
        telling = [word for word in words[0] if word in shared - common and not _in_name(word)]
        pairs.append((f"{first.source} to {first.target}", telling, list(adapters.values()), words[0], len(swept)))
    titles = [title for title, *_ in pairs]
    return [
        SweptPair(
            title if titles.count(title) == 1 else f"{title} ({' '.join(telling)})",
            adapters,
            job_words,
            asked - len(adapters),
        )
        for title, telling, adapters, job_words, asked in pairs
    ]


def _in_name(word: str) -> bool:
    """Check whether a word is about the adapter, so that its name contains it already."""
    return re.match(r"[+~]*(adapter[=.]|seed=|split=)", word) is not None


def _least_kept(pair: SweptPair) -> float:
    """Return the share of each attribute that an adapter must keep, as set in the newest analysis of the pair."""
    from foresight_cli.reporting.adapter_advice import least_kept
    from foresight_cli.results.runs import RESULTS, analysis_of

    analysis = analysis_of(Path("outputs"), pair.adapters[0].pair)
    return least_kept(load_results(analysis / RESULTS) if analysis else None)


def _across(pairs: Sequence[SweptPair]) -> list[str]:
    """Return a line for each target with several sources: the best source on the validation rows."""
    from foresight_cli.reporting.adapter_advice import best_of, standard_error
    from foresight_cli.results.numbers import fixed

    def source(item: Sized) -> str:
        return f"{item.results.source} {fixed(item.results.r2_validation.value)}"

    targets: dict[str, list[Sized]] = {}
    for pair in pairs:
        targets.setdefault(pair.adapters[0].pair[-1], []).append(best_of(pair.adapters))
    lines = []
    for sized in targets.values():
        if len(sized) < 2:
            continue
        first, *others = sorted(sized, key=lambda item: -item.results.r2_validation.value)
        best, error = first.results.r2_validation.value, standard_error(first)
        near = sum(item.results.r2_validation.value >= best - error for item in others)
        rest = ", ".join(map(source, others[:4])) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
        tie = f" Within one standard error of it: {near} of the others." if near else ""
        lines.append(
            f"Of {len(sized)} sources for {first.results.target}, {first.results.source} has the best validation R²: "
            f"{fixed(best)} ± {fixed(error)}, by {first.name} ({rest}).{tie}"
        )
    return lines


def _jobs(folder: Path) -> Iterator[Job]:
    """Yield the words typed for each finished job, and its results, in the order of the jobs."""
    import yaml

    from foresight_cli.suggest.words import words_of

    places = {path.parent for path in folder.glob("*/results.yaml") if not (path.parent / REFUSED).exists()}
    for place in sorted(places, key=lambda path: (len(path.name.partition("_")[0]), path.name)):
        try:
            results: AdapterResults = load_results(place / "results.yaml")
            overrides = yaml.safe_load((place / ".hydra/overrides.yaml").read_text(encoding="utf-8"))
        except (ForesightError, OSError, yaml.YAMLError) as error:
            log.warning("warning: left out of the table: %s", error)
            continue
        yield words_of("adapt", overrides), results
