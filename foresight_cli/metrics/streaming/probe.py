"""The linear probe for rows that come in batches: cross-validated ridge from the sums of each fold."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.linear_algebra import scatter_matrix
from foresight_cli.metrics.ridge.ridge import check_penalties
from foresight_cli.metrics.ridge.streamed import StreamedRidge
from foresight_cli.metrics.streaming.moments import MomentMetric, MomentPart
from foresight_cli.metrics.validation import Labels, Matrix, check_count

MAX_COLUMNS = 8192
"""Largest number of columns of x: five folds take 2.7 GB at this width, and their eigenvectors as much again."""


class StreamedProbe(NamedTuple):
    """Held-out quality of a ridge map.

    Attributes:
        r2: 1 - sum |y - yhat|^2 / sum |y - train mean|^2, pooled over all rows and columns.
        r2_standard_error: Nadeau and Bengio's standard error over folds.
        r2_interval: r2 -/+ 1.96 standard errors.
        r2_per_fold: r2 within each fold.
        penalties: lambda chosen for each fold.
    """

    r2: float
    r2_standard_error: float
    r2_interval: tuple[float, float]
    r2_per_fold: tuple[float, ...]
    penalties: tuple[float, ...]


class ProbePart(MomentPart):
    """The sums of one fold: the scatter matrix of x, that of x with y, and the trace of that of y."""

    @staticmethod
    def shapes(n: int, d1: int, d2: int) -> dict[str, tuple[int, ...]]:
        """Return shapes of the first row and the mean of z = (x, y), then of the sums about that mean."""
        return {"origin": (d1 + d2,), "mean": (d1 + d2,), "xx": (d1, d1), "xy": (d1, d2), "yy": ()}

    @property
    def squared_y(self) -> float:
        """Sum of squares of y about its mean."""
        return float(self["yy"])

    def _shift(self, by: torch.Tensor) -> None:
        x, y = self.sides(by)
        self["xx"].addr_(x, x, alpha=self.n)
        self["xy"].addr_(x, y, alpha=self.n)
        self["yy"].add_(self.n * (y @ y))

    def _accumulate(self, rows: torch.Tensor) -> None:
        x, y = self.sides(rows)
        self["xx"].add_(scatter_matrix(x))
        self["xy"].addmm_(x.T, y)
        self["yy"].add_(y.square().sum())


def hashed_folds(groups: Labels, folds: int, seed: int = 0, *, first_row: int = 0) -> npt.NDArray[np.int64]:
    """Return the fold ``[n]`` of each row, 0 .. folds - 1, from a hash of its group and the seed alone.

    So a group's fold depends neither on other rows nor on the worker that has it. Folds are equal in size only on
    average.

    Raises:
        ForesightError: a group is neither a word nor a whole number.

    Example:
        >>> hashed_folds(["a", "b", "a", 7], folds=5).tolist()
        [2, 0, 2, 1]
    """
    values = groups.tolist() if isinstance(groups, torch.Tensor | np.ndarray) else groups
    numbers = []
    for row, value in enumerate(values):
        plain = value.item() if isinstance(value, np.generic) else value
        if not isinstance(plain, str | int):
            raise ForesightError(f"groups has {plain!r} in row {row + first_row}: wanted words or whole numbers")
        # Not Python's hash(): that of a word differs from one process to the next.
        digest = hashlib.blake2b(f"{seed}:{plain}".encode(), digest_size=8).digest()
        numbers.append(int.from_bytes(digest, "little") % folds)
    return np.array(numbers, dtype=np.int64)


class LinearProbe(MomentMetric):
    """Cross-validated ridge regression from x ``[n, d1]`` to y ``[n, d2]`` that come in batches.

    Each fold keeps its sums; the training part of a fold is all other folds, merged. On it the columns of x are centred
    and scaled to variance 1, and lambda is one of ``penalties`` times the mean eigenvalue. With one penalty, r2 is that
    of ``linear_probe(..., folds=<the same>, penalties=[it], reach=inf)``. With several, exact leave-one-out would need
    the rows. So the multiple is chosen by leaving out one training fold in turn (smallest pooled squared error); each
    such part is standardised again. The residuals of single rows are unknown, so the standard error is only that of
    Nadeau and Bengio.

    Memory is 8 folds (d1^2 + d1 d2) bytes; ``compute`` takes one eigendecomposition of a ``[d1, d1]`` matrix per fold,
    and, with several penalties, one for each pair of folds.

    Args:
        folds: number of folds, at least 2; at least 3 with several penalties.
        penalties: multiples of the mean eigenvalue to choose from; default logspace(-3, 3, 13).
        seed: seed for the assignment of ``groups`` to folds.
        **kwargs: arguments of ``torchmetrics.Metric``.

    Raises:
        ForesightError: an option is impossible, or a batch invalid; at ``compute``, a fold is empty, a training part
            has fewer than 3 rows, or y is constant.

    Source: Hoerl and Kennard 1970; Nadeau and Bengio 2003, with (1/K + n_test/n_train).

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((200, 10))
        >>> y = x @ rng.standard_normal((10, 4)) + rng.standard_normal((200, 4))
        >>> probe = LinearProbe()
        >>> for start in range(0, 200, 50):
        ...     rows = np.arange(start, start + 50)
        ...     probe.update(x[rows], y[rows], groups=rows)
        >>> round(probe.compute().r2, 2)
        0.93
    """

    part = ProbePart

    def __init__(self, folds: int = 5, penalties: Sequence[float] | None = None, seed: int = 0, **kwargs: Any) -> None:
        self.multiples = check_penalties(penalties)
        check_count(folds, "folds", low=2, high=100)
        if folds == 2 and len(self.multiples) > 1:
            raise ForesightError(
                f"folds=2: wanted at least 3 to choose among {len(self.multiples)} penalties; give one penalty or more "
                "folds"
            )
        super().__init__({"folds": folds, "seed": seed}, **kwargs)
        self.folds, self.seed = folds, seed

    def update(
        self, x: Matrix, y: Matrix, fold: int | Sequence[int] | Matrix | None = None, groups: Labels | None = None
    ) -> None:
        """Add the rows ``x [b, d1]`` and ``y [b, d2]``; b may be 0.

        Args:
            x: source rows.
            y: target rows.
            fold: the fold of each row ``[b]``, or of all.
            groups: alternatively, the group of each row ``[b]`` (its sample id if it is alone), which determines its
                fold: rows of one group are in one fold, on every worker.

        Raises:
            ForesightError: a batch is invalid or has another width than the rows before, x has too many columns, or the
                folds are invalid.
        """
        with torch.inference_mode(False), torch.no_grad():
            first, second = self._batch(x, y)
            d1 = first.shape[1]
            if d1 > MAX_COLUMNS:
                raise ForesightError(
                    f"x has {d1} columns: LinearProbe keeps {self.folds} sums [d1, d1], "
                    f"{8e-9 * self.folds * d1**2:.1f} GB, and takes up to {MAX_COLUMNS}. Project x first, or give "
                    "linear_probe a sample of the rows"
                )
            of_row = torch.from_numpy(self._folds_of(len(first), fold, groups)).to(first.device)
            numbers = of_row.unique().tolist()
            if len(numbers) == 1:  # the usual case where the caller sorts rows by fold
                self._add(numbers[0], first, second)
                return
            for number in numbers:
                self._add(number, first[of_row == number], second[of_row == number])

    def _folds_of(
        self, rows: int, fold: int | Sequence[int] | Matrix | None, groups: Labels | None
    ) -> npt.NDArray[np.int64]:
        if (fold is None) == (groups is None):
            raise ForesightError("LinearProbe wants fold= or groups=, one of them, with every batch")
        seen = self.seen
        if groups is not None:
            assigned = hashed_folds(groups, self.folds, self.seed, first_row=seen)
        else:
            assigned = np.asarray(fold.cpu() if isinstance(fold, torch.Tensor) else fold)
            assigned = np.full(rows, assigned) if assigned.ndim == 0 else assigned.ravel()
            if assigned.dtype.kind not in "iuf":
                raise ForesightError(f"fold has dtype {assigned.dtype}: wanted whole numbers, 0 to {self.folds - 1}")
            wrong = np.flatnonzero((assigned < 0) | (assigned >= self.folds) | (assigned % 1 != 0))
            if len(wrong):
                raise ForesightError(
                    f"fold is {assigned[wrong[0]]} in row {seen + wrong[0]}: wanted 0 to {self.folds - 1}"
                )
        if len(assigned) != rows:
            raise ForesightError(
                f"{'fold' if groups is None else 'groups'} has {len(assigned)} entries for {rows} rows"
            )
        return assigned.astype(np.int64)

    def compute(self) -> StreamedProbe:
        """Return the held-out quality over all rows so far."""
        return self._probe(self._checked_parts())

    def _probe(self, parts: list[ProbePart]) -> StreamedProbe:
        multiples = self._chosen(parts)
        residuals, totals, penalties, ratios = [], [], [], []
        for fold, test in enumerate(parts):
            train = joined([*parts[:fold], *parts[fold + 1 :]])
            ridge = StreamedRidge(train, 1)
            penalty = multiples[fold] * ridge.mean_eigenvalue
            held_out = test.about(train)
            residuals += ridge.errors(held_out, [penalty])
            totals.append(held_out.squared_y)
            penalties.append(penalty)
            ratios.append(test.n / train.n)
        if not all(totals):
            raise ForesightError("y is constant in a test fold: its R2 is undefined there; use fewer folds")
        r2 = 1 - math.fsum(residuals) / math.fsum(totals)
        per_fold = tuple(1 - a / b for a, b in zip(residuals, totals, strict=True))
        spread = (1 / self.folds + float(np.mean(ratios))) * float(np.var(per_fold, ddof=1))
        error = math.sqrt(spread)
        return StreamedProbe(r2, error, (r2 - 1.96 * error, r2 + 1.96 * error), per_fold, tuple(penalties))

    def _checked_parts(self) -> list[ProbePart]:
        parts = [part for part in self._merged() if isinstance(part, ProbePart)]
        missing = sorted(set(range(self.folds)) - {part.key for part in parts})
        if missing:
            raise ForesightError(
                f"fold {missing[0]} of {self.folds} has none of the {self.seen} rows so far: wanted rows in every fold "
                "before compute()"
            )
        for part in parts:
            if self.seen - part.n < 3:
                raise ForesightError(
                    f"fold {part.key} has {self.seen - part.n} training and {part.n} test rows: wanted 3 and 1"
                )
        if not joined(parts).squared_y:
            raise ForesightError(
                f"y is constant: all its {self.seen} rows are equal, and LinearProbe wants rows that vary"
            )
        return parts

    def _chosen(self, parts: list[ProbePart]) -> list[float]:
        """Choose the multiple for each fold from the other folds: each of these is predicted from the rest in turn."""
        if len(self.multiples) == 1:
            return [self.multiples[0]] * len(parts)
        errors = np.zeros((len(parts), len(self.multiples)))
        for fold, other in combinations(range(len(parts)), 2):
            # All parts without these two are the training part of each of them when the other is held out.
            train = joined([part for i, part in enumerate(parts) if i not in (fold, other)])
            ridge = StreamedRidge(train, len(self.multiples))
            penalties = [multiple * ridge.mean_eigenvalue for multiple in self.multiples]
            errors[fold] += ridge.errors(parts[other].about(train), penalties)
            errors[other] += ridge.errors(parts[fold].about(train), penalties)
        return [self.multiples[best] for best in errors.argmin(axis=1)]


def joined(parts: Sequence[ProbePart]) -> ProbePart:
    """Return the sums of several folds together."""
    whole = parts[0].clone()
    for part in parts[1:]:
        whole.absorb(part)
    return whole
