"""Measures of each space by itself, and the arrays for its figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foresight_cli.config import model_schema
from foresight_cli.experiments.clusters import channel_arrays, cluster_scores, label_codes
from foresight_cli.experiments.dimension import dimensions, spectrum
from foresight_cli.experiments.left_out import no_dimensions
from foresight_cli.inputs.joined import SampleTable
from foresight_cli.inputs.representation import Representation
from foresight_cli.metrics import linear_cka
from foresight_cli.results import Space


def describe_space(
    space: Representation, rows: SampleTable, near_duplicates: int, seed: int
) -> tuple[Space, list[str]]:
    """Return the measures of one space, and a sentence for each measure that could not be made."""
    clusters = cluster_scores(space, rows.labels, rows.groups, seed)
    size = dimensions(space)
    described = Space(
        side=space.side,
        model=space.model,
        layer=space.layer,
        pooling=space.pooling,
        rows=len(space.values),
        dimension=space.values.shape[1],
        key=space.key,
        silhouette=clusters.silhouette,
        knn_accuracy=clusters.knn_accuracy,
        knn_chance=clusters.knn_chance,
        intra_inter_ratio=clusters.intra_inter_ratio,
        mle_dimension=size.mle,
        twonn_dimension=size.twonn,
        pca_dimensions=size.pca,
        effective_rank=size.effective_rank,
        participation_ratio=size.participation_ratio,
        top_feature_share=size.top_feature_share,
        near_duplicates=near_duplicates,
        label=space.label,
    )
    return described, no_dimensions(space, size)


def space_arrays(spaces: Sequence[Representation], rows: SampleTable) -> dict[str, np.ndarray]:
    """Return the category of each row, spectra of all spaces, and the target's channels."""
    codes, _ = label_codes(rows.labels)
    arrays = {"label": codes.astype(np.int32)} | {f"spectrum/{i}": spectrum(space) for i, space in enumerate(spaces)}
    return arrays | _channels([space for space in spaces if space.side == "target"])


def mapped(spaces: Sequence[Representation]) -> list[int]:
    """Return the spaces for t-SNE: the targets, and the sources in one pooling."""
    pooling = _shown_pooling(spaces)
    return [i for i, space in enumerate(spaces) if space.side == "target" or space.pooling == pooling]


def layer_similarity(spaces: Sequence[Representation], pooling: str) -> tuple[list[int], list[list[float]]]:
    """Return the indices of the source's layers in one pooling, and the debiased CKA between all of them."""
    shown = [i for i, s in enumerate(spaces) if s.side == "source" and s.pooling == pooling]
    return shown, [[linear_cka(spaces[a].space, spaces[b].space) for b in shown] for a in shown]


def _shown_pooling(spaces: Sequence[Representation]) -> str:
    cached = {space.pooling for space in spaces if space.side == "source"}
    return "channel_mean" if "channel_mean" in cached else "flat"


def _channels(targets: Sequence[Representation]) -> dict[str, np.ndarray]:
    """Return the arrays of an autoencoder with both poolings cached: its mean has as many values as channels."""
    by_pooling = {space.pooling: space for space in targets}
    if {"flat", "channel_mean"} - by_pooling.keys() or not model_schema(by_pooling["flat"].model).channel_figures:
        return {}
    return channel_arrays(by_pooling["flat"], by_pooling["channel_mean"].values.shape[1])
