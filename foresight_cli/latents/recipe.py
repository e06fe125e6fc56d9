"""Recipe of a cache entry, which names it: everything that changes the latents, and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from foresight_cli.errors import ForesightError

FORMAT = 1
"""Version of the cache's layout. It is part of every key: an entry of another version is another entry."""

ONLY = "only"
"""The key of a recipe's data for a subset of the dataset that the other keys name."""

PROMPT = ("chat_template", "special_tokens")
"""Keys of a recipe's model that identify its prompt, if earlier versions made another one from the same files.

For a hub id they come from the files of its revision: only extraction reaches the hub to read them."""

MOST_SHARDS = 99_999
"""A shard's number has five digits in its name."""


def display_name(model: str, layer: str, pooling: str) -> str:
    """Return the name of a space for a reader.

    >>> display_name("qwen25vl", "8", "channel_mean"), display_name("ltxv", "final", "flat")
    ('qwen25vl layer 8 channel_mean', 'ltxv final flat')
    """
    return f"{model} {layer if layer == 'final' else f'layer {layer}'} {pooling}"


def canonical_json(value: Any) -> bytes:
    """Return ``value`` as JSON bytes that are the same on every machine.

    Raises:
        ForesightError: ``value`` holds something that JSON cannot hold exactly (NaN, a set, a number as a key ...).
    """
    _refuse_inexact(value, "recipe")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _refuse_inexact(value: Any, at: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ForesightError(f"{at}: the key {key!r} is not text")
            _refuse_inexact(item, f"{at}.{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _refuse_inexact(item, f"{at}[{i}]")
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ForesightError(f"{at}: {value} cannot be written in JSON")
    elif value is not None and not isinstance(value, str | int | bool):
        raise ForesightError(f"{at}: {value!r} of type {type(value).__name__} cannot be written in JSON exactly")


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the latents of one cache entry.

    Attributes:
        model: name, checkpoint and its revision or hash, dtype, preprocessing: all that fixes the network's output.
        layer: ``"4"`` for the residual stream after block 4, or ``"final"``.
        pooling: ``"channel_mean"`` or ``"flat"``.
        data: the dataset's identity: ids, pixels and their order.
        rows: samples of the dataset.
        rows_per_shard: samples in a file.

    Raises:
        ForesightError: a number out of range, a name that cannot name a folder, or too many shards.
    """

    model: dict[str, Any]
    layer: str
    pooling: str
    data: dict[str, Any]
    rows: int
    rows_per_shard: int

    def __post_init__(self) -> None:
        for key, value, least in (("rows", self.rows, 0), ("rows_per_shard", self.rows_per_shard, 1)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ForesightError(f"not a recipe: {key} is {value!r}, wanted a whole number of at least {least}")
        for key, name in (("layer", self.layer), ("pooling", self.pooling), ("model.name", self._model_name())):
            if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
                raise ForesightError(f"not a recipe: {key} is {name!r}, which cannot name a folder of the cache")
        if self.shards > MOST_SHARDS:
            raise ForesightError(
                f"{self.rows} rows at {self.rows_per_shard} a shard are {self.shards} shards; at most "
                f"{MOST_SHARDS} are possible: use rows_per_shard={-(-self.rows // MOST_SHARDS)} or more"
            )

    def _model_name(self) -> object:
        return self.model.get("name") if isinstance(self.model, dict) else None

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON values, including the format version."""
        return {
            "format": FORMAT,
            "model": self.model,
            "layer": self.layer,
            "pooling": self.pooling,
            "data": self.data,
            "rows": self.rows,
            "rows_per_shard": self.rows_per_shard,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Return the recipe of ``values``, the inverse of :meth:`to_dict`.

        Raises:
            ForesightError: another format version, or fields that are missing, unknown or beyond their range.
        """
        fields = dict(values)
        version = fields.pop("format", None)
        if version != FORMAT:
            raise ForesightError(f"a recipe of format {version!r}; this foresight reads format {FORMAT}")
        try:
            return cls(**fields)
        except TypeError as error:
            raise ForesightError(f"not a recipe: {str(error).removeprefix('Recipe.__init__() ')}") from None

    def canonical(self) -> bytes:
        """Return the bytes of ``recipe.json``; their SHA-256 is the key."""
        return canonical_json(self.to_dict())

    @property
    def key(self) -> str:
        """SHA-256 of the canonical JSON, as 64 hex digits."""
        return hashlib.sha256(self.canonical()).hexdigest()

    @property
    def folder(self) -> PurePosixPath:
        """Folder of the entry, relative to the root of the cache."""
        return PurePosixPath(str(self.model["name"])) / f"layer-{self.layer}" / self.pooling / self.key[:16]

    @property
    def shards(self) -> int:
        """Number of files that hold the latents."""
        return -(-self.rows // self.rows_per_shard)

    def slice(self, shard: int) -> range:
        """Return the rows of the dataset that ``shard`` holds."""
        start = shard * self.rows_per_shard
        return range(start, min(start + self.rows_per_shard, self.rows))
