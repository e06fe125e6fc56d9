"""Made-up pairs of spaces with a known truth: independent, alike only in trivial ways, or with a real bridge.

Nulls and alternatives of the design (isotropic and power-law spectra, massive dimensions, heavy tails, clusters, labels
only, repeated inputs, clips, shared latents, labels with a shared instance part, a lost attribute), and others that it
does not name: unlabelled categories, picture statistics only, a few outliers only, undeclared repeats of inputs, curved
features of colour, controls that explain the target only together, and a relation that is not linear.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Matrix = np.ndarray
WIDE, NARROW = 3584, 2048


@dataclass(frozen=True)
class Draw:
    """One data set.

    Attributes:
        x: source ``[n, d1]``.
        y: target ``[n, d2]``.
        labels: categories; None for unlabelled data.
        groups: group of each row; None for one group per row.
        controls: other representations of the inputs, by control name.
        attributes: ``[n]`` by name; if empty, the attribute criterion is waived.
    """

    x: Matrix
    y: Matrix
    labels: list[str] | None = None
    groups: list[str] | None = None
    controls: dict[str, Matrix] = field(default_factory=dict)
    attributes: dict[str, Matrix] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """A generator of data, and whether they have a bridge.

    Attributes:
        name: name in the table. It also seeds the draws, so a change of name changes the data.
        truth: ``no``, ``yes``, or ``boundary`` where the truth is on a threshold.
        draw: returns a data set for a number of rows and a random generator.
    """

    name: str
    truth: str
    draw: Callable[[int, np.random.Generator], Draw]


def scenarios(d1: int = WIDE, d2: int = NARROW) -> list[Scenario]:
    """Return every scenario, with sources of ``d1`` and targets of ``d2`` columns."""

    def noise(n: int, rng: np.random.Generator) -> tuple[Matrix, Matrix]:
        return _normal(rng, n, d1), _normal(rng, n, d2)

    def isotropic(n: int, rng: np.random.Generator) -> Draw:
        return Draw(*noise(n, rng), labels=_labels(n, rng))

    def power_law(n: int, rng: np.random.Generator) -> Draw:
        x, y = noise(n, rng)
        return Draw(x / np.sqrt(1 + np.arange(d1)), y / np.sqrt(1 + np.arange(d2)), labels=_labels(n, rng))

    def massive(n: int, rng: np.random.Generator) -> Draw:
        x, y = noise(n, rng)
        x[:, :3] *= 30
        y[:, :3] *= 30
        return Draw(x, y, labels=_labels(n, rng))

    def heavy_tails(n: int, rng: np.random.Generator) -> Draw:
        return Draw(rng.standard_t(3, (n, d1 // 14)), rng.standard_t(3, (n, d2 // 16)), labels=_labels(n, rng))

    def clusters(n: int, rng: np.random.Generator) -> Draw:
        x, y = noise(n, rng)
        x += 1.5 * _normal(rng, 9, d1)[rng.integers(0, 9, n)]
        y += 1.5 * _normal(rng, 9, d2)[rng.integers(0, 9, n)]
        return Draw(x, y, labels=_labels(n, rng))

    def label_only(share: float, *, labelled: bool = True) -> Callable[[int, np.random.Generator], Draw]:
        def draw(n: int, rng: np.random.Generator) -> Draw:
            labels = _labels(n, rng)
            codes = np.unique(labels, return_inverse=True)[1]
            spaces = (
                np.sqrt(share) * _normal(rng, 9, d)[codes] + np.sqrt(1 - share) * _normal(rng, n, d) for d in (d1, d2)
            )
            return Draw(*spaces, labels=labels if labelled else None)

        return draw

    def repeated(times: int) -> Callable[[int, np.random.Generator], Draw]:
        def draw(n: int, rng: np.random.Generator) -> Draw:
            x, y = noise(n // times, rng)
            rows = np.arange(n // times).repeat(times)
            return Draw(x[rows], y[rows], labels=list(np.array(_labels(n // times, rng))[rows]))

        return draw

    def clips(n: int, rng: np.random.Generator) -> Draw:
        of = np.arange(n) // 10
        spaces = (np.sqrt(0.8) * _normal(rng, n // 10 + 1, d)[of] + np.sqrt(0.2) * _normal(rng, n, d) for d in (d1, d2))
        labels = np.array(_labels(n // 10 + 1, rng))[of]
        return Draw(*spaces, labels=list(labels), groups=[f"clip{i}" for i in of])

    def shared(share: float) -> Callable[[int, np.random.Generator], Draw]:
        def draw(n: int, rng: np.random.Generator) -> Draw:
            x, y = noise(n, rng)
            common = _normal(rng, n, 5)
            y = np.sqrt(share) * _spread(common, d2, rng) + np.sqrt(1 - share) * y
            return Draw(_spread(common, d1, rng) + 0.3 * x, y, labels=_labels(n, rng))

        return draw

    def label_and_shared(instance: float) -> Callable[[int, np.random.Generator], Draw]:
        """Labels hold .4 of the target's variance, latents shared by each sample the share ``instance`` of the rest."""

        def draw(n: int, rng: np.random.Generator) -> Draw:
            x, y = noise(n, rng)
            labels, common = _labels(n, rng), _normal(rng, n, 5)
            codes = np.unique(labels, return_inverse=True)[1]
            rest = np.sqrt(instance) * _spread(common, d2, rng) + np.sqrt(1 - instance) * y
            y = np.sqrt(0.4) * _normal(rng, 9, d2)[codes] + np.sqrt(0.6) * rest
            return Draw(_normal(rng, 9, d1)[codes] + _spread(common, d1, rng) + 0.3 * x, y, labels=labels)

        return draw

    def heavy_shared(n: int, rng: np.random.Generator) -> Draw:
        """Draw latents from a t distribution and noise of uneven size, since real data are not Gaussian."""
        x, y = noise(n, rng)
        common, size = rng.standard_t(5, (n, 12)), np.exp(0.4 * _normal(rng, n, 1))
        y = np.sqrt(0.7) * _spread(common / np.sqrt(5 / 3), d2, rng) + np.sqrt(0.3) * size / np.exp(0.16) * y
        return Draw(_spread(common, d1, rng) + 0.3 * size * x, y, labels=_labels(n, rng))

    def attribute(present: bool) -> Callable[[int, np.random.Generator], Draw]:
        """Five shared directions hold .7 of the target, two of position .05, which the source holds if ``present``."""

        def draw(n: int, rng: np.random.Generator) -> Draw:
            x, y = noise(n, rng)
            common, position = _normal(rng, n, 5), _normal(rng, n, 2)
            y = np.sqrt(0.7) * _spread(common, d2, rng) + np.sqrt(0.05) * _spread(position, d2, rng) + np.sqrt(0.25) * y
            source = _spread(common, d1, rng) + 0.3 * x + present * _spread(position, d1, rng)
            attributes = {"x": position[:, 0], "y": position[:, 1]}
            return Draw(source, y, labels=_labels(n, rng), attributes=attributes)

        return draw

    def pixel_statistics(n: int, rng: np.random.Generator) -> Draw:
        """Both spaces hold the picture's thumbnail, and share nothing else."""
        x, y = noise(n, rng)
        thumbnail = _normal(rng, n, 192) / np.sqrt(1 + np.arange(192))
        y = np.sqrt(0.8) * _spread(thumbnail, d2, rng) + np.sqrt(0.2) * y
        controls = {"pixels": thumbnail.astype(np.float32)}
        return Draw(_spread(thumbnail, d1, rng) + 0.3 * x, y, labels=_labels(n, rng), controls=controls)

    def outliers(n: int, rng: np.random.Generator) -> Draw:
        """A few blank inputs are outliers in both spaces, at different distances; the rest shares nothing."""
        x, y = noise(n, rng)
        far = (rng.random(n) < 0.04) * np.exp(0.5 * _normal(rng, n, 1)[:, 0])
        x += 10 * np.outer(far, _normal(rng, 1, d1)[0])
        y += 10 * np.outer(far, _normal(rng, 1, d2)[0])
        controls = {"mean_rgb": np.stack([far > 0, far > 0, far > 0], axis=1).astype(np.float32)}
        return Draw(x, y, labels=_labels(n, rng), controls=controls)

    def curved(n: int, rng: np.random.Generator) -> Draw:
        """The target holds squares and products of the source's latents: related, but by no linear map."""
        x, y = noise(n, rng)
        common = _normal(rng, n, 5)
        folded = np.stack([common[:, i] * common[:, j] for i in range(5) for j in range(i, 5)], axis=1)
        y = np.sqrt(0.8) * _spread(folded - folded.mean(axis=0), d2, rng) + np.sqrt(0.2) * y
        return Draw(_spread(common, d1, rng) + 0.3 * x, y, labels=_labels(n, rng))

    def undeclared(n: int, rng: np.random.Generator) -> Draw:
        """Every input appears four times, slightly changed each time, in separate groups."""
        x, y = noise(n // 4, rng)
        rows = np.arange(n // 4 * 4) // 4
        spaces = (part[rows] + 0.05 * _normal(rng, len(rows), part.shape[1]) for part in (x, y))
        return Draw(*spaces, labels=list(np.array(_labels(n // 4, rng))[rows]))

    def hidden(n: int, rng: np.random.Generator) -> Draw:
        """One category for every five samples, and no labels."""
        codes = rng.integers(0, n // 5, n)
        spaces = (np.sqrt(0.8) * _normal(rng, n // 5, d)[codes] + np.sqrt(0.2) * _normal(rng, n, d) for d in (d1, d2))
        return Draw(*spaces)

    def colours(n: int, rng: np.random.Generator) -> Draw:
        """Both spaces are curved features of three numbers, the mean colour."""
        x, y = noise(n, rng)
        colour = rng.random((n, 3)).astype(np.float32)

        def features(width: int) -> Matrix:
            return np.cos(colour @ _normal(rng, 3, width) * 3 + 6.3 * rng.random(width, dtype=np.float32))

        y = features(d2) * np.sqrt(2 * 0.8) + np.sqrt(0.2) * y
        return Draw(features(d1) + 0.2 * x, y, labels=_labels(n, rng), controls={"mean_rgb": colour})

    def two_controls(n: int, rng: np.random.Generator) -> Draw:
        """Labels explain .42 of the target and the thumbnail another .42: only together do they explain it all."""
        x, y = noise(n, rng)
        labels, thumbnail = _labels(n, rng), _normal(rng, n, 12)
        codes = np.unique(labels, return_inverse=True)[1]
        y = np.sqrt(0.42) * _normal(rng, 9, d2)[codes] + np.sqrt(0.42) * _spread(thumbnail, d2, rng) + 0.4 * y
        x = _normal(rng, 9, d1)[codes] + _spread(thumbnail, d1, rng) + 0.3 * x
        return Draw(x, y, labels=labels, controls={"pixels": thumbnail})

    return [
        Scenario("independent, isotropic", "no", isotropic),
        Scenario("independent, power-law spectra", "no", power_law),
        Scenario("independent, 3 massive dimensions", "no", massive),
        Scenario("independent, heavy tails (t3)", "no", heavy_tails),
        Scenario("independent, each with its own clusters", "no", clusters),
        Scenario("labels only, half of the variance", "no", label_only(0.5)),
        Scenario("labels only, 0.8 of the variance", "no", label_only(0.8)),
        Scenario("labels only, 0.8, and nobody tells them", "no", label_only(0.8, labelled=False)),
        Scenario("independent, every input twice", "no", repeated(2)),
        Scenario("independent, every input ten times", "no", repeated(10)),
        Scenario("independent, clips of 10 frames", "no", clips),
        Scenario("independent, inputs four times, unsaid", "no", undeclared),
        Scenario("categories of five samples, nobody tells", "no", hidden),
        Scenario("curved features of the mean colour", "no", colours),
        Scenario("labels and thumbnail, only together", "no", two_controls),
        Scenario("picture statistics only (R2 0.8)", "no", pixel_statistics),
        Scenario("a few outliers only", "no", outliers),
        Scenario("related, but by no linear map", "no", curved),
        Scenario("shared, R2 0.3", "no", shared(0.3)),
        Scenario("position (5 % of variance) lost", "no", attribute(present=False)),
        Scenario("shared, R2 0.5", "boundary", shared(0.5)),
        Scenario("labels 0.4 + shared, R2 0.52", "boundary", label_and_shared(0.2)),
        Scenario("shared, R2 0.6", "yes", shared(0.6)),
        Scenario("shared, R2 0.7", "yes", shared(0.7)),
        Scenario("shared, R2 0.8", "yes", shared(0.8)),
        Scenario("shared, R2 0.7, uneven and heavy-tailed", "yes", heavy_shared),
        Scenario("labels 0.4 + shared, R2 0.76", "yes", label_and_shared(0.6)),
        Scenario("labels 0.4 + shared, R2 0.88", "yes", label_and_shared(0.8)),
        Scenario("position (5 % of variance) carried", "yes", attribute(present=True)),
    ]


def _normal(rng: np.random.Generator, n: int, d: int) -> Matrix:
    return rng.standard_normal((n, d), dtype=np.float32)


def _spread(latent: Matrix, d: int, rng: np.random.Generator) -> Matrix:
    """Spread ``latent [n, q]`` over ``d`` columns by random loadings, scaled to a mean variance of 1."""
    loadings = rng.standard_normal((latent.shape[1], d))
    scale = np.sqrt(np.square(latent.std(axis=0)).sum())
    return (latent @ loadings / scale).astype(np.float32)


def _labels(n: int, rng: np.random.Generator) -> list[str]:
    return [f"category {code}" for code in rng.integers(0, 9, n)]
