import numpy as np
import torch
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr

from foresight_cli.inference.mantel_within import mantel_within_label


def labelled(rng, shared):
    """60 rows in 4 far categories; within a category the spaces have ``shared`` in common, or nothing."""
    codes = np.repeat(np.arange(4), 15)
    centres = rng.standard_normal((4, 5)) * 5
    common = rng.standard_normal((60, 5))
    x, y = (centres[codes] + (common if shared else rng.standard_normal((60, 5))) for _ in range(2))
    return torch.tensor(pdist(x)), torch.tensor(pdist(y)), [f"c{c}" for c in codes]


def test_the_statistic_is_mantels_r():
    x, y, labels = labelled(np.random.default_rng(0), shared=False)
    value, null, _ = mantel_within_label(x, y, labels, permutations=19, seed=0)
    assert abs(value - pearsonr(x, y).statistic) < 1e-12
    assert null > 0.8  # categories alone give a high r: that is why they are permuted within


def test_categories_alone_are_not_significant_and_instances_are():
    rng = np.random.default_rng(1)
    only_labels = [mantel_within_label(*labelled(rng, shared=False), permutations=99, seed=i)[2] for i in range(40)]
    assert np.mean(np.array(only_labels) <= 0.05) <= 0.15
    assert mantel_within_label(*labelled(rng, shared=True), permutations=99, seed=0)[2] == 0.01
