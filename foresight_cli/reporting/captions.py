"""What each figure shows and how to read it, in words alone: the numbers are in the figure's own title."""

from __future__ import annotations

_CAPTIONS = {
    "vlm_tsne_": "Each point is a picture, placed by t-SNE of the source; colours and marks are categories",
    "vlm_layer_comparison": "How clearly each layer of the source groups the categories",
    "ltx_tsne_": "Each point is a picture, placed by t-SNE of the target; colours and marks are categories",
    "ltx_channel_analysis": "Variance of the target's channels, and how they correlate",
    "ltx_spatial_correlation": "How alike cells of the target are some steps apart, and where the target varies",
    "intrinsic_dim_pca": "Variance explained by the first principal components of each space",
    "intrinsic_dim_summary": "The dimension of each space by five estimators: where they disagree, trust none alone",
    "linear_probe_training": "R² against training rows; dotted, where it can be told: what more rows may raise it to",
    "linear_probe_scatter": "Held-out predictions of the target's first principal components; on the line: exact",
    "linear_probe_components": "Held-out R² of each principal component of the target, the largest first",
    "linear_probe_summary": "Held-out R² of every pair of spaces, both ways, beside the controls",
    "semantic_sim_scatter": "Each point is two pictures: their distance in the source and in the target",
    "semantic_sim_categories": "Agreement of distances within each category, where categories themselves cannot help",
    "semantic_sim_heatmaps": "Mean distances between categories in both spaces",
    "semantic_sim_ranks": "How often a rank of distance in the source meets each rank in the target",
    "neighborhood_recall_curve": "Nearest neighbours shared by both spaces, against how many are looked at",
    "neighborhood_by_category": "Shared neighbours by category; tick: for two spaces that share only the category",
    "neighborhood_rank_distribution": "At which rank in the target the source's nearest neighbour is found",
    "neighborhood_examples": "Pictures, their nearest neighbours in the source and in the target; framed: in both",
    "adapter_sizes": "Held-out R² of each adapter against its parameters; bars: 95 % intervals; dashed: ridge",
    "cka_heatmap": "Debiased CKA of every layer and pooling of the source with every target; hatched: maybe chance",
    "cka_vlm_self_similarity": "Debiased CKA of the source's layers with each other",
    "cka_layer_curve": "Debiased CKA by layer with its 95 % interval; shaded: what the best of all reaches by chance",
    "calibrated_scores": "Each measure of each pair on one scale: 0 for what chance explains, 1 for equal spaces",
    "attribute_retention": "What a linear probe reads of each attribute, and the share that a linear bridge keeps",
    "comparison": "Held-out R² of each analysis, and what its source adds to the hardest control; bars: 95 %",
    "duplicates": "Sets of samples that are the same or nearly the same, one set a row",
}


def caption(name: str) -> str:
    """The caption of a figure, by its name or by the fixed start of its name."""
    return next(
        text for start, text in _CAPTIONS.items() if name == start or (start[-1] == "_" and name.startswith(start))
    )
