"""The numbers of the Q1 study: as published, by its estimators on these latents, and as foresight measures them.

Its estimators are implemented here with their faults, since these explain the differences: duplicates left in, rows
split freely, epochs chosen on the test rows, a biased CKA. A comment marks each choice that the study does not specify.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from foresight_cli.catalog.find import Found
from foresight_cli.latents import Latents, load
from foresight_cli.metrics import (
    linear_cka,
    mantel_test,
    mle_dimension,
    neighborhood,
    pca_dimension,
    rsa,
    silhouette,
    twonn_dimension,
)
from foresight_cli.results import Analysis, Space

LAYERS = ("4", "8", "16", "24", "final")
EPOCHS, RATE, DECAY = 100, 1e-3, 1e-4


@dataclass(frozen=True)
class StudyRow:
    """One number of the study.

    Attributes:
        section: of the write-up.
        measure: in the words of the study.
        published: value in the study.
        recomputed: by its estimator on these latents; None if the layer or pooling is missing.
        foresight: the closest value that foresight reports; None if it reports none.
        differs: why the last two differ.
    """

    section: str
    measure: str
    published: float
    recomputed: float | None
    foresight: float | None
    differs: str


def study_rows(entries: Found, results: Analysis) -> list[StudyRow]:
    """Return every number in the write-up of the study.

    The study does not specify the layer and pooling of its sections 3 to 6; here they are ``final`` and the target's
    ``channel_mean``, as it recommends.
    """
    sources = {(e.recipe.layer, e.recipe.pooling): e for e in entries.source}
    targets = {e.recipe.pooling: e for e in entries.target}
    opened: dict[str, Latents] = {}

    def latents(entry: object) -> Latents:
        key = str(entry.path)  # type: ignore[attr-defined]
        if key not in opened:
            opened[key] = load(entry)  # type: ignore[arg-type]
        return opened[key]

    layers = {layer: latents(sources[layer, "channel_mean"]) for layer in LAYERS if (layer, "channel_mean") in sources}
    spaces = {pooling: latents(entry) for pooling, entry in targets.items()}
    return list(_Study(layers, spaces, results).rows())


@dataclass
class _Study:
    layers: dict[str, Latents]
    targets: dict[str, Latents]
    results: Analysis

    def rows(self) -> Iterator[StudyRow]:
        yield from self._clusters()
        yield from self._dimension()
        final, mean = self.layers.get("final"), self.targets.get("channel_mean")
        if final is not None and mean is not None:
            yield from self._pair(final, mean)
        yield from self._cka()

    def _clusters(self) -> Iterator[StudyRow]:
        drawn, kept = 30, "duplicates left in"
        for layer, published, accuracy in (("8", 0.533, 0.996), ("final", 0.447, None)):
            own = self._space("source", layer, "channel_mean")
            name, latents = f"VLM {_layer(layer)}", self.layers.get(layer)
            value = None if latents is None else silhouette(*_some(latents, drawn))
            yield StudyRow("E-Q1.1", f"{name}, silhouette", published, value, _get(own, "silhouette"), kept)
            if accuracy is not None:
                value = None if latents is None else knn(*_some(latents, drawn))
                why = "duplicates left in, folds split them"
                yield StudyRow("E-Q1.1", f"{name}, 5-NN accuracy", accuracy, value, _get(own, "knn_accuracy"), why)
        for pooling, published in (("channel_mean", 0.371), ("flat", 0.208)):
            own, latents = self._space("target", "final", pooling), self.targets.get(pooling)
            value = None if latents is None else silhouette(*_some(latents, drawn))
            yield StudyRow("E-Q1.2", f"LTX {pooling}, silhouette", published, value, _get(own, "silhouette"), kept)
            if pooling == "channel_mean":
                value = None if latents is None else knn(*_some(latents, drawn))
                why = "duplicates left in, folds split them"
                yield StudyRow("E-Q1.2", f"LTX {pooling}, 5-NN accuracy", 0.996, value, _get(own, "knn_accuracy"), why)

    def _dimension(self) -> Iterator[StudyRow]:
        published = {"VLM": (9.9, 11.7, 26), "LTX": (68.3, 7.4, 64)}
        kept, arithmetic = "duplicates left in", "k = 10 and an arithmetic mean, which near-duplicates inflate"
        ratios: list[tuple[float | None, float | None]] = []
        for name, latents, space in (
            ("VLM", self.layers.get("final"), self._space("source", "final", "channel_mean")),
            ("LTX", self.targets.get("channel_mean"), self._space("target", "final", "channel_mean")),
        ):
            x = None if latents is None else _some(latents, 50)[0]
            mle, twonn, pca = published[name]
            value, own = _of(x, lambda v: mle_dimension(v, k=10, average="arithmetic")), _get(space, "mle_dimension")
            ratios.append((value, own))
            yield StudyRow("E-Q1.3", f"{name}, MLE", mle, value, own, arithmetic)
            value, own = _of(x, twonn_dimension), _get(space, "twonn_dimension")
            yield StudyRow("E-Q1.3", f"{name}, Two-NN", twonn, value, own, kept)
            value, own = _of(x, pca_dimension), space.pca_dimensions[1] if space else None
            yield StudyRow("E-Q1.3", f"{name}, PCA 95 %", pca, value, own, kept)
        (low, own_low), (high, own_high) = ratios
        both = ratio(high, low), ratio(own_high, own_low)
        yield StudyRow("E-Q1.3", "LTX over VLM, MLE", 6.9, *both, arithmetic)

    def _pair(self, source: Latents, target: Latents) -> Iterator[StudyRow]:
        index = self._index("final", "channel_mean")
        pair = None if index is None else self.results.pairs[index]
        chosen = self.results.chosen if index == self.results.chosen.index else None
        x = _some(source, 60)[0]
        y = _some(target, 60)[0]
        why = "rows split freely, epoch chosen on the test rows"
        both = []
        for direction, a, b, (r2, cosine), own, centred in (
            ("VLM to LTX", x, y, (0.510, 0.854), _get(pair, "r2", "value"), _get(pair, "cosine")),
            ("LTX to VLM", y, x, (0.430, 0.971), _get(pair, "r2_reverse"), _get(pair, "cosine_reverse")),
        ):
            found_r2, found_cosine = adam_probe(a, b)
            both.append(found_r2)
            yield StudyRow("E-Q1.4", f"{direction}, R2", r2, found_r2, own, why)
            yield StudyRow("E-Q1.4", f"{direction}, cosine", cosine, found_cosine, centred, f"{why}; not centred")
        yield StudyRow("E-Q1.4", "both ways, R2", 0.470, sum(both) / 2, None, "foresight does not average both ways")
        x = _some(source, 40)[0]
        y = _some(target, 40)[0]
        kept = "duplicates left in"
        euclidean, cosine_rho = rsa(x, y), rsa(x, y, distance="cosine")
        yield StudyRow("E-Q1.5", "Spearman, Euclidean", 0.684, euclidean, _get(pair, "spearman", "value"), kept)
        yield StudyRow("E-Q1.5", "Spearman, cosine", 0.628, cosine_rho, _get(pair, "spearman_cosine"), kept)
        pearson = rsa(x, y, correlation="pearson")
        yield StudyRow("E-Q1.5", "Pearson, Euclidean", 0.750, pearson, _get(pair, "pearson"), kept)
        kendall = rsa(x, y, correlation="kendall")
        yield StudyRow("E-Q1.5", "Kendall tau", 0.504, kendall, _get(chosen, "kendall"), kept)
        mantel = mantel_test(x, y, permutations=999)
        yield StudyRow("E-Q1.5", "Mantel, r", 0.750, mantel.statistic, _get(chosen, "mantel", "value"), kept)
        own_p = min((test.p_corrected for test in chosen.within_label), default=None) if chosen else None
        why = "rows permuted freely, so only categories are tested; here within categories"
        yield StudyRow("E-Q1.5", "Mantel, p", 0.001, mantel.p_value, own_p, why)
        x, y = _some(source, 50)[0], _some(target, 50)[0]
        recall = {h.k: h.recall.value for h in pair.neighborhood} if pair else {}
        ties = "equal pictures tie, and are sorted by row"
        for k, published in ((5, 0.198), (10, 0.268), (20, 0.348)):
            yield StudyRow("E-Q1.6", f"recall@{k}", published, overlap(x, y, k)[0], recall.get(k), ties)
        mrr = neighborhood(x, y, k=10).mrr_study
        yield StudyRow("E-Q1.6", "MRR@10", 0.107, mrr, None, "a different measure of the same name: ranks of all ten")
        jaccard = next((h.jaccard for h in pair.neighborhood if h.k == 10), None) if pair else None
        yield StudyRow("E-Q1.6", "Jaccard@10", 0.162, overlap(x, y, 10)[1], jaccard, ties)

    def _cka(self) -> Iterator[StudyRow]:
        for layer, published in (("final", 0.687), ("4", 0.647), ("8", 0.645), ("16", 0.642), ("24", 0.638)):
            index, latents = self._index(layer, "channel_mean"), self.layers.get(layer)
            values = []
            for pooling, target in self.targets.items():
                if latents is not None:
                    values.append((linear_cka(_some(latents, 40)[0], _some(target, 40)[0], debiased=False), pooling))
            own = None if index is None else self.results.pairs[index].cka.value
            why = "biased, the better of two poolings, duplicates left in"
            yield StudyRow("E-Q1.7", f"CKA, {_layer(layer)}", published, max(values)[0] if values else None, own, why)

    def _space(self, side: str, layer: str, pooling: str) -> Space | None:
        matches = (s for s in self.results.spaces if (s.side, s.layer, s.pooling) == (side, layer, pooling))
        return next(matches, None)

    def _index(self, layer: str, pooling: str) -> int | None:
        """Return the index of the pair of a source layer, averaged, with the target's ``pooling``."""
        spaces = self.results.spaces
        for index, pair in enumerate(self.results.pairs):
            source, target = spaces[pair.source], spaces[pair.target]
            if (source.layer, source.pooling, target.pooling) == (layer, "channel_mean", pooling):
                return index
        return None


def ratio(above: float | None, below: float | None) -> float | None:
    """Return ``above / below``, or None if one was not measured."""
    return None if above is None or not below else above / below


def _layer(layer: str) -> str:
    return f"layer_{layer}"


def _of(x: torch.Tensor | None, measure: Callable[[torch.Tensor], float]) -> float | None:
    return None if x is None else measure(x)


def _get(item: Any, *names: str) -> float | None:
    """Return an attribute of an attribute; None if it was not measured."""
    for name in names:
        item = None if item is None else getattr(item, name)
    return item  # type: ignore[no-any-return]


def _some(latents: Latents, per_category: int) -> tuple[torch.Tensor, list[str]]:
    """Return the first ``per_category`` drawings of each category, as in the study; duplicates stay."""
    seen: dict[str | None, int] = {}
    rows = []
    for row, label in enumerate(latents.labels):
        seen[label] = seen.get(label, 0) + 1
        if seen[label] <= per_category:
            rows.append(row)
    return latents.values[rows].double(), [str(latents.labels[row]) for row in rows]


def knn(x: torch.Tensor, labels: list[str]) -> float:
    """Return the accuracy of 5-NN over 5 stratified folds, with equal pictures on both sides of a split."""
    scores = cross_val_score(KNeighborsClassifier(5), x.numpy(), np.asarray(labels), cv=5)
    return float(scores.mean())


def adam_probe(x: torch.Tensor, y: torch.Tensor, *, seed: int = 42, batch: int = 32) -> tuple[float, float]:
    """Return R2 and mean cosine of a linear layer trained by Adam, at the epoch that is best on its own test rows.

    ``x [n, d1]``, ``y [n, d2]``. The study does not give its batch size, nor the learning rates that it tried: here 32,
    and the only rate that it names.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        order = torch.randperm(len(x))
        train, test = order[: int(0.8 * len(x))], order[int(0.8 * len(x)) :]
        layer = torch.nn.Linear(x.shape[1], y.shape[1])
        a, b = x.float(), y.float()
        optimizer = torch.optim.Adam(layer.parameters(), lr=RATE, weight_decay=DECAY)
        total = (b[test] - b[test].mean(dim=0)).square().sum()
        best, cosine = -float("inf"), 0.0
        for _ in range(EPOCHS):
            for rows in train[torch.randperm(len(train))].split(batch):
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(layer(a[rows]), b[rows]).backward()
                optimizer.step()
            with torch.no_grad():
                predicted = layer(a[test])
                r2 = 1.0 - float((b[test] - predicted).square().sum() / total)
            if r2 > best:
                best = r2
                cosine = float(torch.nn.functional.cosine_similarity(predicted, b[test]).mean())
    return best, cosine


def overlap(x: torch.Tensor, y: torch.Tensor, k: int) -> tuple[float, float]:
    """Return mean recall and Jaccard of neighbour lists, sorted as in the study.

    The first column of a full sort is dropped as the row itself, and ties are in the order of the rows: among equal
    pictures, any two spaces agree only because of that order.
    """
    lists = []
    for space in (x, y):
        near = [torch.cdist(rows, space).sort(dim=1, stable=True).indices[:, 1 : k + 1] for rows in space.split(512)]
        lists.append([set(row) for row in torch.cat(near).tolist()])
    shared = [len(a & b) for a, b in zip(*lists, strict=True)]
    return float(np.mean(shared)) / k, float(np.mean([s / (2 * k - s) for s in shared]))
