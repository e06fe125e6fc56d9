"""What ``foresight adapt -m`` ends with: all its adapters in one table and one figure, and which one to take."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode

from foresight_cli.errors import ForesightError
from foresight_cli.latents.atomic import write_atomic
from foresight_cli.results import AdapterResults, load_results

if TYPE_CHECKING:
    from rich.table import Table

    from foresight_cli.reporting.adapter_sizes import Sized

log = logging.getLogger(__name__)

REFUSED = "refused.txt"
"""In the folder of a job that could not be done: why. The others go on."""


WIDE, NARROW = 120, 90
"""Columns of a terminal: with fewer, intervals stand below their numbers; with fewer still, one is only in the file."""


class SweepEnd(Callback):  # type: ignore[misc]
    """Hydra calls it; ``conf/adapt.yaml`` names it."""

    def on_job_start(self, config: Any, **kwargs: Any) -> None:
        """A folder that is used again forgets why its job was refused."""
        (Path(config.hydra.runtime.output_dir) / REFUSED).unlink(missing_ok=True)

    def on_job_end(self, config: Any, job_return: JobReturn, **kwargs: Any) -> None:
        """A job of a sweep that broke down shows its traceback and counts as refused.

        Left to Hydra, it would end the sweep before the table: one adapter that does not fit in memory would hide all.
        """
        if config.hydra.mode != RunMode.MULTIRUN or job_return.status != JobStatus.FAILED:
            return
        try:
            job_return.return_value  # noqa: B018  (it raises what the job raised)
        except Exception as error:
            folder = Path(config.hydra.runtime.output_dir)
            log.exception("%s broke down", folder.name)
            write_atomic(folder / REFUSED, f"{type(error).__name__}: {error}".splitlines()[0].encode())
        job_return.status, job_return.return_value = JobStatus.COMPLETED, math.nan

    def on_multirun_end(self, config: Any, **kwargs: Any) -> None:
        """Print the table, and write ``sweep.md`` and ``sweep.png`` beside the jobs' folders.

        Raises:
            SystemExit: some job was refused; with status 1.
        """
        folder = Path(config.hydra.sweep.dir).absolute()
        summarise(folder)
        refused = sorted(folder.glob(f"*/{REFUSED}"))
        for path in refused:
            log.error("left out, %s: %s", path.parent.name, path.read_text(encoding="utf-8"))
        if refused:
            raise SystemExit(1)


def summarise(folder: Path) -> None:
    """Table and figure of the sweep in ``folder``, one for each target; nothing where no job was done."""
    from rich.console import Console

    from foresight_cli.reporting.adapter_sizes import HEADER, advice, sizes_figure, table_rows
    from foresight_cli.reporting.commands import after_adapt
    from foresight_cli.reporting.figures import Drawn
    from foresight_cli.reporting.figures.fonts import no_font

    drawn = Drawn()
    console, lines = Console(), ["# Adapters of one sweep", ""]
    for number, adapters in enumerate(_by_target(folder)):
        name = "sweep" if number == 0 else f"sweep-{number + 1}"
        sources = list(dict.fromkeys(one.results.source for one in adapters))
        title = f"{', '.join(sources)} to {adapters[0].results.target}"
        rows = table_rows(adapters)
        console.print(_table(title, [HEADER, *rows], console.width))
        console.print(advice(adapters), soft_wrap=True, highlight=False)
        picture = drawn.draw(name, partial(sizes_figure, adapters)).get("png")
        if picture is not None:
            write_atomic(folder / f"{name}.png", picture)
            console.print(f"{folder / name}.png", soft_wrap=True, highlight=False)
        bars = ["|" + "---|" * len(HEADER)]
        lines += [f"## {title}", "", _row(HEADER), *bars, *map(_row, rows), ""]
        shown = f"![held-out R² against parameters]({name}.png)" if picture is not None else drawn.failures[-1]
        lines += [advice(adapters), "", shown, ""]
    if drawn.lost:
        log.warning("warning: %s", no_font(drawn.lost))
    if len(lines) > 2:
        write_atomic(folder / "sweep.md", "\n".join(lines).encode())
        *_, (typed, last) = _jobs(folder)
        console.print(f"Next: {after_adapt(last, typed)}", soft_wrap=True, highlight=False)


def _table(title: str, rows: list[tuple[str, ...]], width: int) -> Table:
    """For a terminal ``width`` wide; intervals go below their numbers where they do not fit, and numbers stay whole."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    if width < NARROW:
        rows = [(*row[:4], row[4].partition(" (")[0], *row[5:]) for row in rows]
    if width < WIDE:
        rows = [(row[0], *(re.sub(r" (\(|±|validation|attribute)", r"\n\1", cell) for cell in row[1:])) for row in rows]
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", show_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(rows[0]):
        justify: Literal["left", "right"] = "right" if place == 1 else "left"
        table.add_column(column, justify=justify, overflow="fold", no_wrap=0 < place < 5)
    for row in rows[1:]:
        table.add_row(*row)
    return table


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _by_target(folder: Path) -> list[list[Sized]]:
    """The adapters of each target space, for R2 can only be compared on the same one; named by how they differ."""
    from foresight_cli.reporting.adapter_sizes import Sized

    found = list(_jobs(folder))
    common = set.intersection(*(set(words) for words, _ in found)) if found else set()
    targets: dict[str, list[Sized]] = {}
    for words, results in found:
        own = [word for word in words if word not in common and not word.startswith("adapter=")]
        name = " ".join([f"adapter={results.adapter}", *own])
        targets.setdefault(results.provenance["keys"][1], []).append(Sized(name, results))
    return list(targets.values())


def _jobs(folder: Path) -> Iterator[tuple[list[str], AdapterResults]]:
    """What was typed for each job that is done, and its results, in the order of the jobs."""
    import yaml

    from foresight_cli.suggest.words import words_of

    places = {path.parent for path in folder.glob("*/results.yaml") if not (path.parent / REFUSED).exists()}
    for place in sorted(places, key=lambda path: (len(path.name.partition("_")[0]), path.name)):
        try:
            results: AdapterResults = load_results(place / "results.yaml")
            said = yaml.safe_load((place / ".hydra/overrides.yaml").read_text(encoding="utf-8"))
        except (ForesightError, OSError, yaml.YAMLError) as error:
            log.warning("warning: left out of the table: %s", error)
            continue
        yield words_of("adapt", said), results
