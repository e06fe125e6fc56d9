"""Earlier runs under the outputs folder: analyses, and the adapters trained for them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from foresight_cli.config import ReportConfig
from foresight_cli.errors import ForesightError
from foresight_cli.results import AdapterResults, Analysis, load_results

log = logging.getLogger(__name__)

RESULTS, TABLE = "results.yaml", "results.csv"
SWEEP = "multirun.yaml"
"""File that Hydra writes into the folder of a sweep."""
KINDS = {"analyze": "Analysis", "adapt": "AdapterResults"}
"""Kind of the results of each stage."""
MOST_PAIRS = 5
"""At most this many pairs with other adapters are listed; the rest are only counted."""


def asked_for(config: ReportConfig) -> list[Path]:
    """Return the folders of the analyses for ``foresight report``.

    Raises:
        ForesightError: no analysis.
    """
    if config.run is not None:
        return [analysis_in(Path(config.run))]
    if not config.runs:
        return newest_analyses(Path(config.outputs_dir))
    folders = [analysis for folder in config.runs for analysis in analyses_under(Path(folder))]
    return list(dict.fromkeys(folders))


def newest_analysis(outputs: Path) -> Path:
    """Return the folder of the newest analysis under ``outputs``.

    Raises:
        ForesightError: no analysis.
    """
    path = next(_of_kind("Analysis", outputs / "analyze"), None)
    if path is None:
        raise ForesightError(f"no analysis under {outputs}: run foresight analyze first")
    return path.parent


def newest(outputs_dir: str | Path = "outputs", stage: str = "analyze") -> Path:
    """Return the folder of the newest run of a stage, by when its results were written; jobs of sweeps count too.

    Args:
        outputs_dir: folder of the runs.
        stage: ``analyze``; ``adapt``, for a folder that `load_adapter` takes; or ``report``.

    Raises:
        ForesightError: no run of that stage.
        ValueError: another stage.
    """
    outputs = Path(outputs_dir)
    if stage == "report":
        path = next(iter(_newest_first(outputs / stage, TABLE)), None)
    elif stage in KINDS:
        path = next(_of_kind(KINDS[stage], outputs / stage), None)
    else:
        raise ValueError(f"stage={stage!r}: choose one of {', '.join(KINDS)}, report")
    if path is None:
        raise ForesightError(f"no run of {stage} under {outputs}: run foresight {stage} first")
    return path.parent


def newest_analyses(outputs: Path) -> list[Path]:
    """Return the folder of the newest analysis under ``outputs``; for a job of a sweep, all its jobs.

    Raises:
        ForesightError: no analysis.
    """
    newest = newest_analysis(outputs)
    sweep = newest.parent
    return analyses_under(sweep) if (sweep / SWEEP).is_file() else [newest]


def analysis_of(outputs: Path, keys: Sequence[str]) -> Path | None:
    """Return the folder of the newest analysis under ``outputs`` of the latents with these ``keys``, or None."""
    for path in _of_kind("Analysis", outputs / "analyze"):
        try:
            results: Analysis = load_results(path)
        except ForesightError:
            continue
        if {space.key for space in results.spaces}.issuperset(keys):
            return path.parent
    return None


def analyses_under(folder: Path) -> list[Path]:
    """Return the analyses in ``folder`` itself, or anywhere under it, in the order of their names.

    Raises:
        ForesightError: no analysis.
    """
    if (folder / RESULTS).is_file():
        return [analysis_in(folder)]
    folders = sorted((path.parent for path in _of_kind("Analysis", folder)), key=_by_number)
    if not folders:
        raise ForesightError(f"runs: no analysis in {folder}. Give folders that foresight analyze wrote")
    return folders


def _by_number(folder: Path) -> tuple[str, int, str]:
    """Return a sort key that orders the jobs of a sweep by number: 10 comes after 9."""
    name = folder.name
    return (str(folder.parent), int(name) if name.isdecimal() else -1, name)


def analysis_in(folder: Path) -> Path:
    """Check that ``folder`` holds an analysis, and return it.

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


def newest_adapters(outputs: Path, results: Analysis) -> list[tuple[Path, AdapterResults]]:
    """Return the newest results for each adapter and settings, all between the same two spaces; with their folders.

    They are for the chosen pair of ``results``. If no adapter was trained for it, they are for the pair of the newest
    adapter from a source; without one, from a target.
    """
    keys = {space.key for space in results.spaces}
    sources = {space.key for space in results.spaces if space.side == "source"}
    chosen = (results.chosen_source.key, results.chosen_target.key)
    newest: dict[tuple[str, ...], dict[tuple[str, str], tuple[Path, AdapterResults]]] = {}
    for folder, trained in _trained(outputs, warn=True):
        pair = _pair_of(trained)
        if not (pair and keys.issuperset(pair) and trained.scores):
            continue  # of other latents: other data, another checkpoint, other settings
        settings = {key: trained.settings.get(key) for key in ("adapter", "seed", "split")}
        newest.setdefault(pair, {}).setdefault((trained.adapter, repr(settings)), (folder, trained))
    forward = (pair for (key, _), pair in newest.items() if key in sources)
    shown = newest.get(chosen) or next(forward, None) or next(iter(newest.values()), {})
    return [shown[key] for key in sorted(shown)]


def other_adapters(outputs: Path, shown: Sequence[str]) -> list[str]:
    """Return a line for each pair other than that of the keys ``shown``, newest first, on its adapters."""
    pairs: dict[tuple[str, ...], list[tuple[Path, AdapterResults]]] = {}
    for folder, trained in _trained(outputs):
        if (pair := _pair_of(trained)) != tuple(shown):
            pairs.setdefault(pair, []).append((folder, trained))
    lines = []
    for adapters in list(pairs.values())[:MOST_PAIRS]:
        folder, newest = adapters[0]
        places = {path.parent if (path.parent / SWEEP).is_file() else path for path, _ in adapters}
        place = folder.parent if (folder.parent / SWEEP).is_file() else folder
        where = f"{place}" if len(places) == 1 else f"the newest in {place}"
        lines.append(f"{len(adapters)} for {newest.source} -> {newest.target} ({where})")
    if len(pairs) > MOST_PAIRS:
        more = len(pairs) - MOST_PAIRS
        lines.append(f"and of {more} more pair{'s' if more > 1 else ''}, in {outputs / 'adapt'}")
    return lines


def _trained(outputs: Path, *, warn: bool = False) -> Iterator[tuple[Path, AdapterResults]]:
    """Yield every adapter under ``outputs`` with its folder, newest first; warn of those that cannot be read."""
    for path in _of_kind("AdapterResults", outputs / "adapt"):
        try:
            yield path.parent, load_results(path)
        except ForesightError as error:
            if warn:
                log.warning("warning: left out of the report: %s", error)


def _pair_of(adapter: AdapterResults) -> tuple[str, ...]:
    return tuple(adapter.provenance.get("keys") or [])


def _of_kind(kind: str, folder: Path) -> Iterator[Path]:
    """Find every ``results.yaml`` of a kind anywhere under ``folder``, newest first."""
    return (path for path in _newest_first(folder, RESULTS) if _is_kind(kind, path))


def _newest_first(folder: Path, name: str) -> list[Path]:
    """Return the files of that name anywhere under ``folder``, newest first by their time, since names do not order."""
    paths = (path for path in folder.rglob(name) if path.is_file())
    return sorted(paths, key=lambda path: (-path.stat().st_mtime_ns, str(path)))


def _is_kind(kind: str, path: Path) -> bool:
    """Check the kind in the first lines only, so that a folder of many large results is searched quickly."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return f"kind: {kind}" in (line.strip() for line, _ in zip(file, range(5), strict=False))
    except OSError:
        return False
