"""``attributes.csv``: numbers, labels and groups for the pictures of a folder, by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from foresight_cli.data.dataset import Sample
from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.csv_table import csv_table


def add_attributes(
    samples: dict[str, Sample], file: Path, files: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> None:
    """Add the labels, groups and numbers of an ``attributes.csv`` to ``samples``, which are keyed by id.

    Args:
        samples: changed in place.
        file: the table.
        files: for files with several samples, the samples' ids by the file's: a row with a file's id applies to all
            of them, and a row with a sample's id overrides it.

    Raises:
        ForesightError: with the line and cell that cannot be used, and what was wanted.
    """
    rows: dict[str, tuple[str, dict[str, str], dict[str, float]]] = {}
    for row in csv_table(file):
        if row.id not in samples and row.id not in files:
            what, example = ("video", next(iter(files))) if files else ("image", next(iter(samples)))
            raise ForesightError(f"{row.where}: no {what} {row.id!r}; ids are paths such as {example!r}")
        if row.id in rows:
            raise ForesightError(f"{row.where}: duplicate id {row.id!r}, see {rows[row.id][0]}")
        names = {name: text for name, text in row.names().items() if text.lower() != "nan"}  # as pandas may write them
        rows[row.id] = row.where, names, row.attributes()
    for row_id in sorted(rows, key=lambda row_id: row_id in samples):  # files first
        _, names, attributes = rows[row_id]
        for sample_id in files.get(row_id, (row_id,)):
            sample = samples[sample_id]
            samples[sample_id] = replace(sample, **names, attributes={**sample.attributes, **attributes})
