"""What is to be extracted, in a form that can be sent to another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from foresight_cli.config import ModelConfig
from foresight_cli.data import Dataset
from foresight_cli.latents import Entry
from foresight_cli.models import Tap


class Progress(Protocol):
    """Who is told how far a job is."""

    def on_samples(self, count: int) -> None:
        """So many samples went through the network."""

    def on_shard(self, number: int) -> None:
        """A shard is committed."""


@dataclass(frozen=True)
class Job:
    """All that a process must know to fill shards; it can be sent to another one.

    Attributes:
        entries: one cache entry for each tap, all over the same slices of ``dataset``.
        dataset: the samples.
        model: which model; each process reads its own copy.
        device: where the network runs; ``auto`` where a runner is yet to choose.
        batch_size: samples a forward pass; None for what fits in the free memory.
        skip_undecodable: leave out samples that cannot be decoded, or that the model does not take.
    """

    entries: Mapping[Tap, Entry]
    dataset: Dataset
    model: ModelConfig
    device: str
    batch_size: int | None
    skip_undecodable: bool

    def missing(self) -> list[int]:
        """The shards that at least one entry lacks."""
        return sorted({number for entry in self.entries.values() for number in entry.missing()})
