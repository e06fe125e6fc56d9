"""What earlier runs left under the outputs folder: analyses, and the adapters trained for them."""

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
"""What Hydra leaves in the folder of a sweep."""
KINDS = {"analyze": "Analysis", "adapt": "AdapterResults"}
"""What the results of each stage are."""
MOST_PAIRS = 5
"""Pairs with other adapters that are named; of more, their number."""


def asked_for(config: ReportConfig) -> list[Path]:
    """The folders of the analyses that ``foresight report`` is to be about.

    Raises:
        ForesightError: there is none.
    """
    if config.run is not None:
        return [analysis_in(Path(config.run))]
    if not config.runs:
        return newest_analyses(Path(config.outputs_dir))
    folders = [analysis for folder in config.runs for analysis in analyses_under(Path(folder))]
    return list(dict.fromkeys(folders))


def newest_analysis(outputs: Path) -> Path:
    """The folder of the newest analysis under ``outputs``.

    Raises:
        ForesightError: there is none.
    """
    found = next(_of_kind("Analysis", outputs / "analyze"), None)
    if found is None:
        raise ForesightError(f"no analysis under {outputs}: run foresight analyze first")
    return found.parent


def newest(outputs_dir: str | Path = "outputs", stage: str = "analyze") -> Path:
    """The folder of the newest run of a stage, jobs of sweeps among them, by when its results were written.

    Args:
        outputs_dir: where the runs are.
        stage: ``analyze``; ``adapt``, for a folder that `load_adapter` takes; or ``report``.

    Raises:
        ForesightError: there is none.
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
    """The folder of the newest analysis under ``outputs``; all of its sweep, where it was made in one.

    Raises:
        ForesightError: there is none.
    """
    newest = newest_analysis(outputs)
    sweep = newest.parent
    return analyses_under(sweep) if (sweep / SWEEP).is_file() else [newest]


def analysis_of(outputs: Path, keys: Sequence[str]) -> Path | None:
    """The folder of the newest analysis under ``outputs`` that measured the latents named by ``keys``, if any."""
    for path in _of_kind("Analysis", outputs / "analyze"):
        try:
            results: Analysis = load_results(path)
        except ForesightError:
            continue
        if {space.key for space in results.spaces}.issuperset(keys):
            return path.parent
    return None


def analyses_under(folder: Path) -> list[Path]:
    """The analyses in ``folder`` itself, or anywhere under it, in the order of their names.

    Raises:
        ForesightError: there is none.
    """
    if (folder / RESULTS).is_file():
        return [analysis_in(folder)]
    found = sorted((path.parent for path in _of_kind("Analysis", folder)), key=_by_number)
    if not found:
        raise ForesightError(f"runs: no analysis in {folder}. Give folders that foresight analyze wrote")
    return found


def _by_number(folder: Path) -> tuple[str, int, str]:
    """Jobs of a sweep by number: 10 comes after 9."""
    name = folder.name
    return (str(folder.parent), int(name) if name.isdecimal() else -1, name)


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


def newest_adapters(outputs: Path, results: Analysis) -> list[tuple[Path, AdapterResults]]:
    """The newest results of each adapter and its settings, all between the same two spaces; with their folders.

    They are of the chosen pair of ``results``; where none was trained for that one, of the pair of the newest adapter
    from a source, or from a target if there is no such.
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
    """For each pair other than that of the keys ``shown``, the newest first: how many adapters it has, and where."""
    pairs: dict[tuple[str, ...], list[tuple[Path, AdapterResults]]] = {}
    for folder, trained in _trained(outputs):
        if (pair := _pair_of(trained)) != tuple(shown):
            pairs.setdefault(pair, []).append((folder, trained))
    lines = []
    for found in list(pairs.values())[:MOST_PAIRS]:
        folder, newest = found[0]
        places = {path.parent if (path.parent / SWEEP).is_file() else path for path, _ in found}
        place = folder.parent if (folder.parent / SWEEP).is_file() else folder
        where = f"{place}" if len(places) == 1 else f"the newest in {place}"
        lines.append(f"{len(found)} for {newest.source} -> {newest.target} ({where})")
    if len(pairs) > MOST_PAIRS:
        more = len(pairs) - MOST_PAIRS
        lines.append(f"and of {more} more pair{'s' if more > 1 else ''}, in {outputs / 'adapt'}")
    return lines


def _trained(outputs: Path, *, warn: bool = False) -> Iterator[tuple[Path, AdapterResults]]:
    """Every adapter under ``outputs`` with its folder, the newest first; of those that cannot be read, a warning."""
    for path in _of_kind("AdapterResults", outputs / "adapt"):
        try:
            yield path.parent, load_results(path)
        except ForesightError as error:
            if warn:
                log.warning("warning: left out of the report: %s", error)


def _pair_of(adapter: AdapterResults) -> tuple[str, ...]:
    return tuple(adapter.provenance.get("keys") or [])


def _of_kind(kind: str, folder: Path) -> Iterator[Path]:
    """``results.yaml`` of a kind anywhere under ``folder``, newest first."""
    return (path for path in _newest_first(folder, RESULTS) if _is_kind(kind, path))


def _newest_first(folder: Path, name: str) -> list[Path]:
    """The files of that name anywhere under ``folder``; names of folders tell no order, since sweeps are apart."""
    paths = (path for path in folder.rglob(name) if path.is_file())
    return sorted(paths, key=lambda path: (-path.stat().st_mtime_ns, str(path)))


def _is_kind(kind: str, path: Path) -> bool:
    """The first lines tell, so that a folder of many large results is looked through quickly."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return f"kind: {kind}" in (line.strip() for line, _ in zip(file, range(5), strict=False))
    except OSError:
        return False
