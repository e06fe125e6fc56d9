"""Shard-by-shard reading of two entries over the same data, matched by id, whatever the sizes of their shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

from foresight_cli.errors import ForesightError
from foresight_cli.latents.shard import Shard
from foresight_cli.latents.store import Entry


def matched_slices(
    source: Entry, target: Entry, numbers: Iterable[int]
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """Read the shards ``numbers`` of ``source`` with the same samples of ``target``; the next is read meanwhile.

    Yields:
        A shard's number, its latents ``[n, d1]``, and the target's latents of the same samples ``[n, d2]``. Samples
        that the target left out, and shards without rows, are skipped.

    Raises:
        ForesightError: a shard is damaged, or the two hold different samples.
    """
    reader = _MatchedReader(source, target)
    with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
        waiting = None
        for number in numbers:
            coming = pool.submit(reader.read, number)
            if waiting is not None:
                yield from waiting.result()
            waiting = coming
        if waiting is not None:
            yield from waiting.result()


class _MatchedReader:
    """Reader of the target's shards that cover a shard of the source; the last is kept, as the next may need it too."""

    def __init__(self, source: Entry, target: Entry) -> None:
        self._source, self._target = source, target
        self._files = source.shard_files(), target.shard_files()
        self._kept: dict[int, Shard] = {}

    def read(self, number: int) -> list[tuple[int, torch.Tensor, torch.Tensor]]:
        shard = self._source.get(number, self._files[0].get(number))
        if not shard.ids:
            return []
        rows = self._source.recipe.slice(number)
        step = self._target.recipe.rows_per_shard
        covering = range(rows.start // step, (rows.stop - 1) // step + 1)
        self._kept = {
            i: self._kept[i] if i in self._kept else self._target.get(i, self._files[1].get(i)) for i in covering
        }
        others = [other for other in self._kept.values() if other.ids]
        ids = [name for other in others for name in other.ids]
        values = torch.cat([other.latents for other in others]) if others else torch.empty(0, 0)
        latents = shard.latents
        if ids != list(shard.ids):
            place = {name: i for i, name in enumerate(ids)}
            left_out = {name for other in self._kept.values() for name, _ in other.skipped}
            kept = [row for row, name in enumerate(shard.ids) if name not in left_out]
            if not kept:
                return []
            names, latents = [shard.ids[row] for row in kept], latents[torch.tensor(kept)]
            missing = [name for name in names if name not in place]
            if missing:
                raise ForesightError(
                    f"{self._target.path} lacks {len(missing)} samples of shard {number}, for instance {missing[0]!r}. "
                    "Extract both models on the same data"
                )
            values = values[torch.tensor([place[name] for name in names])]
        return [(number, latents, values)]
