"""The least number of independent samples that the stages need, and the message for data with fewer."""

from __future__ import annotations

from collections.abc import Sequence

from foresight_cli.config.verdict import LEAST_GROUPS, default_thresholds
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry
from foresight_cli.latents.samples import SampleLike, read_samples

LEAST_ROWS = 3
"""Least number of rows in each part of an adapter's split."""
NOUNS = {"video": "clips", "precomputed": "rows"}
"""Nouns for the samples of a dataset, by its name; for all others "pictures"."""


def shortage(groups: int, samples: int, data: str) -> str | None:
    """Return one line if there are too few groups to analyse or adapt; None if there are enough.

    Args:
        groups: number of independent groups among the samples.
        samples: number of samples.
        data: name of the dataset, for example ``video``.

    Example:
        >>> print(shortage(7, 128, "video"))
        128 clips, but only 7 groups: at least 20 are needed to analyze or adapt, and 100 for a verdict. Clips of one \
file are one group: add more files
    """
    if groups >= LEAST_GROUPS:
        return None
    noun = NOUNS.get(data, "pictures")
    counted = f"only {_count(samples, noun)}"
    if groups < samples:
        counted = f"{_count(samples, noun)}, but only {_count(groups, 'groups')}"
    advice = f"Add more {noun}"
    if groups < samples:
        advice = "Clips of one file are one group: add more files" if data == "video" else "Add samples of other groups"
    enough = default_thresholds().min_groups
    return f"{counted}: at least {LEAST_GROUPS} are needed to analyze or adapt, and {enough} for a verdict. {advice}"


def shortage_of(samples: Sequence[SampleLike], data: str) -> str | None:
    """Return the :func:`shortage` of a dataset's samples."""
    return shortage(len({sample.group for sample in samples}), len(samples), data)


def refuse_few_groups(source: Entry, target: Entry) -> list[str]:
    """Refuse spaces with too few groups before their latents are read; return the group of each sample in both.

    Near-duplicates are not merged yet: merging can only make fewer groups.

    Raises:
        ForesightError: there are fewer than `LEAST_GROUPS` groups.
    """
    table = read_samples(source.path)
    skipped = {sample_id for entry in (source, target) for sample_id, _ in entry.manifest()["skipped"]}
    groups = [group for sample_id, group in zip(table.ids, table.groups, strict=True) if sample_id not in skipped]
    if message := shortage(len(set(groups)), len(groups), str(source.recipe.data.get("name"))):
        raise ForesightError(message)
    return groups


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun.removesuffix('s') if number == 1 else noun}"
