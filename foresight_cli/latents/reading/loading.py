"""Loading of cached latents, and their join with another model's latents by sample id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from foresight_cli.errors import ForesightError
from foresight_cli.latents.samples import read_samples
from foresight_cli.latents.storage.remote import cache_root
from foresight_cli.latents.store import Entry


@dataclass(frozen=True)
class Latents:
    """The latents of one cache entry, row by row.

    Attributes:
        ids: sample ids.
        values: ``[n, d]``, in the dtype they were stored in.
        labels: the category of each row, or None.
        groups: the group of each row; rows of one group never are on both sides of a split.
        attributes: ``[n]`` numbers by name; NaN where a sample lacks the attribute.
        pixels: ``[n, 32]`` uint8, SHA-256 of each sample's decoded pixels.
    """

    ids: Sequence[str]
    values: torch.Tensor
    labels: Sequence[str | None]
    groups: Sequence[str]
    attributes: dict[str, torch.Tensor]
    pixels: torch.Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int]) -> Latents:
        """Return the latents of ``rows``, in that order."""
        index = torch.as_tensor(list(rows), dtype=torch.long)
        return Latents(
            ids=[self.ids[i] for i in rows],
            values=self.values[index],
            labels=[self.labels[i] for i in rows],
            groups=[self.groups[i] for i in rows],
            attributes={name: column[index] for name, column in self.attributes.items()},
            pixels=self.pixels[index],
        )


def load(entry: Entry | str | Path) -> Latents:
    """Return every row of a complete cache entry, with every shard's bytes checked.

    Args:
        entry: an :class:`Entry`, or its folder (``outputs/cache/<model>/layer-<l>/<pooling>/<key>``), or its URL.

    Raises:
        ForesightError: the entry is not complete, or a shard is damaged.
    """
    entry = entry if isinstance(entry, Entry) else Entry.open(cache_root(entry) if isinstance(entry, str) else entry)
    shards = [shard for _, shard in entry.located() if shard.ids]
    if not shards:
        raise ForesightError(f"{entry.path} holds no rows: every sample was skipped")
    ids = [sample_id for shard in shards for sample_id in shard.ids]
    return described(
        entry, ids, torch.cat([shard.latents for shard in shards]), torch.cat([shard.pixels for shard in shards])
    )


def described(entry: Entry, ids: Sequence[str], values: torch.Tensor, pixels: torch.Tensor) -> Latents:
    """Return rows with their labels, groups and attributes from the entry's table.

    Raises:
        ForesightError: the table does not name one of ``ids``.
    """
    table = read_samples(entry.path)
    row_of = {sample_id: i for i, sample_id in enumerate(table.ids)}
    if unknown := [i for i in ids if i not in row_of]:
        raise ForesightError(f"{entry.path}/samples.json does not name {unknown[0]!r}: run the same extract again")
    rows = [row_of[i] for i in ids]
    return Latents(
        ids=ids,
        values=values,
        labels=[table.labels[i] for i in rows],
        groups=[table.groups[i] for i in rows],
        attributes={name: _column(column, rows) for name, column in table.attributes.items()},
        pixels=pixels,
    )


def refuse_not_finite(side: str, entry: Entry, ids: Sequence[str], bad: Sequence[int]) -> None:
    """Refuse the latents of a ``side`` if it has rows (``bad``) that are not finite.

    Raises:
        ForesightError: ``bad`` is not empty.
    """
    if bad:
        dtype = entry.recipe.model.get("dtype")
        advice = "Extract them again in a wider dtype: model.dtype=float32"
        if dtype in (None, "float32"):
            advice = "Leave those samples out of the data"
        raise ForesightError(
            f"the {side}'s latents of {ids[bad[0]]!r} are not finite ({len(bad)} such rows in {entry.path}). {advice}"
        )


def _column(column: Sequence[float | None], rows: Sequence[int]) -> torch.Tensor:
    values = (column[i] for i in rows)
    return torch.tensor([float("nan") if v is None else v for v in values], dtype=torch.float64)


def join(*spaces: Latents) -> tuple[Latents, ...]:
    """Return every space with its rows in the order of the first one, matched by sample id.

    Raises:
        ForesightError: the spaces hold different samples, or one id has different pictures, labels, groups or
            attributes in them. Latents are never matched by position.
    """
    first = spaces[0]
    joined = [first]
    for other in spaces[1:]:
        row_of = {sample_id: i for i, sample_id in enumerate(other.ids)}
        missing = [i for i in first.ids if i not in row_of]
        of_first = set(first.ids)
        extra = [i for i in other.ids if i not in of_first]
        if missing or extra:
            where, ids = ("second", missing) if missing else ("first", extra)
            raise ForesightError(
                f"the two spaces hold different samples: {len(ids)} are not in the {where}, for instance "
                f"{', '.join(map(repr, ids[:3]))}. Extract both models on the same data"
            )
        matched = other.take([row_of[i] for i in first.ids])
        differing = (matched.pixels != first.pixels).any(dim=1).nonzero().flatten().tolist()
        if differing:
            raise ForesightError(
                f"the sample {first.ids[differing[0]]!r} is not the same picture in both spaces "
                f"({len(differing)} such). Extract both models on the same data"
            )
        if not _same_table(first, matched):
            raise ForesightError(
                "labels, groups or attributes changed between the two extractions. Type both extract commands again: "
                "the latents are kept"
            )
        joined.append(matched)
    return tuple(joined)


def _same_table(a: Latents, b: Latents) -> bool:
    """Check whether labels, groups and attributes are the same, row by row."""
    if list(a.labels) != list(b.labels) or list(a.groups) != list(b.groups):
        return False
    if a.attributes.keys() != b.attributes.keys():
        return False
    pairs = ((a.attributes[name].nan_to_num(), b.attributes[name].nan_to_num()) for name in a.attributes)
    return all(torch.equal(first, second) for first, second in pairs)
