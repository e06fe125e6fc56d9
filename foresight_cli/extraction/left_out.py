"""Samples that a cache entry lacks because they could not be used: their report, and when they are tried again."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from foresight_cli.config import DataConfig
from foresight_cli.data import Dataset, UndecodableImage
from foresight_cli.data.picture_formats import SUFFIXES, missing_reader
from foresight_cli.data.probing import skips_undecodable
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry
from foresight_cli.latents.storage.atomic import write_atomic
from foresight_cli.latents.storage.lock import locked
from foresight_cli.models import Tap

log = logging.getLogger(__name__)

CURABLE = ("data.max_pixels=", "pip install")
"""Words in the reason of a sample that another setting or a package makes readable."""
UNREAD = re.compile(r"of a kind that is not read \(formats: ([^)]*)\)")
"""Words in the reason if no reader took the file: it is tried again once this machine reads a further format."""
TRIED = "formats_tried"
"""Key of a manifest's provenance: the formats read when the files that no reader took were last tried again."""


def report_left_out(data: DataConfig, entry: Entry) -> None:
    """Log which samples ``entry`` lacks.

    Raises:
        ForesightError: it lacks samples, and ``data.on_error`` is not ``skip``; or no sample is left.
    """
    skipped = entry.manifest()["skipped"]
    if not skipped:
        return
    example = f"for instance {skipped[0][0]!r}: {skipped[0][1]}"
    if not skips_undecodable(data):
        raise ForesightError(
            f"{_samples(skipped)} cannot be used, {example}. To leave such samples out, add data.on_error=skip"
        )
    if len(skipped) == entry.recipe.rows:
        raise ForesightError(f"no sample is left: {_samples(skipped)} cannot be used, {example}")
    log.warning("warning: %s left out, %s. All: %s", _samples(skipped), example, entry.path / "manifest.json")


def _samples(skipped: Sequence[object]) -> str:
    return "1 sample" if len(skipped) == 1 else f"{len(skipped)} samples"


def shards_to_redo(entries: Mapping[Tap, Entry], dataset: Dataset, readable: dict[str, bool]) -> dict[Tap, list[int]]:
    """Return the shards of complete entries that lack a sample which can be decoded now.

    Their reason names a setting or a package, which are not part of a key: after a larger ``data.max_pixels``, or with
    pillow-heif installed, the entry must get the missing sample.

    Args:
        entries: the entries.
        dataset: their samples.
        readable: whether a sample can be decoded, by its id; results of this call are added.
    """
    redo: dict[Tap, list[int]] = {}
    row_of: dict[str, int] = {}
    for tap, entry in entries.items():
        if not entry.complete:
            continue
        manifest = entry.manifest()
        tried = frozenset[str](manifest["provenance"].get(TRIED, ()))
        curable = [sample_id for sample_id, reason in manifest["skipped"] if _curable(reason, tried)]
        if curable and not row_of:
            row_of = {sample.id: row for row, sample in enumerate(dataset.samples)}
        for sample_id in curable:
            if sample_id not in readable:
                readable[sample_id] = _decodes(dataset, row_of[sample_id])
        rows = [row_of[sample_id] for sample_id in curable if readable[sample_id]]
        if rows:
            redo[tap] = sorted({row // entry.recipe.rows_per_shard for row in rows})
    return redo


def _curable(reason: str, tried: frozenset[str] = frozenset()) -> bool:
    return any(words in reason for words in CURABLE) or bool(_further_formats(reason, tried))


def _further_formats(reason: str, tried: frozenset[str]) -> list[str]:
    """Return the formats that this machine reads by now, if no reader took the file then; imports Pillow late."""
    match = UNREAD.search(reason)
    if match is None:
        return []
    lacking = [kind for kind in SUFFIXES if kind not in tried and kind not in match[1].split(", ")]
    return [kind for kind in lacking if missing_reader(kind) is None]


def _decodes(dataset: Dataset, row: int) -> bool:
    try:
        dataset.clip(row)
    except UndecodableImage:
        return False
    return True


def forget_left_out(entries: Mapping[Tap, Entry], dataset: Dataset, readable: dict[str, bool]) -> None:
    """Delete the shards of :func:`shards_to_redo`; only for a caller that holds the entries' locks.

    A shard that another process has computed again meanwhile holds the sample, and is kept.
    """
    redo = shards_to_redo(entries, dataset, readable)
    if redo:
        log.info(
            "samples that were left out can be read now (%d): computing their shards again", sum(readable.values())
        )
    for tap, numbers in redo.items():
        _forget(entries[tap], numbers)


def _forget(entry: Entry, numbers: Sequence[int]) -> None:
    """Delete shards, the manifest first: an entry with a hole is not complete."""
    files = entry.shard_files()
    (entry.path / "manifest.json").unlink(missing_ok=True)
    for number in numbers:
        files[number].unlink(missing_ok=True)


def remember_tried(entries: Iterable[Entry], readable: Mapping[str, bool]) -> None:
    """Note in manifests which formats were tried in vain, so that later calls do not decode the same files again.

    The shards keep the first reason. In a cache that cannot be written to, the files are tried again each time.

    Args:
        entries: complete entries.
        readable: as :func:`shards_to_redo` left it.
    """
    if not readable:
        return
    for entry in entries:
        if _tried_in_vain(entry.manifest(), readable):
            with suppress(ForesightError), locked([entry.path], lambda *_: None):
                manifest = entry.manifest()  # again: another process may have written it
                if further := _tried_in_vain(manifest, readable):
                    provenance = manifest["provenance"]
                    provenance[TRIED] = sorted({*provenance.get(TRIED, ()), *further})
                    text = json.dumps(manifest, indent=1, sort_keys=True)
                    write_atomic(entry.path / "manifest.json", text.encode())


def _tried_in_vain(manifest: Mapping[str, Any], readable: Mapping[str, bool]) -> set[str]:
    """Return the formats that were missing in the reason of a file, and did not help."""
    tried = frozenset[str](manifest["provenance"].get(TRIED, ()))
    failed = (reason for sample_id, reason in manifest["skipped"] if readable.get(sample_id) is False)
    return {kind for reason in failed for kind in _further_formats(reason, tried)}
