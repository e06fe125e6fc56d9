"""``runner=local``: fill the missing shards of cache entries, one after another, in this process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from PIL import Image

from foresight_cli.data import Dataset, UndecodableImage
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, Shard
from foresight_cli.models import LatentModel, Prepared, Tap


def fill(
    entries: Mapping[Tap, Entry],
    dataset: Dataset,
    model: LatentModel,
    *,
    batch_size: int,
    skip_undecodable: bool,
    on_shard: Callable[[int, int], None],
) -> None:
    """Compute and commit every shard that ``entries`` lack, with one forward pass for all of them.

    Args:
        entries: one cache entry for each tap, all over the same slices of ``dataset``.
        dataset: the pictures.
        model: loaded.
        batch_size: pictures a forward pass.
        skip_undecodable: leave out pictures that cannot be decoded, and list them in the shard.
        on_shard: called with the shard's number and its rows after each commit.

    Raises:
        UndecodableImage: a picture cannot be read, and ``skip_undecodable`` is False.
        ForesightError: latents that are not finite, or of different sizes where one size is needed.
    """
    missing = {tap: set(entry.missing()) for tap, entry in entries.items()}
    widths = {tap: _cached_width(entry) for tap, entry in entries.items()}
    recipe = next(iter(entries.values())).recipe
    for number in range(recipe.shards):
        taps = [tap for tap in entries if number in missing[tap]]
        if not taps:
            continue
        shards = _shards(recipe.slice(number), dataset, model, taps, batch_size, skip_undecodable)
        for tap, shard in shards.items():
            if shard.ids:
                widths[tap] = widths[tap] or (shard.ids[0], shard.latents.shape[1])
                _refuse_other_width(widths[tap], (shard.ids[0], shard.latents.shape[1]))
            entries[tap].put(number, shard)
        on_shard(number, len(recipe.slice(number)))


def _cached_width(entry: Entry) -> tuple[str, int] | None:
    """A sample that an earlier run has cached in ``entry``, and its number of values."""
    for number in sorted(entry.shard_files()):
        shard = entry.get(number)
        if shard.ids:
            return shard.ids[0], shard.latents.shape[1]
    return None


def _refuse_other_width(first: tuple[str, int] | None, other: tuple[str, int]) -> None:
    """Latents of one entry are one array: refuse two samples with different numbers of values."""
    if first is not None and first[1] != other[1]:
        raise ForesightError(
            f"pooling=flat wants one size for all: {first[0]!r} has {first[1]} values and {other[0]!r} has {other[1]}. "
            "Resize them all with model.resolution=252, or use pooling=channel_mean"
        )


def _shards(
    rows: range, dataset: Dataset, model: LatentModel, taps: Sequence[Tap], batch_size: int, skip_undecodable: bool
) -> dict[Tap, Shard]:
    prepared: list[Prepared] = []
    hashes: list[torch.Tensor] = []
    skipped: list[tuple[str, str]] = []
    for row in rows:
        try:
            image = dataset.image(row)
        except UndecodableImage as error:
            if not skip_undecodable:
                raise
            skipped.append((error.sample_id, error.reason))
            continue
        prepared.append(model.prepare(image, dataset.samples[row].id))
        hashes.append(pixel_hash(image))
    ids = [p.sample_id for p in prepared]
    if not ids:
        nothing = torch.empty(0, 0), torch.empty(0, 32, dtype=torch.uint8)
        return {tap: Shard([], *nothing, skipped) for tap in taps}
    latents: dict[Tap, list[torch.Tensor]] = {tap: [torch.empty(0)] * len(ids) for tap in taps}
    for batch in _batches(prepared, batch_size):
        for tap, values in model.features([prepared[i] for i in batch], taps).items():
            for i, vector in zip(batch, values, strict=True):
                latents[tap][i] = vector
    return {tap: Shard(ids, _stack(latents[tap], prepared, tap), torch.stack(hashes), skipped) for tap in taps}


def pixel_hash(image: Image.Image) -> torch.Tensor:
    """SHA-256 of the picture's size and pixels, as 32 uint8: what a duplicate is known by."""
    digest = hashlib.sha256(f"{image.size}".encode())
    digest.update(image.tobytes())
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)


def _batches(prepared: Sequence[Prepared], batch_size: int) -> Iterator[list[int]]:
    """Rows that go through the network together: of one shape, so that nothing is padded, in the dataset's order."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, picture in enumerate(prepared):
        by_shape.setdefault(picture.shape, []).append(i)
    for rows in by_shape.values():
        for start in range(0, len(rows), batch_size):
            yield rows[start : start + batch_size]


def _stack(vectors: Sequence[torch.Tensor], prepared: Sequence[Prepared], tap: Tap) -> torch.Tensor:
    for picture, vector in zip(prepared, vectors, strict=True):
        _refuse_other_width((prepared[0].sample_id, len(vectors[0])), (picture.sample_id, len(vector)))
    stacked = torch.stack(list(vectors))
    bad = (~torch.isfinite(stacked)).any(dim=1).nonzero().flatten().tolist()
    if bad:
        named = ", ".join(repr(prepared[i].sample_id) for i in bad[:3])
        raise ForesightError(
            f"layer={tap.layer}: the latents of {len(bad)} samples are not finite ({named}). "
            "float16 overflows in large models: use model.dtype=bfloat16"
        )
    return stacked
