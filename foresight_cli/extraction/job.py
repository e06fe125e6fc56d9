"""The description of an extraction, in a form that can be sent to another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from foresight_cli.config import ModelConfig
from foresight_cli.data import Dataset
from foresight_cli.latents import Entry
from foresight_cli.models import Tap


class Progress(Protocol):
    """Callbacks for the progress of a job."""

    def on_samples(self, count: int) -> None:
        """Add ``count`` samples that went through the network."""

    def on_shard(self, number: int) -> None:
        """Count shard ``number`` as committed."""


@dataclass(frozen=True)
class Job:
    """Everything that a process needs to fill shards; it can be sent to another process.

    Attributes:
        entries: one cache entry for each tap, all over the same slices of ``dataset``.
        dataset: the samples.
        model: settings of the model; each process loads its own copy.
        device: device of the network; ``auto`` until the runner chooses one.
        batch_size: samples per forward pass; None for what fits in the free memory.
        skip_undecodable: leave out samples that cannot be decoded, or that the model cannot take.
    """

    entries: Mapping[Tap, Entry]
    dataset: Dataset
    model: ModelConfig
    device: str
    batch_size: int | None
    skip_undecodable: bool

    def missing(self) -> list[int]:
        """Return the numbers of the shards that at least one entry lacks."""
        return sorted({number for entry in self.entries.values() for number in entry.missing()})
