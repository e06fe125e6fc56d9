import ast
import inspect
import re
from pathlib import Path

import pytest
import torch

from foresight_cli import metrics

ROOT = Path(__file__).parents[2]

SIGNATURES = {
    "linear_cka": "(x, y, *, debiased=True)",
    "rbf_cka": "(x, y, *, bandwidth=1.0, debiased=True)",
    "cknna": "(x, y, *, k=10",
    "rsa": "(x, y, *, distance='euclidean', correlation='spearman', max_pairs=None, seed=0)",
    "mantel_test": ("(x, y, *, distance='euclidean', correlation='pearson', permutations=999, groups=None, seed=0)"),
    "neighborhood": "(x, y, *, k=10, distance='euclidean'",
    "mle_dimension": "(x, *, k=20, average='harmonic')",
    "twonn_dimension": "(x, *, discard=0.1)",
    "pca_dimension": "(x, *, variance=0.95)",
    "effective_rank": "(x)",
    "participation_ratio": "(x)",
    "linear_probe": "(x, y, *, groups=None, folds=5, seed=0",
    "procrustes_disparity": "(x, y, *, components=100)",
    "silhouette": "(x, labels)",
    "knn_accuracy": "(x, labels, *, k=5, folds=5",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures_are_the_published_ones(name):
    signature = inspect.signature(getattr(metrics, name))
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    shown = str(inspect.Signature(bare))
    assert shown.startswith(SIGNATURES[name])


def test_all_names_exist_and_are_documented():
    for name in metrics.__all__:
        assert inspect.getdoc(getattr(metrics, name))


def test_the_measures_that_no_stage_uses_are_listed():
    package = ROOT / "foresight_cli"
    files = [path for path in package.rglob("*.py") if package / "metrics" not in path.parents]
    imports = [node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    used = {
        alias.name
        for node in imports
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("foresight_cli.metrics")
        for alias in node.names
    }
    unused = {name for name in metrics.__all__ if inspect.isfunction(getattr(metrics, name))} - used
    assert set(re.findall(r"`(\w+)`", str(metrics.__doc__).split("of the library")[1])) == unused
    section = (ROOT / "docs/metrics.md").read_text(encoding="utf-8").split("## Measures of the library")[1]
    assert set(re.findall(r"`(\w+)`", section.split("The measures above")[0])) == unused


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_changes_nothing(g1, iris):
    x, y = (torch.tensor(values) for values in g1)
    groups = torch.arange(100).repeat_interleave(2)
    calls = {
        "linear_cka": {},
        "rbf_cka": {},
        "cknna": {},
        "rsa": {"max_pairs": 500},
        "mantel_test": {"permutations": 19, "groups": groups},
        "debiased_cka_standard_error": {},
        "minibatch_cka": {"batch_size": 50},
        "procrustes_disparity": {"components": 5},
    }
    for name, options in calls.items():
        measure = getattr(metrics, name)
        on_cpu, on_gpu = measure(x, y, **options), measure(x.cuda(), y.cuda(), **options)
        if name == "mantel_test":
            on_cpu, on_gpu = on_cpu.statistic, on_gpu.statistic
        assert on_gpu == pytest.approx(on_cpu, rel=1e-9), name
    assert metrics.neighborhood(x.cuda(), y.cuda()).recall == metrics.neighborhood(x, y).recall
    assert metrics.linear_probe(x.cuda(), y.cuda()).r2 == pytest.approx(metrics.linear_probe(x, y).r2, rel=1e-9)
    assert metrics.fit_ridge(x.cuda(), y.cuda()).predict(x).is_cuda
    for name in ("mle_dimension", "twonn_dimension", "pca_dimension", "effective_rank", "participation_ratio"):
        assert getattr(metrics, name)(x.cuda()) == pytest.approx(getattr(metrics, name)(x), rel=1e-9), name
    twins = torch.cat([x, x[:5]])
    assert metrics.duplicate_groups(twins.cuda()) == metrics.duplicate_groups(twins)
    flowers, kinds = iris
    assert metrics.silhouette(torch.tensor(flowers).cuda(), torch.tensor(kinds).cuda()) == pytest.approx(
        metrics.silhouette(flowers, kinds), rel=1e-12
    )
