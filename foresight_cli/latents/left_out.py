"""Samples that one side of a bridge lacks because its model cannot take them: both sides then leave them out."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from foresight_cli.errors import ForesightError
from foresight_cli.latents.store import Entry

if TYPE_CHECKING:
    from foresight_cli.latents.reading.loading import Latents

log = logging.getLogger(__name__)


def left_out(source: Sequence[Entry], target: Sequence[Entry]) -> dict[str, str]:
    """Return the samples that at least one entry left out: the reason by sample id."""
    return {**_of(target), **_of(source)}


def say_left_out(source: Sequence[Entry], target: Sequence[Entry]) -> None:
    """Log how many samples each side left out, if the two sides differ."""
    sides = _of(source), _of(target)
    if sides[0].keys() != sides[1].keys():
        names = [side[0].recipe.model["name"] for side in (source, target)]
        counts = " and ".join(f"{len(lacking)} of {name}" for name, lacking in zip(names, sides, strict=True))
        log.info("samples left out: %s; both sides leave these %d out", counts, len({**sides[0], **sides[1]}))


def _of(side: Sequence[Entry]) -> dict[str, str]:
    return {str(name): str(reason) for entry in side for name, reason in entry.manifest()["skipped"]}


def without(latents: Latents, ids: Collection[str]) -> Latents:
    """Return the rows whose samples are not in ``ids``.

    Raises:
        ForesightError: no row is left.
    """
    rows = [row for row, sample_id in enumerate(latents.ids) if sample_id not in ids]
    if len(rows) == len(latents.ids):
        return latents
    if not rows:
        raise ForesightError("no sample is left: each one was left out of the source or of the target")
    return latents.take(rows)
