"""Made-up analyses, deterministic: one with everything measured, one with all optional parts missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foresight_cli.results import (
    AdapterResults,
    AdapterScore,
    Analysis,
    Attribute,
    AttributeGain,
    Category,
    ChosenPair,
    Control,
    Duplicates,
    Estimate,
    LearningPoint,
    Neighborhood,
    Pair,
    SeedScore,
    Space,
)
from tests.reporting.example_arrays import arrays
from tests.reporting.example_verdict import bare_verdict, permutation_tests, verdict
from tests.reporting.example_verdict import bounded as around

LABELS = (
    "blue circle",
    "cool gradient",
    "green square",
    "horizontal stripes",
    "purple triangle",
    "red circle",
    "vertical stripes",
    "warm gradient",
    "yellow square",
)
POOLINGS = ("channel_mean", "flat")


def full(layers=("8", "final"), labels=LABELS, per_label=30, seed=0):
    """Return an analysis with every field filled, and the arrays for its figures."""
    rng = np.random.default_rng(seed)
    n = len(labels) * per_label
    spaces = [space("source", "qwen25vl", layer, pooling, n, rng) for layer in layers for pooling in POOLINGS]
    spaces += [space("target", "ltxv", "final", pooling, n, rng) for pooling in POOLINGS]
    targets = [len(spaces) - 2, len(spaces) - 1]
    pairs = [pair(s, t, rng) for s in range(len(layers) * 2) for t in targets]
    index = max(range(len(pairs)), key=lambda i: pairs[i].selection_r2)
    more = [
        Neighborhood(k, around(0.07 * k**0.55, 0.015), 0.04 * k**0.6, 0.1, k / (n - 1))
        for k in (1, 5, 20, 50, 100)
        if k < n - 1
    ]
    pairs[index] = replace(pairs[index], neighborhood=[*pairs[index].neighborhood, *more])
    similar = list(range(0, 2 * len(layers), 2))
    results = Analysis(
        source="qwen25vl",
        target="ltxv",
        weights="tiny",
        data={"name": "shapes", "seed": 0, "per_category": per_label},
        labels=dict.fromkeys(labels, per_label),
        rows=n,
        duplicates=Duplicates(
            rows=n + 84,
            exact=78,
            near=6,
            groups=n - 3,
            examples=[["cool gradient/0", "cool gradient/1"], ["warm gradient/0", "warm gradient/1"]],
            skipped=[["broken.png", "not an image"]],
        ),
        spaces=spaces,
        pairs=pairs,
        layer_similarity=[[round(1 - 0.08 * abs(a - b), 4) for b in similar] for a in similar],
        layer_similarity_spaces=similar,
        top_channels=[35, 22, 37, 63, 1, 53, 126, 51, 34, 123],
        chosen=chosen(index, labels, per_label, n, rng),
        controls=[
            Control("pixels", 0.482, 0.702, 0.655, 0.291, around(0.063, 0.021)),
            Control("histogram", 0.311, 0.552, 0.604, 0.183, around(0.214, 0.028)),
            Control("mean_rgb", 0.214, 0.401, 0.377, 0.112, around(0.301, 0.026)),
            Control("random_network", 0.402, 0.513, 0.588, 0.201, around(0.121, 0.024)),
            Control("random_init", 0.377, 0.498, 0.561, 0.188, around(0.142, 0.023)),
            Control("label", 0.297, 0.466, 0.304, 0.097, around(0.241, 0.025)),
        ],
        verdict=verdict(),
        settings={
            "seed": 0,
            "folds": 5,
            "neighbors": 10,
            "permutations": 999,
            "thresholds": {"r2": 0.5, "delta": 0.05, "retention": 0.7, "ceiling": 0.3, "min_groups": 100},
        },
        provenance={
            "entries": ["outputs/cache/qwen25vl/layer-8/channel_mean/0123456789abcdef"],
            "recipes": [{"layer": "8", "pooling": "channel_mean", "rows": n + 84}],
            "versions": {"foresight-latents": "0.1.0", "torch": "2.13.0"},
        },
        warnings=["weights=tiny: small checkpoints trained on drawn shapes; this says nothing about the real models"],
        left_alone={"files": {".heic": 21, ".txt": 1}},
    )
    return results, arrays(results, per_label, rng)


def space(side, model, layer, pooling, rows, rng):
    deep = 0.5 if layer == "final" else float(layer) / 28
    return Space(
        side=side,
        model=model,
        layer=layer,
        pooling=pooling,
        rows=rows,
        dimension={"source": (64, 1024), "target": (128, 8192)}[side][pooling == "flat"],
        key=rng.bytes(8).hex(),
        silhouette=round((0.55 - 0.12 * deep if side == "source" else 0.3) - 0.1 * (pooling == "flat"), 3),
        knn_accuracy=round(0.99 - 0.02 * deep - 0.05 * (pooling == "flat"), 3),
        knn_chance=0.111,
        intra_inter_ratio=0.412,
        mle_dimension=9.93 if side == "source" else 18.31,
        twonn_dimension=11.71 if side == "source" else 7.42,
        pca_dimensions=[14, 26, 48] if side == "source" else [38, 64, 99],
        effective_rank=21.4 if side == "source" else 55.2,
        participation_ratio=6.1 if side == "source" else 14.8,
        top_feature_share=0.08,
        near_duplicates=2,
    )  # fmt: skip


def pair(source, target, rng):
    flat = target % 2
    r2 = 0.56 - 0.13 * flat + 0.02 * float(rng.uniform(-1, 1))
    cka = 0.61 - 0.08 * flat + 0.04 * float(rng.uniform(-1, 1))
    return Pair(
        source=source,
        target=target,
        cka=around(cka, 0.03, chance=0.0, p=0.001),
        cka_biased=Estimate(cka + 0.09, chance=0.21 + 0.2 * flat),
        r2=around(r2, 0.022),
        r2_reverse=r2 - 0.09,
        cosine=0.781,
        cosine_reverse=0.702,
        spearman=around(0.684, 0.02, chance=0.0, p=0.001),
        spearman_cosine=0.628,
        pearson=0.75,
        neighborhood=[Neighborhood(10, around(0.268, 0.018, chance=0.037, p=0.001), 0.162, 0.107, 10 / 269)],
        selection_r2=round(r2 - 0.01, 4),
        tests=permutation_tests(),
    )


def chosen(index, labels, per_label, n, rng):
    return ChosenPair(
        index=index,
        pc_r2=[0.91, 0.84, 0.72, 0.61, 0.44, 0.28],
        kendall=0.504,
        mantel=Estimate(0.75, chance=0.001, p_value=0.001),
        within_label=permutation_tests(corrected=0.004),
        procrustes=0.421,
        categories=[
            Category(label, per_label, 0.12 + 0.3 * float(rng.random()), 0.1 + 0.5 * float(rng.random()), 3.1, 4.2)
            for label in labels
        ],
        learning_curve=[
            LearningPoint(round(n * 0.8 * share), r2, train)
            for share, r2, train in ((0.125, 0.21, 0.93), (0.25, 0.38, 0.89), (0.5, 0.49, 0.84), (1.0, 0.56, 0.8))
        ],
        r2_limit=0.729,
        r2_typical=around(0.53, 0.025),
        r2_unseen=around(0.51, 0.03),
        within_clusters=permutation_tests(corrected=0.006),
        shifted_cka=0.012,
        power=0.993,
        attributes=[
            Attribute("x", 0.41, 0.93, 0.22, Estimate(0.237, 0.19, 0.28, 0.0)),
            Attribute("y", 0.44, 0.94, 0.25, Estimate(0.266, 0.21, 0.31, 0.0)),
            Attribute("size", 0.72, 0.88, 0.63, Estimate(0.716, 0.66, 0.77, 0.0)),
            Attribute("hue", 0.31, 0.21, 0.11, None, 0.162),
        ],
    )


def decodable():
    """Return the full analysis with the verdict on a flat target; every other target is flat."""
    results = full()[0]
    index = max((1, 3, 5, 7), key=lambda i: results.pairs[i].selection_r2)
    return replace(results, chosen=replace(results.chosen, index=index))


def bare():
    """Return an analysis of a single pair without any optional part (labels, attributes, controls); and no arrays."""
    results, _ = full(layers=("final",), per_label=4)
    spaces = [
        replace(s, silhouette=None, knn_accuracy=None, knn_chance=None, intra_inter_ratio=None, mle_dimension=None,
                twonn_dimension=None)
        for s in (results.spaces[0], results.spaces[2])
    ]  # fmt: skip
    only = replace(
        results.pairs[0],
        source=0,
        target=1,
        cka=Estimate(0.61),
        cka_biased=Estimate(0.7),
        r2=Estimate(0.56),
        spearman=Estimate(0.684),
        neighborhood=[Neighborhood(10, Estimate(0.268), 0.162, 0.107, 0.25)],
        selection_r2=None,
        tests=[],
    )
    nothing = replace(
        results.chosen,
        index=0,
        pc_r2=[],
        within_label=[],
        categories=[],
        learning_curve=[],
        r2_limit=None,
        r2_typical=Estimate(0.51),
        r2_unseen=None,
        within_clusters=[],
        attributes=[],
    )
    return replace(
        results,
        weights="hub",
        data={},
        labels={},
        rows=36,
        duplicates=Duplicates(36, 0, 0, 36, [], []),
        spaces=spaces,
        pairs=[only],
        layer_similarity=[],
        layer_similarity_spaces=[],
        top_channels=[],
        chosen=nothing,
        controls=[],
        verdict=bare_verdict(),
        settings={},
        provenance={},
        warnings=[],
    ), {}


def adapter(
    name="mlp",
    source="qwen25vl layer 8 channel_mean",
    target="ltxv final channel_mean",
    weights="tiny",
    r2=0.583,
    keys=None,
):
    return AdapterResults(
        adapter=name,
        source=source,
        target=target,
        weights=weights,
        duplicates=Duplicates(354, 78, 6, 267, [], []),
        rows={"train": 160, "val": 54, "test": 54},
        scores=[
            adapter_score(name, 49_792, r2, 0.792, None),
            adapter_score("mean", 128, -0.004, 0.0, r2 + 0.004),
            adapter_score("ridge", 8_320, 0.551, 0.77, r2 - 0.551),
            adapter_score("shuffled", 8_320, -0.021, 0.01, r2 + 0.021),
        ],
        shape={},
        chance={"1": 0.019, "5": 0.093, "10": 0.185},
        r2_validation=Estimate.of(r2 + 0.01, 0.02),
        r2_train=0.744,
        noise_ceiling=1.0,
        noise_from=None,
        r2_per_component=[0.91, 0.43],
        attributes=[Attribute("x", 0.93, 0.88, 0.21, Estimate(0.239, 0.19, 0.281))],
        attributes_ridge=[Attribute("x", 0.93, 0.88, 0.19, Estimate(0.216, 0.17, 0.26))],
        attribute_gains=[AttributeGain("x", Estimate(0.02, -0.01, 0.05), "tie")],
        seeds=[SeedScore(0, r2, r2 + 0.01, 0.744, 112, 92), SeedScore(1, r2 - 0.012, r2 - 0.013, 0.731, 99, 79)],
        saved_seed=0,
        settings={"hidden": 256},
        provenance={"versions": {"torch": "2.13.0"}, "keys": keys or chosen_keys()},
    )


def adapter_score(name, parameters, r2, cosine, gain):
    outcome = None if gain is None else "tie" if abs(gain) < 0.04 else "better" if gain > 0 else "worse"
    recall = {"1": 0.1, "5": 0.2, "10": 0.304}
    return AdapterScore(name, parameters, Estimate.of(r2, 0.02), cosine, recall,
                        None if gain is None else Estimate.of(gain, 0.02), outcome)  # fmt: skip


def chosen_keys():
    """Return the cache keys of the verdict's pair in the full example."""
    results, _ = full()
    return [results.chosen_source.key, results.chosen_target.key]
