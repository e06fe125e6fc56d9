"""Timing of two alternatives in turn, A B A B ..., so that changes in the machine's speed affect both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Ours = TypeVar("Ours")
Theirs = TypeVar("Theirs")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: the task.
        ours: median seconds of foresight.
        alternative: the alternative.
        theirs: median seconds of the alternative; None for a row with a bound in seconds instead.
        goal: least ratio theirs / ours, or most seconds if ``theirs`` is None.
        note: notes for the reader, the reason of a missed goal first.
        unit: unit of both numbers.
        cost: True if the ratio is ours / theirs, and the goal is its maximum.
    """

    what: str
    ours: float
    alternative: str
    theirs: float | None
    goal: float
    note: str = ""
    unit: str = "s"
    cost: bool = False

    @property
    def ratio(self) -> float | None:
        """Factor by which foresight is faster, or its cost in units of the alternative."""
        if self.theirs is None:
            return None
        return self.ours / self.theirs if self.cost else self.theirs / self.ours

    @property
    def met(self) -> bool:
        """True if the goal is met."""
        if self.ratio is None:
            return self.ours <= self.goal
        return self.ratio <= self.goal if self.cost else self.ratio >= self.goal


def in_turn(
    ours: Callable[[], object], theirs: Callable[[], object], runs: int, *, warm: bool = True
) -> tuple[float, float]:
    """Return the median seconds of both, after one warm-up of each unless they have run before."""
    return answered(ours, theirs, runs, warm=warm)[0]


def answered(
    ours: Callable[[], Ours], theirs: Callable[[], Theirs], runs: int, *, warm: bool = True
) -> tuple[tuple[float, float], tuple[Ours, Theirs]]:
    """Return the median seconds of both, and the results of their last timed runs."""
    if warm:
        ours()
        theirs()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        start = time.perf_counter()
        answer = ours()
        turn = time.perf_counter()
        other = theirs()
        seconds[1].append(time.perf_counter() - turn)
        seconds[0].append(turn - start)
    return (statistics.median(seconds[0]), statistics.median(seconds[1])), (answer, other)


def alone(way: Callable[[], object], runs: int) -> float:
    """Return the median seconds, after one warm-up."""
    way()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        way()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
