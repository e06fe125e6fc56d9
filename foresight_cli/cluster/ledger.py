"""Ledger of a job that several workers share: the shards of each worker, progress, and shards that kill workers."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from logging import WARNING

from foresight_cli.errors import ForesightError

DEATHS = 3
"""A shard of which this many workers died is given up. A node that is taken away counts as one death."""
HANDS = 2 * DEATHS
"""This many workers may die while they hold a shard: another shard, computed meanwhile, may have killed them."""


@dataclass
class News:
    """The reports of workers since the last call of :meth:`Ledger.news`, with the names of the workers.

    Attributes:
        started: workers that have started.
        samples: computed samples by worker.
        committed: workers, and the shard that each committed.
        messages: log levels and messages for the user.
        failure: the error that ends the job.
        finished: whether every shard is committed.
    """

    started: list[str] = field(default_factory=list)
    samples: Counter[str] = field(default_factory=Counter)
    committed: list[tuple[str, int]] = field(default_factory=list)
    messages: list[tuple[int, str]] = field(default_factory=list)
    failure: Exception | None = None
    finished: bool = False


class Ledger:
    """Ledger in one place: workers take shards from it and report to it; the process with the terminal reads it.

    A worker reports itself; only its death is reported by the process that started it.
    """

    def __init__(self, shards: Iterable[int] = (), *, deaths: int = DEATHS, advice: str = "") -> None:
        """Start with the numbers of the shards to do.

        Args:
            shards: numbers in the order in which workers get them.
            deaths: number of workers that may die of a shard.
            advice: settings that may help if workers die.
        """
        self._left = deque(shards)
        self._todo = set(self._left)
        self._deaths = deaths
        self._advice = advice
        self._names: dict[str, str] = {}
        self._dead: set[str] = set()
        self._asked: set[str] = set()  # workers that came as far as to ask for a shard
        self._stillborn = 0  # workers that died before they asked, since another last did
        self._in_hand: dict[str, list[int]] = {}  # shards that each worker is reading, computing or writing
        self._computing: dict[str, int] = {}  # shard that each worker began to compute last
        self._deaths_of: Counter[int] = Counter()  # workers that died while they computed the shard
        self._deaths_with: Counter[int] = Counter()  # workers that died while they held it
        self._suspects: dict[int, set[int]] = {}  # other shards that all workers that died of this one held
        self._news = News()

    def started(self, worker: str, name: str) -> None:
        """Register a worker that has found a place, and its name in messages."""
        self._names[worker] = name
        self._news.started.append(name)

    def take(self, worker: str) -> int | None:
        """Give the next shard to a worker; None if there is none now: one may come back from a worker that dies."""
        if worker in self._dead:  # its question may come after the report of its death
            return None
        self._asked.add(worker)
        self._stillborn = 0
        while self._left:
            number = self._left.popleft()
            if number in self._todo:
                self._in_hand.setdefault(worker, []).append(number)
                return number
        return None

    def begin(self, worker: str, number: int) -> None:
        """Register that a worker begins to compute a shard: its network has survived the one before."""
        self._computing[worker] = number

    def computed(self, worker: str, count: int) -> None:
        """Add ``count`` samples that a worker computed."""
        self._news.samples[self._name(worker)] += count

    def committed(self, worker: str, number: int) -> None:
        """Register that a shard is in the cache."""
        if number in self._in_hand.get(worker, ()):
            self._in_hand[worker].remove(number)
        if number in self._todo:
            self._todo.remove(number)
            self._news.committed.append((self._name(worker), number))

    def warn(self, level: int, message: str) -> None:
        """Pass a worker's message on to the user."""
        self._news.messages.append((level, message))

    def failed(self, error: Exception) -> None:
        """End the job with the error of a worker; the first error counts."""
        self._news.failure = self._news.failure or error

    def died(self, worker: str, how: str) -> None:
        """Give the shards of a dead worker to others; end the job if one has killed too many, or no worker starts."""
        self._dead.add(worker)
        held = [number for number in self._in_hand.pop(worker, []) if number in self._todo]
        number = self._computing.pop(worker, None)
        self._deaths_with.update(held)
        if number in held:
            self._deaths_of[number] += 1
            self._suspects[number] = self._suspects.get(number, set(held)) & set(held) - {number}
        self._left.extendleft(reversed(held))
        self._stillborn += worker not in self._asked
        if number in held and self._deaths_of[number] >= self._deaths:
            self._give_up(number, self._deaths_of[number], how)
        elif held and self._deaths_with[held[0]] >= HANDS:
            self._give_up(held[0], HANDS, how)
        elif worker not in self._asked and self._stillborn >= self._deaths and not any(self._in_hand.values()):
            self._end(f"{self._stillborn} workers in a row died before they took a shard (the last: {how})")
        else:
            noun = "shards" if len(held) > 1 else "shard"
            left = f": {noun} {', '.join(map(str, held))} to be done by another" if held else ""
            self.warn(WARNING, f"worker {self._name(worker)} died ({how}){left}")

    def finished(self) -> bool:
        """Check whether every shard is committed."""
        return not self._todo

    def left(self) -> int:
        """Return the number of shards that are not committed."""
        return len(self._todo)

    def deadly(self) -> list[int]:
        """Return the shards that dead workers held and that are still to do."""
        return sorted(number for number in self._deaths_with if number in self._todo)

    def news(self) -> News:
        """Return the reports since the last call."""
        news, self._news = self._news, News()
        news.finished = self.finished()
        return news

    def _name(self, worker: str) -> str:
        return self._names.get(worker, worker)

    def _give_up(self, number: int, deaths: int, how: str) -> None:
        others = ", ".join(map(str, sorted(self._suspects.get(number, ()))))
        beside = f" (or of reading or writing shard {others} meanwhile)" if others else ""
        self._end(f"{deaths} workers died of shard {number}{beside} (the last: {how})")

    def _end(self, deaths: str) -> None:
        self.failed(
            ForesightError(
                f"{deaths}, perhaps out of memory. What is committed is kept: run the same command again, with "
                f"{self._advice}"
            )
        )
