"""Samples that one side of a bridge lacks since its model does not take them: both sides go on without those."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from foresight_cli.errors import ForesightError
from foresight_cli.latents.store import Entry

if TYPE_CHECKING:
    from foresight_cli.latents.loading import Latents

log = logging.getLogger(__name__)


def left_out(source: Sequence[Entry], target: Sequence[Entry]) -> dict[str, str]:
    """The samples that at least one entry left out, by id with the reason."""
    return {**_of(target), **_of(source)}


def say_left_out(source: Sequence[Entry], target: Sequence[Entry]) -> None:
    """Say how many samples each side left out, where these are not the same."""
    sides = _of(source), _of(target)
    if sides[0].keys() != sides[1].keys():
        names = [side[0].recipe.model["name"] for side in (source, target)]
        counts = " and ".join(f"{len(lacking)} of {name}" for name, lacking in zip(names, sides, strict=True))
        log.info("samples left out: %s; both sides go on without these %d", counts, len({**sides[0], **sides[1]}))


def _of(side: Sequence[Entry]) -> dict[str, str]:
    return {str(name): str(reason) for entry in side for name, reason in entry.manifest()["skipped"]}


def without(latents: Latents, ids: Collection[str]) -> Latents:
    """The rows of other samples than ``ids``.

    Raises:
        ForesightError: there are none.
    """
    rows = [row for row, sample_id in enumerate(latents.ids) if sample_id not in ids]
    if len(rows) == len(latents.ids):
        return latents
    if not rows:
        raise ForesightError("no sample is left that both sides have: each was left out of one of them")
    return latents.take(rows)
