"""Who fills which shard of a job on several machines: progress, and the shards that cost their workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from logging import WARNING
from typing import Any

DEATHS = 3
"""A shard that so many workers died of is given to no other. A node that is taken away counts as one."""
HANDS = 2 * DEATHS
"""So many workers may die with a shard in their hands: they may have died of what they computed meanwhile."""


@dataclass
class Ledger:
    """Kept in one place, told by every worker, asked by whoever shows the progress.

    Attributes:
        in_hand: the shards that each worker reads, computes or writes.
        computing: the shard that each worker began to compute last.
        taken: how often each shard was given to a worker.
        stuck: how many workers began each shard last: those at work on it, and those that died of it.
        done: the committed shards.
    """

    in_hand: dict[str, set[int]] = field(default_factory=dict)
    computing: dict[str, int] = field(default_factory=dict)
    taken: Counter[int] = field(default_factory=Counter)
    stuck: Counter[int] = field(default_factory=Counter)
    done: set[int] = field(default_factory=set)
    _begun: set[int] = field(default_factory=set)
    _news: list[tuple[Any, ...]] = field(default_factory=list)

    def hello(self, worker: str, host: str) -> None:
        """A worker has found a place."""
        self._news.append(("hello", worker, host))

    def take(self, worker: str, number: int) -> tuple[bool, str]:
        """A worker is given a shard: whether this run has committed it; and why it must not be taken, or ""."""
        if number in self.done:
            return True, ""
        self.taken[number] += 1
        self.in_hand.setdefault(worker, set()).add(number)
        return False, f"shard {number}" if self.taken[number] > HANDS else ""

    def begin(self, worker: str, number: int) -> str:
        """A worker is about to run the network on a shard: why it must not, since others died of it, or ""."""
        before = self.computing.get(worker)
        if before is not None:
            self.stuck[before] -= 1  # the network has lived through it; `take` counts those that die of its file
        self.computing[worker] = number
        self.stuck[number] += 1
        if self.stuck[number] > DEATHS:
            return f"shard {number}{self._beside(worker, number)}"
        if number in self._begun:
            self.warn(WARNING, f"a worker was lost: shard {number} is done again by another")
        self._begun.add(number)
        return ""

    def _beside(self, worker: str, number: int) -> str:
        """The shards that all who died of one had in their hands too: it may have been reading or writing these."""
        hands = [held for other, held in self.in_hand.items() if other != worker and number in held]
        others = set.intersection(*hands) - {number} if hands else set()
        named = ", ".join(str(other) for other in sorted(others))
        return f" (or of reading or writing shard {named} meanwhile)" if named else ""

    def computed(self, worker: str, count: int) -> None:
        """So many samples went through a worker's network."""
        self._news.append(("samples", worker, count))

    def committed(self, worker: str, number: int) -> None:
        """A shard is in the cache."""
        self.in_hand.get(worker, set()).discard(number)
        if number not in self.done:
            self.done.add(number)
            self._news.append(("shard", worker, number))

    def warn(self, level: int, message: str) -> None:
        """What a worker has to say to the user."""
        self._news.append(("log", level, message))

    def answer(self, said: str, why: str) -> None:
        """What came of a shard, as ``ShardFiller.fill`` says it."""
        self._news.append((said, why))

    def news(self) -> list[tuple[Any, ...]]:
        """What happened since the last call."""
        said, self._news = self._news, []
        return said
