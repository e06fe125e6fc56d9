"""``foresight report``: write an analysis as a page, figures, ``FINDINGS.md``, ``results.yaml`` and a summary.

`load_results` reads the results of any run; `newest` finds the folder of the newest run:

    from foresight_cli.report import load_results, newest
    results = load_results(newest())
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from foresight_cli.config.reader import report_config
from foresight_cli.errors import ForesightError, VerdictRefused
from foresight_cli.reporting.adapter_advice import decide, least_kept
from foresight_cli.reporting.adapter_names import named
from foresight_cli.reporting.adapter_sizes import sizes_figure
from foresight_cli.reporting.compared import Compared, compare, comparison_figure
from foresight_cli.reporting.figures import Drawn, draw_figures
from foresight_cli.reporting.figures.fonts import no_font
from foresight_cli.reporting.figures.style import Arrays
from foresight_cli.reporting.findings import render_findings
from foresight_cli.reporting.page import Pictures, as_webp, render_comparison, render_page
from foresight_cli.reporting.summary import print_summary
from foresight_cli.reporting.summary_of_several import print_comparison
from foresight_cli.results import AdapterResults, Analysis, Verdict, json_text, load_arrays, load_results, results_csv
from foresight_cli.results.runs import RESULTS, TABLE, newest, newest_adapters, other_adapters

__all__ = ["load_results", "newest", "run", "write_report"]

log = logging.getLogger(__name__)

ARRAYS, PAGE, FINDINGS = "figures.safetensors", "report.html", "FINDINGS.md"
PREVIEWS = "previews.png"


def run(cfg: DictConfig, asked: Sequence[Path]) -> None:
    """Run the stage; ``asked`` are the folders of the analyses."""
    config = report_config(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    analyses: list[Analysis] = [load_results(analysis / RESULTS) for analysis in asked]
    several = len(asked) > 1
    log.info("report on %s", f"{len(asked)} analyses" if several else asked[0])
    shown_folder = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    if several:
        compared = compare(list(zip(asked, analyses, strict=True)))
        write_comparison(compared, folder)
        best, printed = compared[0].results, json_text([item.results for item in compared])
        if config.format == "text":
            print_comparison(compared, shown_folder / PAGE)
    else:
        best, printed = analyses[0], json_text(analyses[0])
        trained = newest_adapters(Path(config.outputs_dir), best)
        drawn = write_report(asked[0], best, trained, folder)
        if config.format == "text":
            adapters = [adapter for _, adapter in trained]
            chosen = [best.chosen_source.key, best.chosen_target.key]
            shown = adapters[0].provenance["keys"] if adapters else chosen
            elsewhere = other_adapters(Path(config.outputs_dir), shown)
            print_summary(best, adapters, shown_folder / PAGE, len(drawn.names), elsewhere=elsewhere)
    if config.format == "json":
        _print_to_pipe(printed)
    _stop_at(best.verdict, config.fail_on)


def _stop_at(verdict: Verdict, fail_on: str | None) -> None:
    """Raise an error if a pipeline should stop at ``verdict``."""
    refused = {"pivot": ("PIVOT",), "inconclusive": ("PIVOT", "INCONCLUSIVE"), None: ()}[fail_on]
    if verdict.answer in refused:
        raise VerdictRefused(f"{verdict.line}, and fail_on={fail_on} stops here")


def _print_to_pipe(text: str) -> None:
    """Print ``text``; it is no error if the reader stops reading early, as ``head`` does."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # else Python would fail again when it flushes stdout at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_comparison(compared: Sequence[Compared], folder: Path) -> None:
    """Write ``report.html``, ``results.csv`` and the figure of several analyses into ``folder``.

    Raises:
        ForesightError: ``folder`` cannot be written to.
    """
    drawn, svg = Drawn(), dict[str, bytes]()
    with _writing(folder):
        (folder / TABLE).write_bytes(results_csv((item.name, item.results) for item in compared).encode())
        for kind, data in drawn.draw("comparison", partial(comparison_figure, compared)).items():
            (folder / "figures" / f"comparison.{kind}").write_bytes(data)
            svg |= {"comparison": data} if kind == "svg" else {}
        _warn_of_boxes(drawn)
        page = render_comparison(compared, Pictures(svg, drawn.titles), notes=drawn.notes)
        (folder / PAGE).write_bytes(page.encode())


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ForesightError(
            f"cannot write the report to {folder}: {error.strerror or error}. Pick another place with hydra.run.dir=DIR"
        ) from None


def write_report(
    analysis: Path, results: Analysis, trained: Sequence[tuple[Path, AdapterResults]], folder: Path
) -> Drawn:
    """Write ``report.html``, ``FINDINGS.md``, ``results.*`` and ``figures/``; return the figures that were drawn.

    Args:
        analysis: folder of the analysis.
        results: its results.
        trained: adapters, each with its folder, which may hold its previews.
        folder: to write the report to.

    Raises:
        ForesightError: the arrays cannot be read, or ``folder`` cannot be written to.
    """
    arrays: dict[str, Any] = {}
    if (analysis / ARRAYS).exists():
        arrays = load_arrays(analysis / ARRAYS)
    else:
        log.warning("warning: %s has no %s, so figures that need it are left out", analysis, ARRAYS)
    adapters = [adapter for _, adapter in trained]
    drawn, svg = Drawn(), {}
    with _writing(folder):
        (folder / RESULTS).write_bytes((analysis / RESULTS).read_bytes())
        (folder / TABLE).write_bytes(results_csv([(analysis.name, results)]).encode())
        for name, data in _figures(results, arrays, adapters, drawn):
            (folder / "figures" / name).write_bytes(data)
            if name.endswith(".svg"):
                svg[name.removesuffix(".svg")] = data
        _warn_of_boxes(drawn)
        (folder / FINDINGS).write_bytes(render_findings(results, adapters, drawn).encode())
        decoded = _previews(trained)
        page = render_page(results, adapters, drawn, Pictures(svg, drawn.titles, decoded))
        (folder / PAGE).write_bytes(page.encode())
    return drawn


def _warn_of_boxes(drawn: Drawn) -> None:
    if drawn.lost:
        log.warning("warning: %s", no_font(drawn.lost))


def _previews(trained: Sequence[tuple[Path, AdapterResults]]) -> dict[str, bytes]:
    """Return the previews of each adapter's predictions as WebP, by its name; unreadable files are left out."""
    decoded = {}
    names = [adapter.label for adapter in named([results for _, results in trained])]
    for name, (folder, _) in zip(names, trained, strict=True):
        path = folder / PREVIEWS
        if not path.is_file():
            continue
        try:
            decoded[name] = as_webp(path)
        except OSError as error:
            log.warning("warning: %s is left out, since it cannot be read: %s", path, error)
    return decoded


def _figures(
    results: Analysis, arrays: Arrays, adapters: Sequence[AdapterResults], drawn: Drawn
) -> Iterator[tuple[str, bytes]]:
    yield from draw_figures(results, arrays, drawn)
    if len(adapters) > 1:
        sized = named(adapters)
        advice = decide(sized, least_kept(results))
        files = drawn.draw("adapter_sizes", lambda: sizes_figure(sized, advice))
        yield from ((f"adapter_sizes.{kind}", data) for kind, data in files.items())
