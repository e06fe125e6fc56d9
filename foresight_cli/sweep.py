"""What ``foresight adapt -m`` ends with: all its adapters in one table and one figure, and which one to take."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback

from foresight_cli.errors import ForesightError
from foresight_cli.latents.atomic import write_atomic
from foresight_cli.results import AdapterResults, load_results

if TYPE_CHECKING:
    from foresight_cli.reporting.adapter_sizes import Sized

log = logging.getLogger(__name__)

REFUSED = "refused.txt"
"""In the folder of a job that could not be done: why. The others go on."""


class SweepEnd(Callback):  # type: ignore[misc]
    """Hydra calls it; ``conf/adapt.yaml`` names it."""

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
    """Table and figure of the sweep in ``folder``, one for each pair of spaces; nothing where no job was done."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from foresight_cli.reporting.adapter_sizes import HEADER, advice, sizes_figure, table_rows
    from foresight_cli.reporting.figures.style import encode, style

    console, lines = Console(), ["# Adapters of one sweep", ""]
    for number, ((source, target), adapters) in enumerate(_by_pair(folder).items()):
        name = "sweep" if number == 0 else f"sweep-{number + 1}"
        table = Table(box=SIMPLE_HEAD, title=f"{source} to {target}", title_justify="left", show_edge=False)
        for place, column in enumerate(HEADER):
            table.add_column(column, justify="right" if place == 1 else "left", overflow="fold", no_wrap=place < 3)
        rows = table_rows(adapters)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        console.print(advice(adapters), soft_wrap=True, highlight=False)
        with style():
            write_atomic(folder / f"{name}.png", encode(sizes_figure(adapters))["png"])
        console.print(f"{folder / name}.png", soft_wrap=True, highlight=False)
        bars = ["|" + "---|" * len(HEADER)]
        lines += [f"## {source} to {target}", "", _row(HEADER), *bars, *map(_row, rows), ""]
        lines += [advice(adapters), "", f"![held-out R² against parameters]({name}.png)", ""]
    if len(lines) > 2:
        write_atomic(folder / "sweep.md", "\n".join(lines).encode())


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _by_pair(folder: Path) -> dict[tuple[str, str], list[Sized]]:
    from foresight_cli.reporting.adapter_sizes import Sized

    found = list(_jobs(folder))
    common = set.intersection(*(set(words) for words, _ in found)) if found else set()
    pairs: dict[tuple[str, str], list[Sized]] = {}
    for words, results in found:
        own = [word for word in words if word not in common and not word.startswith("adapter=")]
        name = " ".join([f"adapter={results.adapter}", *own])
        pairs.setdefault((results.source, results.target), []).append(Sized(name, results))
    return pairs


def _jobs(folder: Path) -> Iterator[tuple[list[str], AdapterResults]]:
    """What was typed for each job that is done, and its results, in the order of the jobs."""
    import yaml

    from foresight_cli.config_groups import as_typed

    places = {path.parent for path in folder.glob("*/results.yaml")}
    for place in sorted(places, key=lambda path: (len(path.name.partition("_")[0]), path.name)):
        try:
            results: AdapterResults = load_results(place / "results.yaml")
            said = yaml.safe_load((place / ".hydra/overrides.yaml").read_text(encoding="utf-8"))
        except (ForesightError, OSError, yaml.YAMLError) as error:
            log.warning("warning: left out of the table: %s", error)
            continue
        yield as_typed("adapt", said).split()[2:], results
