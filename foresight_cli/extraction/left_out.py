"""Samples that a cache entry lacks because they could not be used: their report, and when they are tried again."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from foresight_cli.config import DataConfig
from foresight_cli.data import Dataset, UndecodableImage
from foresight_cli.data.picture_formats import not_read
from foresight_cli.data.probing import skips_undecodable
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry
from foresight_cli.models import Tap

log = logging.getLogger(__name__)

CURABLE = ("data.max_pixels=", "pip install")
"""Words in the reason of a sample that another setting or a package makes readable."""
UNREAD = "of a kind that is not read"
"""Words in the reason if no reader took the file: it is tried again once the list of readers has changed."""


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
        curable = [sample_id for sample_id, reason in entry.manifest()["skipped"] if _curable(reason)]
        if curable and not row_of:
            row_of = {sample.id: row for row, sample in enumerate(dataset.samples)}
        for sample_id in curable:
            if sample_id not in readable:
                readable[sample_id] = _decodes(dataset, row_of[sample_id])
        rows = [row_of[sample_id] for sample_id in curable if readable[sample_id]]
        if rows:
            redo[tap] = sorted({row // entry.recipe.rows_per_shard for row in rows})
    return redo


def _curable(reason: str) -> bool:
    return any(words in reason for words in CURABLE) or (UNREAD in reason and reason != not_read())


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
