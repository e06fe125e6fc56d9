"""Equal and nearly equal inputs among the samples of an analysis or an adapter."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Duplicates:
    """Equal and nearly equal inputs.

    Attributes:
        rows: number of samples before any is left out.
        exact: number of samples whose pixels equal those of an earlier sample; they are left out.
        near: number of rows that nearly equal another in two of source, target and thumbnails; each such set is one
            group.
        groups: number of independent groups that remain: the effective n.
        examples: some sets of equal or nearly equal samples, by id.
        skipped: samples that could not be decoded, or that one of the models did not accept.
    """

    rows: int
    exact: int
    near: int
    groups: int
    examples: list[list[str]]
    skipped: list[list[str]]

    @property
    def exact_words(self) -> str:
        """Text such as ``1 exact duplicate`` or ``1,204 exact duplicates``."""
        return _counted(self.exact, "exact duplicate")

    @property
    def near_words(self) -> str:
        """Text such as ``1 near-duplicate`` or ``0 near-duplicates``."""
        return _counted(self.near, "near-duplicate")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
