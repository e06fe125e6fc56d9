"""Ledger of a job on several machines: progress, the shard of each worker, and shards that kill workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from logging import WARNING
from typing import Any

DEATHS = 3
"""A shard of which this many workers died is given up. A node that is taken away counts as one death."""
HANDS = 2 * DEATHS
"""This many workers may die while they hold a shard: another shard, computed meanwhile, may have killed them."""


@dataclass
class Ledger:
    """Ledger in one place: every worker reports to it, and the process that shows the progress reads it.

    Attributes:
        in_hand: shards that each worker is reading, computing or writing.
        computing: shard that each worker began to compute last.
        taken: number of times that each shard was given to a worker.
        stuck: number of workers that began each shard last: those at work on it, and those that died of it.
        done: committed shards.
    """

    in_hand: dict[str, set[int]] = field(default_factory=dict)
    computing: dict[str, int] = field(default_factory=dict)
    taken: Counter[int] = field(default_factory=Counter)
    stuck: Counter[int] = field(default_factory=Counter)
    done: set[int] = field(default_factory=set)
    _begun: set[int] = field(default_factory=set)
    _news: list[tuple[Any, ...]] = field(default_factory=list)

    def hello(self, worker: str, host: str) -> None:
        """Register a worker that has found a place."""
        self._news.append(("hello", worker, host))

    def take(self, worker: str, number: int) -> tuple[bool, str]:
        """Give a shard to a worker; return whether this run has committed it, and why it must not be taken, or ""."""
        if number in self.done:
            return True, ""
        self.taken[number] += 1
        self.in_hand.setdefault(worker, set()).add(number)
        return False, f"shard {number}" if self.taken[number] > HANDS else ""

    def begin(self, worker: str, number: int) -> str:
        """Register that a worker begins to compute a shard; return why it must not (others died of it), or ""."""
        before = self.computing.get(worker)
        if before is not None:
            self.stuck[before] -= 1  # the network survived it; `take` counts deaths while reading or writing it
        self.computing[worker] = number
        self.stuck[number] += 1
        if self.stuck[number] > DEATHS:
            return f"shard {number}{self._beside(worker, number)}"
        if number in self._begun:
            self.warn(WARNING, f"a worker was lost: shard {number} is done again by another")
        self._begun.add(number)
        return ""

    def _beside(self, worker: str, number: int) -> str:
        """Name the other shards that all dead workers held: reading or writing these may have killed them."""
        hands = [held for other, held in self.in_hand.items() if other != worker and number in held]
        others = set.intersection(*hands) - {number} if hands else set()
        named = ", ".join(str(other) for other in sorted(others))
        return f" (or of reading or writing shard {named} meanwhile)" if named else ""

    def computed(self, worker: str, count: int) -> None:
        """Add ``count`` samples that a worker computed."""
        self._news.append(("samples", worker, count))

    def committed(self, worker: str, number: int) -> None:
        """Register that a shard is in the cache."""
        self.in_hand.get(worker, set()).discard(number)
        if number not in self.done:
            self.done.add(number)
            self._news.append(("shard", worker, number))

    def warn(self, level: int, message: str) -> None:
        """Pass a worker's message on to the user."""
        self._news.append(("log", level, message))

    def answer(self, outcome: str, why: str) -> None:
        """Register the outcome of a shard, as ``ShardFiller.fill`` returns it."""
        self._news.append((outcome, why))

    def news(self) -> list[tuple[Any, ...]]:
        """Return the events since the last call."""
        events, self._news = self._news, []
        return events
