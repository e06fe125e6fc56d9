"""Typed results of ``foresight analyze``. Every number of a report comes from them; None means not measured."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from foresight_cli.latents.recipe import display_name
from foresight_cli.results.attribute import Attribute
from foresight_cli.results.duplicates import Duplicates
from foresight_cli.results.estimates import Estimate, Neighborhood
from foresight_cli.results.significance import PermutationTest
from foresight_cli.results.verdict import Verdict


@dataclass(frozen=True)
class Space:
    """One representation: its clusters and its dimension.

    Attributes:
        side: ``source``, ``target`` or ``control``.
        dimension: number of values in a row.
        silhouette: silhouette of the categories, Euclidean; None without at least two categories of two rows.
        knn_accuracy: 5-NN accuracy of the categories, cross-validated by group; by chance ``knn_chance``.
        intra_inter_ratio: mean distance within a category over mean distance between categories.
        pca_dimensions: components for 90, 95 and 99 % of the variance.
        top_feature_share: the largest share of variance of one feature; above 0.2 it dominates CKA and RSA.
        near_duplicates: rows that nearly equal another row in this space.
        label: label of its model; "" for the model's name.
    """

    side: str
    model: str
    layer: str
    pooling: str
    rows: int
    dimension: int
    key: str
    silhouette: float | None
    knn_accuracy: float | None
    knn_chance: float | None
    intra_inter_ratio: float | None
    mle_dimension: float | None
    twonn_dimension: float | None
    pca_dimensions: list[int]
    effective_rank: float
    participation_ratio: float
    top_feature_share: float
    near_duplicates: int
    label: str = ""

    @property
    def called(self) -> str:
        """Label of its model."""
        return self.label or self.model

    @property
    def name(self) -> str:
        """Name in reports, such as ``qwen25vl layer 8 channel_mean``."""
        return display_name(self.called, self.layer, self.pooling)


@dataclass(frozen=True)
class Pair:
    """One source space against one target space.

    Attributes:
        source: index into :attr:`Analysis.spaces`.
        target: index into :attr:`Analysis.spaces`.
        cka: debiased linear CKA.
        cka_biased: the study's estimator; its null mean is far above 0 when there are more features than rows.
        r2: held-out R2 of ridge regression, source -> target, pooled over the target's dimensions.
        r2_reverse: the same, target -> source; reported, but not used to choose a pair.
        spearman_cosine: RSA on cosine distances of the rows that are not all zeros in either space.
        cosine: held-out centred cosine, source -> target.
        spearman: RSA on Euclidean distances.
        neighborhood: at the configured k first, then at the study's k.
        selection_r2: held-out R2 on the rows set aside for choosing among pairs; None for a single pair.
        tests: permutation tests of groups, one set of permutations for all pairs and measures.
    """

    source: int
    target: int
    cka: Estimate
    cka_biased: Estimate
    r2: Estimate
    r2_reverse: float
    cosine: float
    cosine_reverse: float
    spearman: Estimate
    spearman_cosine: float | None
    pearson: float | None
    neighborhood: list[Neighborhood]
    selection_r2: float | None = None
    tests: list[PermutationTest] = field(default_factory=list)


@dataclass(frozen=True)
class Category:
    """One category of the chosen pair; a category of one row has no distances."""

    label: str
    rows: int
    recall: float
    spearman: float | None
    source_distance: float | None
    target_distance: float | None


@dataclass(frozen=True)
class CategoryRows:
    """Scored rows used for the measures of categories (silhouette, 5-NN accuracy), and those left out.

    Attributes:
        scored: rows with a category that another row also has; 0 if there are not two such categories.
        unlabelled: rows without a category, which are left out.
        alone: rows that are the only one of their category, which are left out.
        reason: the reason why nothing was measured; None if something was.
    """

    scored: int
    unlabelled: int
    alone: int
    reason: str | None = None


CURVE_SIZES = 3
"""Least number of sizes of a learning curve; with fewer it is unknown whether it bends and how far R2 may rise."""


@dataclass(frozen=True)
class LearningPoint:
    """Held-out and training R2 with fewer rows, to see whether more data helps."""

    rows: int
    r2: float
    r2_train: float


@dataclass(frozen=True)
class Control:
    """Scores of a trivial representation against the chosen target, and the R2 that the source adds to it.

    Attributes:
        name: ``pixels``, ``histogram`` ... or ``label`` (one-hot categories).
        delta_r2: R2([source, control]) - R2(control), held out: the part that only the source explains.
    """

    name: str
    r2: float
    cka: float | None
    spearman: float | None
    recall: float | None
    delta_r2: Estimate


@dataclass(frozen=True)
class ChosenPair:
    """Further measures of the pair that the verdict is about.

    Attributes:
        index: index into :attr:`Analysis.pairs`.
        pc_r2: held-out R2 of each of the target's first principal components.
        kendall: RSA, Kendall's tau-b on (at most 2,000) rows.
        mantel: Mantel's r (Pearson, Euclidean) with its permutation p value, groups permuted.
        within_label: permutation tests with rows permuted only within their category, for a relation beyond categories.
        within_clusters: the same within clusters of the target, used in place of unknown categories.
        r2_limit: R2 projected for an unlimited number of rows, optimistic; None without a learning curve.
        r2_typical: median over samples of the held-out R2 of each sample.
        r2_unseen: held-out R2 with whole neighbourhoods of both spaces held out; None with too few of them.
        shifted_cka: debiased CKA with every target row moved to another sample.
        companion: the data that the attributes were measured on, if it is not the data itself.
        power: probability that the permutation tests detect a target that shares the wanted R2 with the source.
        procrustes: disparity after PCA to 100 components, as in the study.
    """

    index: int
    pc_r2: list[float]
    kendall: float | None = field(metadata={"name": "Kendall \N{GREEK SMALL LETTER TAU}"})
    mantel: Estimate
    within_label: list[PermutationTest]
    within_clusters: list[PermutationTest]
    procrustes: float = field(metadata={"name": "Procrustes disparity (0 is a perfect match)"})
    categories: list[Category]
    learning_curve: list[LearningPoint]
    r2_limit: float | None
    r2_typical: Estimate
    r2_unseen: Estimate | None
    shifted_cka: float
    power: float
    attributes: list[Attribute]
    companion: str | None = None

    @property
    def named_measures(self) -> list[tuple[str, float | None]]:
        """The fields with a ``name``, which reports print in a list, by that name."""
        return [(own.metadata["name"], getattr(self, own.name)) for own in fields(self) if "name" in own.metadata]


@dataclass(frozen=True)
class WholeSet:
    """Measures of the chosen pair on every row, if the verdict used only a sample of the rows.

    Attributes:
        rows: number of rows.
        left_out: samples whose pixels equal those of an earlier one.
        r2: held-out R2 of ridge regression, source -> target, folds by group, near-duplicates merged where drawn.
        cka: debiased linear CKA.
        cka_biased: biased linear CKA.
        source_pca_dimensions: components for 90, 95 and 99 % of the source's variance.
        target_pca_dimensions: the same for the target.
        source_effective_rank: effective rank of the source.
        target_effective_rank: effective rank of the target.
    """

    rows: int
    left_out: int
    r2: Estimate
    cka: float
    cka_biased: float
    source_pca_dimensions: list[int]
    target_pca_dimensions: list[int]
    source_effective_rank: float
    target_effective_rank: float


@dataclass(frozen=True)
class Analysis:
    """All results of ``foresight analyze``: ``results.yaml``.

    Attributes:
        left_alone: numbers of things beside the samples that were not read, by type ("files") and kind (".txt").
    """

    source: str
    target: str
    weights: str
    data: dict[str, Any]
    labels: dict[str, int]
    rows: int
    duplicates: Duplicates
    spaces: list[Space]
    pairs: list[Pair]
    layer_similarity: list[list[float]]
    layer_similarity_spaces: list[int]
    top_channels: list[int]
    chosen: ChosenPair
    controls: list[Control]
    verdict: Verdict
    settings: dict[str, Any]
    provenance: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    whole: WholeSet | None = None
    category_rows: CategoryRows | None = None
    left_alone: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def source_label(self) -> str:
        """Label of the source's model."""
        return next((space.called for space in self.spaces if space.side == "source"), self.source)

    @property
    def target_label(self) -> str:
        """Label of the target's model."""
        return next((space.called for space in self.spaces if space.side == "target"), self.target)

    @property
    def chosen_pair(self) -> Pair:
        """Pair that the verdict is about."""
        return self.pairs[self.chosen.index]

    @property
    def chosen_source(self) -> Space:
        """Source of the chosen pair."""
        return self.spaces[self.chosen_pair.source]

    @property
    def chosen_target(self) -> Space:
        """Target of the chosen pair."""
        return self.spaces[self.chosen_pair.target]
