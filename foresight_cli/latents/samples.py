"""Table of the samples of an entry: label, group and attributes. It is kept beside the shards, not in them.

Latents do not depend on a label, so a corrected label must not cost a forward pass: each extract writes the table
again, even if the latents exist. It carries a hash of itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from foresight_cli.errors import ForesightError
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.latents.storage.atomic import write_atomic

NAME = "samples.json"


class SampleLike(Protocol):
    """A row of any dataset."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def label(self) -> str | None: ...  # noqa: D102
    @property
    def group(self) -> str: ...  # noqa: D102
    @property
    def attributes(self) -> Mapping[str, float]: ...  # noqa: D102


@dataclass(frozen=True)
class SampleTable:
    """Labels, groups and attributes by sample id."""

    ids: list[str]
    labels: list[str | None]
    groups: list[str]
    attributes: dict[str, list[float | None]]


def write_samples(folder: Path, samples: Sequence[SampleLike]) -> None:
    """Write the table of ``samples`` into the entry ``folder``, unless the same table is in it already."""
    names = sorted({name for s in samples for name in s.attributes})
    table = {
        "ids": [s.id for s in samples],
        "labels": [s.label for s in samples],
        "groups": [s.group for s in samples],
        "attributes": {name: [s.attributes.get(name) for s in samples] for name in names},
    }
    body = canonical_json(table)
    data = b'{"sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'","table":' + body + b"}"
    path = folder / NAME
    if not path.exists() or path.read_bytes() != data:
        write_atomic(path, data)


def read_samples(folder: Path) -> SampleTable:
    """Return the table in the entry ``folder``.

    Raises:
        ForesightError: it is missing, or does not match its own hash.
    """
    path = folder / NAME
    try:
        stored = json.loads(path.read_bytes())
        whole = hashlib.sha256(canonical_json(stored["table"])).hexdigest() == stored["sha256"]
    except FileNotFoundError:
        raise ForesightError(f"{path} is missing: run the same extract again") from None
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise ForesightError(f"{path} does not match its hash. Delete it and run the same extract again")
    return SampleTable(**stored["table"])
