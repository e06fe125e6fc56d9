"""The arrays of a made-up analysis; see example.py."""

from __future__ import annotations

import numpy as np


def arrays(results, per_label, rng):
    """Return the arrays of ``figures.safetensors``, from two spaces that share part of a made-up latent."""
    n, labels = results.rows, results.labels
    codes = np.repeat(np.arange(len(labels)), per_label).astype(np.int32)
    centres = rng.standard_normal((len(labels), 6)) * 1.6
    shared = centres[codes] + rng.standard_normal((n, 6))
    x = shared + 0.5 * rng.standard_normal((n, 6))
    y = shared @ rng.standard_normal((6, 6)) * 0.7 + 0.8 * rng.standard_normal((n, 6))
    made = {"label": codes}
    for i, space in enumerate(results.spaces):
        turn = rng.standard_normal((6, 2))
        if space.pooling == "channel_mean" or space.side == "target":
            made[f"tsne/{i}"] = ((centres[codes] * 5 + rng.standard_normal((n, 6)) * 2.2) @ turn).astype(np.float32)
        power = np.arange(1, min(n, space.dimension) + 1) ** -(1.6 if space.side == "source" else 1.1)
        made[f"spectrum/{i}"] = (np.cumsum(power) / power.sum()).astype(np.float32)
    variance = rng.gamma(0.6, 1.0, 128)
    mixed = rng.standard_normal((128, 24)) @ rng.standard_normal((24, 400)) + 2 * rng.standard_normal((128, 400))
    made |= {"channels/variance": variance, "channels/correlation": np.corrcoef(mixed)}
    down, across = np.mgrid[:8, :8]
    made["spatial/autocorrelation"] = 0.9 * np.exp(-np.hypot(down, across) / 3) + 0.1 * (down + across == 0) - 0.05
    made["spatial/variance"] = 1.0 + 0.7 * np.exp(-((down - 3.5) ** 2 + (across - 3.5) ** 2) / 8)
    made |= distance_arrays(x, y, codes, rng)
    true = y[:, :4] * np.array([5.0, 3.0, 2.0, 1.5])
    made |= {"probe/true": true, "probe/predicted": 0.8 * true + 0.8 * rng.standard_normal(true.shape)}
    made |= example_arrays(x, y, codes, rng)
    made["duplicates/set"] = np.array([0, 0, 1, 1], dtype=np.int32)
    made["duplicates/thumbnails"] = np.repeat(rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8), 2, axis=0)
    return made


def distances(x):
    return np.linalg.norm(x[:, None] - x[None], axis=2)


def distance_arrays(x, y, codes, rng):
    i, j = np.triu_indices(len(x), 1)
    dx, dy = distances(x), distances(y)
    some = np.sort(rng.permutation(len(i))[:4000])
    ranks = [d[i, j].argsort().argsort() * 40 // len(i) for d in (dx, dy)]
    grid = np.bincount(ranks[0] * 40 + ranks[1], minlength=1600).reshape(40, 40) / len(i)
    count = codes.max() + 1
    cells = [(codes == a, codes == b) for a in range(count) for b in range(count)]
    means = [np.reshape([d[np.ix_(a, b)].mean() for a, b in cells], (count, count)) for d in (dx, dy)]
    near = (dx + np.diag(np.full(len(x), np.inf))).argmin(axis=1)
    order = (dy + np.diag(np.full(len(y), np.inf))).argsort(axis=1).argsort(axis=1)
    return {
        "rsa/source": dx[i, j][some],
        "rsa/target": dy[i, j][some],
        "rsa/same": (codes[i] == codes[j])[some].astype(np.float32),
        "rsa/ranks": grid,
        "rsa/source_categories": means[0],
        "rsa/target_categories": means[1],
        "neighborhood/ranks": (order[np.arange(len(x)), near] + 1).astype(np.int32),
    }


def example_arrays(x, y, codes, rng):
    queries = rng.permutation(len(x))[:6]
    near = [(distances(a) + np.diag(np.full(len(a), np.inf))).argsort(axis=1)[queries, :5] for a in (x, y)]
    rows = sorted({int(r) for r in np.concatenate([queries[:, None], *near], axis=1).ravel()})
    place = {row: k for k, row in enumerate(rows)}
    pictures = np.full((len(rows), 64, 64, 3), 255, dtype=np.uint8)
    down, across = np.mgrid[:64, :64]
    for k, row in enumerate(rows):
        cy, cx, r = rng.integers(18, 46), rng.integers(18, 46), rng.integers(8, 16)
        colour = np.random.default_rng(int(codes[row])).integers(0, 220, 3)
        inside = (
            np.hypot(down - cy, across - cx) < r if codes[row] % 2 else (abs(down - cy) < r) & (abs(across - cx) < r)
        )
        pictures[k][inside] = colour
    index = np.vectorize(place.__getitem__, otypes=[np.int32])
    return {
        "neighborhood/query": index(queries),
        "neighborhood/source": index(near[0]),
        "neighborhood/target": index(near[1]),
        "thumbnails": pictures,
    }
