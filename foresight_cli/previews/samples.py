"""What an adapter's latents look like: held-out samples decoded beside the original and the autoencoder's own copy."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foresight_cli.config import GROUPS, DataConfig, PrecomputedDataConfig
from foresight_cli.data import open_dataset
from foresight_cli.devices import usable_device
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry
from foresight_cli.models import open_model
from foresight_cli.models.autoencoder import Autoencoder
from foresight_cli.models.ltxv import LTXV
from foresight_cli.previews.likeness import Likeness, likeness

if TYPE_CHECKING:
    import torch

    from foresight_cli.clip import Clip

log = logging.getLogger(__name__)


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


def best_median_worst(predicted: torch.Tensor, truth: torch.Tensor, mean: torch.Tensor) -> tuple[list[int], list[str]]:
    """Rows of the best, median and worst prediction, and their labels, such as ``best: R² 0.93``.

    A row's R2 is ``1 - |truth - predicted|^2 / |truth - mean|^2``; rows whose truth is the mean have none.

    Args:
        predicted: ``[n, d]``.
        truth: ``[n, d]``.
        mean: ``[d]``, of the training rows.

    Returns:
        Three rows, or fewer where there are fewer; of an even number, the median is the better of the middle two.

    Example:
        >>> import torch
        >>> truth = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
        >>> best_median_worst(truth * torch.tensor([[0.0], [1.0], [0.5]]), truth, torch.zeros(2))
        ([1, 2, 0], ['best: R² 1.00', 'median: R² 0.75', 'worst: R² 0.00'])
    """
    missed = (truth - predicted).double().square().sum(dim=1)
    total = (truth - mean).double().square().sum(dim=1)
    r2 = [1 - m / t if t > 0 else None for m, t in zip(missed.tolist(), total.tolist(), strict=True)]
    order = sorted((row for row, value in enumerate(r2) if value is not None), key=lambda row: (missed / total)[row])
    last = len(order) - 1
    places = {0: "best", last: "worst", **({last // 2: "median"} if last > 1 else {})} if order else {}
    rows = {order[place]: name for place, name in sorted(places.items())}
    return list(rows), [f"{name}: R² {r2[row]:.2f}" for row, name in rows.items()]


def preview(
    entry: Entry, predicted: torch.Tensor, ids: Sequence[str], labels: Sequence[str], data: DataConfig, device: str
) -> Previews | None:
    """The pictures behind predicted latents; None, with a warning, where pictures or decoder are out of reach.

    Args:
        entry: the complete cache entry of the target, of which :func:`decodable` holds.
        predicted: ``[m, d]``, the adapter's latents, in the scale of the cache.
        ids: the sample of each row.
        labels: what each row is an example of, such as ``best: R² 0.93``.
        data: the dataset behind the entry.
        device: as in ``device=``.

    Raises:
        ForesightError: the entry's latents are not such as can be decoded.
    """
    if not decodable(entry):
        raise ForesightError(
            f"{entry.recipe.model.get('name')} pooling={entry.recipe.pooling}: only latents of model=ltxv or "
            "model=autoencoder with pooling=flat can be decoded to pictures"
        )
    try:
        clips, truth = _clips(entry, ids, data)
        network = _network(entry, usable_device(device))
        samples = [
            _one(network, clip, sample_id, label, latents)
            for sample_id, label, clip, *latents in zip(ids, labels, clips, truth, predicted, strict=True)
        ]
    except ForesightError as error:
        log.warning("warning: no previews: %s", error)
        return None
    return Previews(entry.recipe.model["name"], tuple(samples))


def _clips(entry: Entry, ids: Sequence[str], data: DataConfig) -> tuple[list[Clip], list[torch.Tensor]]:
    """The frames and the cached latents ``[d]`` of each sample."""
    if isinstance(data, PrecomputedDataConfig):
        raise ForesightError("data=precomputed has no pictures")
    held: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for shard in entry.shards():
        row_of = {sample_id: row for row, sample_id in enumerate(shard.ids)}
        held |= {i: (shard.latents[row_of[i]], shard.pixels[row_of[i]]) for i in ids if i in row_of}
    dataset = open_dataset(data)
    place = {sample.id: row for row, sample in enumerate(dataset.samples)}
    clips = []
    for sample_id in ids:
        if sample_id not in held:
            raise ForesightError(f"{entry.path} has no sample {sample_id!r}")
        if sample_id not in place:
            raise ForesightError(f"the data has no sample {sample_id!r} any more")
        clip = dataset.clip(place[sample_id])
        if clip.digest() != held[sample_id][1].numpy().tobytes():
            raise ForesightError(f"the picture of {sample_id!r} has changed since its latents were cached")
        clips.append(clip)
    return clips, [held[sample_id][0] for sample_id in ids]


def _network(entry: Entry, device: str) -> LTXV | Autoencoder:
    """The autoencoder that ``entry`` came of, loaded.

    Raises:
        ForesightError: its checkpoint is gone, or is another by now.
    """
    said, settings = entry.recipe.model, entry.manifest()["provenance"]["model"]
    if "revision" in said:  # the branch may have moved on since
        settings = {**settings, "revision": said["revision"]}
    try:
        model = open_model(GROUPS["model"][said["name"]](**settings))
    except (KeyError, TypeError):
        raise ForesightError(
            f"{entry.path} was made with other settings than there are now: extract it again"
        ) from None
    if any(said.get(key) != value for key, value in model.identity(reach_hub=False).items()):
        raise ForesightError(f"{settings['checkpoint']} has changed since {entry.path} was made: extract it again")
    assert isinstance(model, LTXV | Autoencoder)  # of decodable()
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
