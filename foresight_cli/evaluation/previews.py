"""Samples for previews: held-out predictions decoded beside the original and the autoencoder's reconstruction."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from foresight_cli.catalog.reopen import loaded_model
from foresight_cli.config import model_schema
from foresight_cli.data import Dataset
from foresight_cli.errors import ForesightError
from foresight_cli.evaluation.likeness import Likeness, likeness
from foresight_cli.latents import Entry
from foresight_cli.machine.devices import usable_device
from foresight_cli.models.autoencoder import Autoencoder
from foresight_cli.models.ltxv import LTXV
from foresight_cli.results.numbers import fixed

if TYPE_CHECKING:
    import torch

    from foresight_cli.data.clip import Clip

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Preview:
    """One sample; pictures are ``[T, r, r, 3]`` in [0, 1].

    Attributes:
        id: id of the sample.
        label: the reason why it is shown.
        fps: frames per second; None for a still picture.
        original: the frames as the network saw them.
        reconstruction: the sample's true latents, decoded.
        prediction: the adapter's latents, decoded.
        ceiling: likeness of the reconstruction to the original, which no adapter is expected to exceed.
        to_original: likeness of the prediction to the original.
        to_reconstruction: likeness of the prediction to the reconstruction: the loss by the adapter alone.
    """

    id: str
    label: str
    fps: float | None
    original: torch.Tensor
    reconstruction: torch.Tensor
    prediction: torch.Tensor
    ceiling: Likeness
    to_original: Likeness
    to_reconstruction: Likeness


@dataclass(frozen=True)
class Previews:
    """Samples in the requested order, decoded by the autoencoder ``model``."""

    model: str
    samples: tuple[Preview, ...]


def decodable(entry: Entry) -> bool:
    """Check whether latents of ``entry`` can be decoded to pictures: they are an autoencoder's, and not pooled."""
    return entry.recipe.pooling == "flat" and model_schema(entry.recipe.model.get("name")).kind == "autoencoder"


def best_median_worst(residual: Floats, total: Floats) -> tuple[list[int], list[str]]:
    """Find the rows of the best, median and worst prediction, with labels such as ``best: held-out R² 0.93``.

    A row's R2 is ``1 - residual / total``. A row whose truth is the training mean has no R2 and is skipped.

    Args:
        residual: squared error of each row ``[n]``.
        total: squared distance of each row's truth from the training mean ``[n]``.

    Returns:
        Three rows, or all if there are fewer; of an even number of rows, the median is the better of the middle two.

    Example:
        >>> best_median_worst(np.array([4.0, 0.0, 2.0]), np.array([4.0, 4.0, 8.0]))
        ([1, 2, 0], ['best: held-out R² 1.00', 'median: held-out R² 0.75', 'worst: held-out R² 0.00'])
    """
    scored = np.flatnonzero(total > 0)
    r2 = 1 - residual[scored] / total[scored]
    order = np.argsort(-r2, kind="stable").tolist()
    last = len(order) - 1
    places = {"best": 0, "median": last // 2, "worst": last}
    shown = [name for name, least in (("best", 0), ("median", 2), ("worst", 1)) if last >= least]
    rows = [int(scored[order[places[name]]]) for name in shown]
    return rows, [f"{name}: held-out R² {fixed(float(r2[order[places[name]]]), 2)}" for name in shown]


def preview(
    entry: Entry,
    predicted: torch.Tensor,
    ids: Sequence[str],
    labels: Sequence[str],
    dataset: Dataset,
    device: str,
) -> Previews | None:
    """Decode predicted latents to pictures; return None, with a warning, if the data or the decoder is unavailable.

    Args:
        entry: the complete cache entry of the target, for which :func:`decodable` is true.
        predicted: ``[m, d]``, the adapter's latents, in the scale of the cache.
        ids: the sample of each row.
        labels: the reason why each row is shown, such as ``best: held-out R² 0.93``.
        dataset: the data behind the entry, reopened.
        device: as in ``device=``.

    Raises:
        ForesightError: the entry's latents cannot be decoded.
    """
    if not decodable(entry):
        raise ForesightError(
            f"model={entry.recipe.model.get('name')} pooling={entry.recipe.pooling}: only latents of model=ltxv and "
            "model=autoencoder with pooling=flat can be decoded to pictures"
        )
    try:
        clips, truth = clips_of(entry, ids, dataset)
        network = loaded_model(entry, usable_device(device))
        assert isinstance(network, LTXV | Autoencoder)  # as decodable() has checked
        samples = [
            _preview_of(network, clip, sample_id, label, latents)
            for sample_id, label, clip, *latents in zip(ids, labels, clips, truth, predicted, strict=True)
        ]
    except ForesightError as error:
        log.warning("warning: no previews: %s", error)
        return None
    return Previews(entry.recipe.model["name"], tuple(samples))


def clips_of(entry: Entry, ids: Sequence[str], dataset: Dataset) -> tuple[list[Clip], list[torch.Tensor]]:
    """Return the frames and the cached latents ``[d]`` of each sample; reads the shards that hold them, each once.

    Raises:
        ForesightError: samples or pictures of the data have changed since.
    """
    places = {sample.id: row for row, sample in enumerate(dataset.samples)}
    if gone := [sample_id for sample_id in ids if sample_id not in places]:
        raise ForesightError(f"the data has no sample {gone[0]!r} any more")
    read: dict[str, tuple[Clip, torch.Tensor]] = {}
    for number, of_shard in _by_shard(ids, places, entry.recipe.rows_per_shard).items():
        shard = entry.get(number) if number < entry.recipe.shards else None
        rows = {sample_id: row for row, sample_id in enumerate(shard.ids)} if shard else {}
        for sample_id in of_shard:
            if shard is None or sample_id not in rows:
                raise ForesightError(f"the data lists {sample_id!r} in another place than when it was extracted")
            row, clip = rows[sample_id], dataset.clip(places[sample_id])
            if clip.digest() != shard.pixels[row].numpy().tobytes():
                raise ForesightError(f"the picture of {sample_id!r} has changed since its latents were cached")
            read[sample_id] = clip, shard.latents[row].clone()  # a copy, so that the shard is freed
    return [read[sample_id][0] for sample_id in ids], [read[sample_id][1] for sample_id in ids]


def _by_shard(ids: Sequence[str], places: Mapping[str, int], rows_per_shard: int) -> dict[int, list[str]]:
    by_shard: dict[int, list[str]] = {}
    for sample_id in ids:
        by_shard.setdefault(places[sample_id] // rows_per_shard, []).append(sample_id)
    return by_shard


def _preview_of(
    network: LTXV | Autoencoder, clip: Clip, sample_id: str, label: str, latents: Sequence[torch.Tensor]
) -> Preview:
    """Return the preview of one sample from its frames and its true and predicted latents."""
    import torch

    prepared = network.prepare(clip, sample_id)
    pixels = prepared.tensors["pixels"]
    seen = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels
    original = (seen / 2 + 0.5).permute(1, 2, 3, 0)
    reconstruction, prediction = network.decode(torch.stack([x.float() for x in latents]), prepared.length)
    return Preview(
        id=sample_id,
        label=label,
        fps=clip.fps,
        original=original,
        reconstruction=reconstruction,
        prediction=prediction,
        ceiling=likeness(reconstruction, original),
        to_original=likeness(prediction, original),
        to_reconstruction=likeness(prediction, reconstruction),
    )
