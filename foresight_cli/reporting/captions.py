"""Captions: the content of each figure and how to read it. The numbers are in the figure's own title."""

from __future__ import annotations

_CAPTIONS = {
    "source_tsne_": "Each point is a picture, placed by t-SNE of the source; colours and marks are categories",
    "source_layer_comparison": "Separation of the categories in each layer of the source",
    "target_tsne_": "Each point is a picture, placed by t-SNE of the target; colours and marks are categories",
    "target_channel_analysis": "Variance of the target's channels, and how they correlate",
    "target_spatial_correlation": "Correlation of the target's cells by distance, and the variance of each cell",
    "intrinsic_dim_pca": "Variance explained by the first principal components of each space",
    "intrinsic_dim_summary": "The dimension of each space by five estimators: where they disagree, trust none alone",
    "linear_probe_training": "R² against training rows; dotted: estimated limit with unlimited rows",
    "linear_probe_scatter": "Held-out predictions of the target's first principal components; on the line: exact",
    "linear_probe_components": "Held-out R² of each principal component of the target, the largest first",
    "linear_probe_summary": "Held-out R² of every pair of spaces, both ways, with the controls",
    "semantic_sim_scatter": "Each point is two pictures: their distance in the source and in the target",
    "semantic_sim_categories": "Agreement of distances within each category, where knowing the category cannot help",
    "semantic_sim_heatmaps": "Mean distances between categories in both spaces",
    "semantic_sim_ranks": "Joint histogram of the ranks of distances in the source and in the target",
    "neighborhood_recall_curve": "Nearest neighbours shared by both spaces, against the number of neighbours k",
    "neighborhood_by_category": "Shared neighbours by category; tick: expected if the spaces share only the category",
    "neighborhood_rank_distribution": "Rank in the target of each row's nearest neighbour in the source",
    "neighborhood_examples": "Pictures, their nearest neighbours in the source and in the target; framed: in both",
    "adapter_sizes": "Held-out R² of each adapter against its parameters; bars: 95 % intervals; dashed: ridge",
    "cka_heatmap": "Debiased CKA of every layer and pooling of the source with every target; hatched: maybe chance",
    "cka_source_self_similarity": "Debiased CKA of the source's layers with each other",
    "cka_layer_curve": "Debiased CKA by layer with its 95 % interval; shaded: chance, for the best of all pairs",
    "calibrated_scores": "Each measure of each pair on one scale: 0 for what chance explains, 1 for equal spaces",
    "attribute_retention": "R² of a linear probe for each attribute, and the share of it that a linear bridge keeps",
    "comparison": "Held-out R² of each analysis, and what its source adds to the hardest control; bars: 95 %",
    "duplicates": "Sets of samples that are the same or nearly the same, one set a row",
}


def caption(name: str) -> str:
    """Return the caption of a figure, found by its name or by the fixed start of its name."""
    return next(
        text for start, text in _CAPTIONS.items() if name == start or (start[-1] == "_" and name.startswith(start))
    )
