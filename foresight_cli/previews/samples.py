"""What an adapter's latents look like: held-out samples decoded beside the original and the autoencoder's own copy."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from foresight_cli.config import GROUPS
from foresight_cli.data import Dataset
from foresight_cli.devices import usable_device
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry
from foresight_cli.models import LatentModel, open_model
from foresight_cli.models.autoencoder import Autoencoder
from foresight_cli.models.ltxv import LTXV
from foresight_cli.previews.likeness import Likeness, likeness
from foresight_cli.reporting.numbers import fixed

if TYPE_CHECKING:
    import torch

    from foresight_cli.clip import Clip

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Preview:
    """One sample; pictures are ``[T, r, r, 3]`` in [0, 1].

    Attributes:
        id: of the sample.
        label: what it is an example of.
        fps: frames a second; None for a still picture.
        original: the frames as the network saw them.
        reconstruction: what the decoder makes of the sample's own latents.
        prediction: what it makes of the adapter's.
        ceiling: of the reconstruction to the original, which no adapter is expected to exceed.
        to_original: of the prediction to the original.
        to_reconstruction: of the prediction to the reconstruction: what the adapter alone lost.
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
    """Samples in the order asked for, decoded by the autoencoder ``model``."""

    model: str
    samples: tuple[Preview, ...]


def decodable(entry: Entry) -> bool:
    """Whether latents of ``entry`` can be turned back into pictures: an autoencoder's, with nothing pooled away."""
    return entry.recipe.pooling == "flat" and entry.recipe.model.get("name") in ("ltxv", "autoencoder")


def best_median_worst(residual: Floats, total: Floats) -> tuple[list[int], list[str]]:
    """Rows of the best, median and worst prediction, and their labels, such as ``best: held-out R² 0.93``.

    A row's R2 is ``1 - residual / total``; a row whose truth is the training mean has none, and is passed over.

    Args:
        residual: squared error of each row ``[n]``.
        total: squared distance of each row's truth from the training mean ``[n]``.

    Returns:
        Three rows, or fewer where there are fewer; of an even number, the median is the better of the middle two.

    Example:
        >>> best_median_worst(np.array([4.0, 0.0, 2.0]), np.array([4.0, 4.0, 8.0]))
        ([1, 2, 0], ['best: held-out R² 1.00', 'median: held-out R² 0.75', 'worst: held-out R² 0.00'])
    """
    known = np.flatnonzero(total > 0)
    r2 = 1 - residual[known] / total[known]
    order = np.argsort(-r2, kind="stable").tolist()
    last = len(order) - 1
    places = {"best": 0, "median": last // 2, "worst": last}
    shown = [name for name, least in (("best", 0), ("median", 2), ("worst", 1)) if last >= least]
    rows = [int(known[order[places[name]]]) for name in shown]
    return rows, [f"{name}: held-out R² {fixed(float(r2[order[places[name]]]), 2)}" for name in shown]


def preview(
    entry: Entry,
    predicted: torch.Tensor,
    ids: Sequence[str],
    labels: Sequence[str],
    dataset: Dataset,
    device: str,
) -> Previews | None:
    """The pictures behind predicted latents; None, with a warning, where pictures or decoder are out of reach.

    Args:
        entry: the complete cache entry of the target, of which :func:`decodable` holds.
        predicted: ``[m, d]``, the adapter's latents, in the scale of the cache.
        ids: the sample of each row.
        labels: what each row is an example of, such as ``best: held-out R² 0.93``.
        dataset: the data behind the entry, as ``catalog.reopen`` gives it.
        device: as in ``device=``.

    Raises:
        ForesightError: the entry's latents are not such as can be decoded.
    """
    if not decodable(entry):
        raise ForesightError(
            f"model={entry.recipe.model.get('name')} pooling={entry.recipe.pooling}: only latents of model=ltxv and "
            "model=autoencoder with pooling=flat can be decoded to pictures"
        )
    try:
        clips, truth = clips_of(entry, ids, dataset)
        network = network_of(entry, usable_device(device))
        assert isinstance(network, LTXV | Autoencoder)  # of decodable()
        samples = [
            _one(network, clip, sample_id, label, latents)
            for sample_id, label, clip, *latents in zip(ids, labels, clips, truth, predicted, strict=True)
        ]
    except ForesightError as error:
        log.warning("warning: no previews: %s", error)
        return None
    return Previews(entry.recipe.model["name"], tuple(samples))


def clips_of(entry: Entry, ids: Sequence[str], dataset: Dataset) -> tuple[list[Clip], list[torch.Tensor]]:
    """The frames and the cached latents ``[d]`` of each sample; reads the shards that hold them, each once.

    Raises:
        ForesightError: the data has other samples or other pictures by now.
    """
    places = {sample.id: row for row, sample in enumerate(dataset.samples)}
    if gone := [sample_id for sample_id in ids if sample_id not in places]:
        raise ForesightError(f"the data has no sample {gone[0]!r} any more")
    found: dict[str, tuple[Clip, torch.Tensor]] = {}
    for number, of_shard in _by_shard(ids, places, entry.recipe.rows_per_shard).items():
        shard = entry.get(number) if number < entry.recipe.shards else None
        rows = {sample_id: row for row, sample_id in enumerate(shard.ids)} if shard else {}
        for sample_id in of_shard:
            if shard is None or sample_id not in rows:
                raise ForesightError(f"the data lists {sample_id!r} at another place than when it was extracted")
            row, clip = rows[sample_id], dataset.clip(places[sample_id])
            if clip.digest() != shard.pixels[row].numpy().tobytes():
                raise ForesightError(f"the picture of {sample_id!r} has changed since its latents were cached")
            found[sample_id] = clip, shard.latents[row].clone()  # alone: the shard is not kept
    return [found[sample_id][0] for sample_id in ids], [found[sample_id][1] for sample_id in ids]


def _by_shard(ids: Sequence[str], places: Mapping[str, int], rows_per_shard: int) -> dict[int, list[str]]:
    held: dict[int, list[str]] = {}
    for sample_id in ids:
        held.setdefault(places[sample_id] // rows_per_shard, []).append(sample_id)
    return held


def network_of(entry: Entry, device: str) -> LatentModel:
    """The model that ``entry`` came of, loaded.

    Raises:
        ForesightError: its checkpoint is gone, or is another by now.
    """
    said = entry.recipe.model
    try:
        settings = dict(entry.manifest()["provenance"]["model"])
        if "revision" in said:  # the branch may have moved on since
            settings["revision"] = said["revision"]
        model = open_model(GROUPS["model"][said["name"]](**settings))
    except (KeyError, TypeError):
        raise ForesightError(
            f"{entry.path} was made with other settings than there are now. Extract it again"
        ) from None
    if any(said.get(key) != value for key, value in model.identity(reach_hub=False).items()):
        raise ForesightError(
            f"{settings.get('checkpoint', said['name'])} has changed since {entry.path} was made. Extract it again"
        )
    model.load(device)
    return model


def _one(
    network: LTXV | Autoencoder, clip: Clip, sample_id: str, label: str, latents: Sequence[torch.Tensor]
) -> Preview:
    """One sample from its frames and its true and predicted latents."""
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
