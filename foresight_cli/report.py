"""``foresight report``: an analysis as figures, ``FINDINGS.md``, ``results.yaml`` and a summary on the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from foresight_cli.errors import ForesightError
from foresight_cli.reporting.adapter_sizes import named, sizes_figure
from foresight_cli.reporting.figures import Drawn, draw_figures
from foresight_cli.reporting.figures.style import encode, style
from foresight_cli.reporting.findings import render_findings
from foresight_cli.reporting.summary import print_summary
from foresight_cli.results import AdapterResults, Analysis, load_arrays, load_results

log = logging.getLogger(__name__)

RESULTS, ARRAYS = "results.yaml", "figures.safetensors"


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
    print_summary(results, adapters, here / "FINDINGS.md", len(drawn.names))


def write_report(analysis: Path, results: Analysis, adapters: list[AdapterResults], folder: Path) -> Drawn:
    """Write ``results.yaml``, ``figures/`` and ``FINDINGS.md`` into ``folder``; says which figures were drawn.

    Raises:
        ForesightError: the arrays cannot be read, or ``folder`` cannot be written to.
    """
    arrays: dict[str, Any] = {}
    if (analysis / ARRAYS).exists():
        arrays = load_arrays(analysis / ARRAYS)
    else:
        log.warning("warning: %s has no %s, so figures that need it are left out", analysis, ARRAYS)
    drawn = Drawn()
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        (folder / RESULTS).write_bytes((analysis / RESULTS).read_bytes())
        for name, data in draw_figures(results, arrays, drawn):
            (folder / "figures" / name).write_bytes(data)
        if len(adapters) > 1:
            with style():
                for kind, data in encode(sizes_figure(named(adapters))).items():
                    (folder / "figures" / f"adapter_sizes.{kind}").write_bytes(data)
            drawn.names.append("adapter_sizes")
        (folder / "FINDINGS.md").write_bytes(render_findings(results, adapters, drawn).encode())
    except OSError as error:
        raise ForesightError(
            f"cannot write the report to {folder}: {error.strerror or error}. Pick another place with hydra.run.dir=DIR"
        ) from None
    return drawn


def newest_analysis(outputs: Path) -> Path:
    """The folder of the newest analysis under ``outputs``.

    Raises:
        ForesightError: there is none.
    """
    found = next(_of_kind("Analysis", outputs / "analyze"), None)
    if found is None:
        raise ForesightError(f"no analysis under {outputs}: run foresight analyze first")
    return found.parent


def analysis_in(folder: Path) -> Path:
    """``folder``, once it is known to hold an analysis.

    Raises:
        ForesightError: it does not.
    """
    path = folder / RESULTS
    if not path.is_file():
        raise ForesightError(
            f"run={folder}: no {RESULTS} there. Give the folder of an analysis, or leave run= out for the newest"
        )
    if not _is_kind("Analysis", path):
        raise ForesightError(
            f"run={folder}: its {RESULTS} is not of an analysis. "
            "Give the folder that foresight analyze wrote, or leave run= out for the newest"
        )
    return folder


def newest_adapters(outputs: Path, results: Analysis) -> list[AdapterResults]:
    """The newest results of each adapter and its settings, all between the same two spaces of ``results``.

    These are the chosen pair, or the pair of the newest adapter where none was trained for that one.
    """
    keys = {space.key for space in results.spaces}
    chosen = (results.chosen_source.key, results.chosen_target.key)
    newest: dict[tuple[str, ...], dict[tuple[str, str], AdapterResults]] = {}
    for path in _of_kind("AdapterResults", outputs / "adapt"):
        try:
            found: AdapterResults = load_results(path)
        except ForesightError as error:
            log.warning("warning: left out of the report: %s", error)
            continue
        trained_on = tuple(found.provenance.get("keys") or [])
        if not (trained_on and keys.issuperset(trained_on) and found.scores):
            continue  # of other latents: other data, another checkpoint, other settings
        settings = {key: found.settings.get(key) for key in ("adapter", "seed", "split")}
        newest.setdefault(trained_on, {}).setdefault((found.adapter, repr(settings)), found)
    pair = newest.get(chosen) or next(iter(newest.values()), {})
    return [pair[key] for key in sorted(pair)]


def _of_kind(kind: str, folder: Path) -> Iterator[Path]:
    """``results.yaml`` of a kind anywhere under ``folder``, newest first."""
    paths = (path for path in folder.rglob(RESULTS) if path.is_file())
    newest_first = sorted(paths, key=lambda path: (-path.stat().st_mtime_ns, str(path)))
    return (path for path in newest_first if _is_kind(kind, path))


def _is_kind(kind: str, path: Path) -> bool:
    """The first lines tell, so that a folder of many large results is looked through quickly."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return f"kind: {kind}" in (line.strip() for line, _ in zip(file, range(5), strict=False))
    except OSError:
        return False
