"""Who fills which shard of a job on several machines: progress, and the shards that cost their workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from logging import WARNING
from typing import Any

DEATHS = 3
"""A shard that so many workers died of is given to no other. A node that is taken away counts as one."""


@dataclass
class Ledger:
    """Kept in one place, told by every worker, asked by whoever shows the progress.

    Attributes:
        computing: the shard that each worker began last.
        stuck: how many workers began each shard last: those at work on it, and those that died of it.
        done: the committed shards.
    """

    computing: dict[str, int] = field(default_factory=dict)
    stuck: Counter[int] = field(default_factory=Counter)
    done: set[int] = field(default_factory=set)
    _begun: set[int] = field(default_factory=set)
    _news: list[tuple[Any, ...]] = field(default_factory=list)

    def hello(self, worker: str, host: str) -> None:
        """A worker has found a place."""
        self._news.append(("hello", worker, host))

    def is_done(self, number: int) -> bool:
        """Whether the shard was committed in this run."""
        return number in self.done

    def begin(self, worker: str, number: int) -> bool:
        """A worker is about to run the network on a shard; False if it must not, since others died of it."""
        before = self.computing.get(worker)
        if before is not None:
            self.stuck[before] -= 1  # whatever comes of its file, the network has lived through it
        self.computing[worker] = number
        self.stuck[number] += 1
        may = self.stuck[number] <= DEATHS
        if may and number in self._begun:
            self.warn(WARNING, f"a worker was lost: shard {number} is done again by another")
        self._begun.add(number)
        return may

    def computed(self, worker: str, count: int) -> None:
        """So many samples went through a worker's network."""
        self._news.append(("samples", worker, count))

    def committed(self, worker: str, number: int) -> None:
        """A shard is in the cache."""
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
