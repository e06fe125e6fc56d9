"""Measures of similarity in memory: they take tensors or arrays ``[n, d]``, and return numbers or small dataclasses.

Most are used by a stage. Measures of the library, which no stage uses: `angular_procrustes`, `cca`, `cknna`,
`deconfounded`, `deconfounded_cka`, `dominant_features`, `gram_cka`, `minibatch_cka`, `partial_cka`,
`procrustes_distance`, `pwcca`, `rbf_cka`, `svcca`.
"""

from foresight_cli.metrics.cca import CanonicalCorrelations, ProjectionWeighted, cca, pwcca, svcca
from foresight_cli.metrics.cka import gram_cka, linear_cka, rbf_cka
from foresight_cli.metrics.cka_error import debiased_cka_standard_error
from foresight_cli.metrics.cknna import cknna
from foresight_cli.metrics.clusters import knn_accuracy, silhouette
from foresight_cli.metrics.deconfounded import deconfounded, deconfounded_cka
from foresight_cli.metrics.dominant_features import DominantFeatures, dominant_features
from foresight_cli.metrics.duplicates import duplicate_groups
from foresight_cli.metrics.folds import grouped_folds
from foresight_cli.metrics.intrinsic_dimension import mle_dimension, twonn_dimension
from foresight_cli.metrics.mantel import MantelTest, mantel_test
from foresight_cli.metrics.minibatch_cka import minibatch_cka
from foresight_cli.metrics.neighborhood import Neighborhood, neighborhood
from foresight_cli.metrics.partial_cka import partial_cka
from foresight_cli.metrics.probe import LinearProbe, linear_probe
from foresight_cli.metrics.procrustes import angular_procrustes, procrustes_disparity, procrustes_distance
from foresight_cli.metrics.ridge.ridge import Ridge, fit_ridge
from foresight_cli.metrics.rsa import rsa
from foresight_cli.metrics.spectrum import effective_rank, participation_ratio, pca_dimension

__all__ = [
    "CanonicalCorrelations",
    "DominantFeatures",
    "LinearProbe",
    "MantelTest",
    "Neighborhood",
    "ProjectionWeighted",
    "Ridge",
    "angular_procrustes",
    "cca",
    "cknna",
    "debiased_cka_standard_error",
    "deconfounded",
    "deconfounded_cka",
    "dominant_features",
    "duplicate_groups",
    "effective_rank",
    "fit_ridge",
    "gram_cka",
    "grouped_folds",
    "knn_accuracy",
    "linear_cka",
    "linear_probe",
    "mantel_test",
    "minibatch_cka",
    "mle_dimension",
    "neighborhood",
    "partial_cka",
    "participation_ratio",
    "pca_dimension",
    "procrustes_disparity",
    "procrustes_distance",
    "pwcca",
    "rbf_cka",
    "rsa",
    "silhouette",
    "svcca",
    "twonn_dimension",
]
