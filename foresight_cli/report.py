"""``foresight report``: an analysis as a page, figures, ``FINDINGS.md``, ``results.yaml`` and a summary.

The results of any run are read back by `load_results`:

    from foresight_cli.report import load_results
    results = load_results("outputs/analyze/...")
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from foresight_cli.errors import ForesightError
from foresight_cli.reporting.adapter_sizes import named, sizes_figure
from foresight_cli.reporting.figures import Drawn, draw_figures
from foresight_cli.reporting.figures.style import Arrays, encode, style, title_of
from foresight_cli.reporting.findings import render_findings
from foresight_cli.reporting.page import Pictures, as_webp, render_page
from foresight_cli.reporting.summary import print_summary
from foresight_cli.results import AdapterResults, Analysis, load_arrays, load_results
from foresight_cli.runs import RESULTS, analysis_in, newest_adapters, newest_analysis

__all__ = ["load_results", "run", "write_report"]

log = logging.getLogger(__name__)

ARRAYS, PAGE, FINDINGS = "figures.safetensors", "report.html", "FINDINGS.md"
PREVIEWS = "previews.png"


def run(cfg: DictConfig) -> None:
    """The stage's entry point."""
    outputs = Path(cfg.outputs_dir)
    analysis = newest_analysis(outputs) if cfg.run is None else analysis_in(Path(str(cfg.run)))
    folder = Path(HydraConfig.get().runtime.output_dir)
    results: Analysis = load_results(analysis / RESULTS)
    adapters = newest_adapters(outputs, results)
    log.info("report on %s", analysis)
    drawn = write_report(analysis, results, adapters, folder)
    here = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    print_summary(results, [found for _, found in adapters], here / PAGE, len(drawn.names))


def write_report(
    analysis: Path, results: Analysis, trained: Sequence[tuple[Path, AdapterResults]], folder: Path
) -> Drawn:
    """Write ``report.html``, ``FINDINGS.md``, ``results.yaml`` and ``figures/``; says which figures were drawn.

    Args:
        analysis: folder of the analysis.
        results: what it found.
        trained: adapters, each with its folder, where its previews may lie.
        folder: where the report goes.

    Raises:
        ForesightError: the arrays cannot be read, or ``folder`` cannot be written to.
    """
    arrays: dict[str, Any] = {}
    if (analysis / ARRAYS).exists():
        arrays = load_arrays(analysis / ARRAYS)
    else:
        log.warning("warning: %s has no %s, so figures that need it are left out", analysis, ARRAYS)
    adapters = [found for _, found in trained]
    drawn, svg = Drawn(), {}
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        (folder / RESULTS).write_bytes((analysis / RESULTS).read_bytes())
        for name, data in _figures(results, arrays, adapters, drawn):
            (folder / "figures" / name).write_bytes(data)
            if name.endswith(".svg"):
                svg[name.removesuffix(".svg")] = data
        (folder / FINDINGS).write_bytes(render_findings(results, adapters, drawn).encode())
        previews = {found.adapter: at / PREVIEWS for at, found in trained if (at / PREVIEWS).is_file()}
        decoded = {name: as_webp(path) for name, path in previews.items()}
        page = render_page(results, adapters, drawn, Pictures(svg, drawn.titles, decoded))
        (folder / PAGE).write_bytes(page.encode())
    except OSError as error:
        raise ForesightError(
            f"cannot write the report to {folder}: {error.strerror or error}. Pick another place with hydra.run.dir=DIR"
        ) from None
    return drawn


def _figures(
    results: Analysis, arrays: Arrays, adapters: Sequence[AdapterResults], drawn: Drawn
) -> Iterator[tuple[str, bytes]]:
    yield from draw_figures(results, arrays, drawn)
    if len(adapters) > 1:
        with style():
            figure = sizes_figure(named(adapters))
            files = encode(figure)
        drawn.names.append("adapter_sizes")
        drawn.titles["adapter_sizes"] = title_of(figure)
        yield from ((f"adapter_sizes.{kind}", data) for kind, data in files.items())
