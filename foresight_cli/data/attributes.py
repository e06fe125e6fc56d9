"""``attributes.csv``: numbers, labels and groups for the pictures of a folder, by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from foresight_cli.csv_table import csv_table
from foresight_cli.data.dataset import Sample
from foresight_cli.errors import ForesightError


def add_attributes(
    samples: dict[str, Sample], file: Path, files: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> None:
    """Puts what an ``attributes.csv`` says into ``samples``, which are keyed by id.

    Args:
        samples: what is written to.
        file: the table.
        files: where a file holds several samples, their ids by the file's: a row with a file's id holds for all of
            them, and a row with a sample's own id goes over it.

    Raises:
        ForesightError: which line and cell cannot be used, and what was wanted.
    """
    said: dict[str, tuple[str, dict[str, str], dict[str, float]]] = {}
    for row in csv_table(file):
        if row.id not in samples and row.id not in files:
            what, example = ("video", next(iter(files))) if files else ("image", next(iter(samples)))
            raise ForesightError(f"{row.where}: no {what} {row.id!r}; ids are paths such as {example!r}")
        if row.id in said:
            raise ForesightError(f"{row.where}: id {row.id!r} stands twice, see {said[row.id][0]}")
        names = {name: text for name, text in row.names().items() if text.lower() != "nan"}  # as pandas may write them
        said[row.id] = row.where, names, row.attributes()
    for row_id in sorted(said, key=lambda row_id: row_id in samples):  # files first
        _, names, attributes = said[row_id]
        for sample_id in files.get(row_id, (row_id,)):
            sample = samples[sample_id]
            samples[sample_id] = replace(sample, **names, attributes={**sample.attributes, **attributes})
