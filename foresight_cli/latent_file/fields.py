"""Roles of the columns of a file: ids, values, labels, groups, attributes; other columns are ignored and named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from foresight_cli.config.tree import as_override
from foresight_cli.errors import ForesightError
from foresight_cli.latent_file.conversions import row_by_row_line

BFLOAT16 = "bfloat16"
PANDAS_INDEX = re.compile(r"__index_level_\d+__")
"""pandas writes the unnamed index of a data frame under such a name: ids if it is text, else row numbers."""
ID_NAMES = ("id", "ids", "key", "keys", "__key__", "image_id", "image_ids", "sample_id", "uid", "uuid", "_id")
PLACE_NAMES = ("image_path", "path", "file_path", "filepath", "file_name", "filename", "image_file", "file")
LINK_NAMES = ("url", "image_url", "uri")
VALUE_NAMES = ("embedding", "embeddings", "vector", "vectors", "feature", "features", "emb", "embs", "latents")
"""Names used if a file has no ``values``; of several, the user must choose."""
VALUE_WORDS = re.compile(rf"(.*[^A-Za-z])?({'|'.join(VALUE_NAMES)})([^A-Za-z].*)?", re.IGNORECASE)
"""``img_emb``, ``clip-embedding``, ``image_clip_emb_vit_l_14``: names preferred over other columns of vectors."""
ROLES = {"label": "labels", "labels": "labels", "group": "groups", "groups": "groups"}


@dataclass(frozen=True)
class Naming:
    """The columns that the user named.

    Attributes:
        id: name of the column of ids; None to find it.
        values: name of the column of values, or a pattern of columns of one number each (``emb_*``).
        at: name of the settings in messages: ``model``, ``data`` or ``source.model``.
    """

    id: str | None = None
    values: str | None = None
    at: str = "model"


@dataclass(frozen=True)
class Field:
    """A column of a file that is not read yet.

    Attributes:
        shape: rows first; -1 for the unknown length of lists.
        dtype: its name in the format, if numpy has no such dtype.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | str

    @property
    def kind(self) -> str:
        """Numpy's letter for the kind of dtype; "" if numpy has no such dtype."""
        if self.dtype == BFLOAT16:
            return "f"
        return "" if isinstance(self.dtype, str) else self.dtype.kind

    @property
    def is_number(self) -> bool:
        """True if it holds one real number per row."""
        return len(self.shape) == 1 and self.kind in ("b", "i", "u", "f")

    @property
    def is_name(self) -> bool:
        """True if it holds text or one whole number per row."""
        return len(self.shape) == 1 and self.kind in ("U", "S", "i", "u")

    @property
    def is_latent(self) -> bool:
        """True if it holds several floats per row."""
        return len(self.shape) > 1 and self.kind == "f"

    @property
    def is_nearly_latent(self) -> bool:
        """True if one line of Python can convert it: lists of whole numbers, records, Python objects."""
        small = isinstance(self.dtype, str) and self.dtype.startswith("F")  # fp8 and smaller, as safetensors names them
        several = len(self.shape) > 1 and (self.kind in ("i", "u", "b", "c", "V", "O") or small)
        return several or (len(self.shape) == 1 and self.kind == "V")

    @property
    def may_hold_vectors(self) -> bool:
        """True if it is Python objects, text (JSON) or bytes, in which other programs save vectors."""
        return self.kind in ("O", "U") or "binary" in str(self.dtype)


@dataclass(frozen=True)
class Roles:
    """The role of each column of a file.

    Attributes:
        ids: name of the column of ids, or None.
        values: names of the columns of values: one, unless each holds one number.
        names: columns of labels and groups, by role.
        attributes: columns of one number per row.
        left_alone: every other column.
        other_ids: columns that could hold ids too.
    """

    ids: str | None
    values: tuple[str, ...]
    names: Mapping[str, str]
    attributes: tuple[str, ...]
    left_alone: tuple[str, ...]
    other_ids: tuple[str, ...]

    def about(self, path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return notes for the user (columns used under other names, columns left alone), and the other ids."""
        taken = []
        if self.values and self.values != ("values",):
            shown = self.values[0] if len(self.values) == 1 else f"{self.values[0]} to {self.values[-1]}"
            taken.append(f"values are {shown}")
        if self.ids is not None and self.ids not in ("id", "ids"):
            taken.append(f"ids are {self.ids}")
        if self.left_alone:
            taken.append(f"left alone: {', '.join(self.left_alone)}")
        return ((f"{path}: {'; '.join(taken)}",) if taken else ()), self.other_ids


class Undecided(ForesightError):
    """A column that only the user can name."""

    def __init__(self, message: str, at: str) -> None:
        """Put ``at`` in place of each ``{at}`` in ``message``."""
        super().__init__(message.replace("{at}", at))
        self.message = message

    def of(self, at: str) -> Undecided:
        """Return the same error for settings of another name, such as ``source.model``."""
        return Undecided(self.message, at)


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key that puts part-2 before part-10."""
    runs = re.split(r"([0-9]+)", name)
    return [(1, int(run), run) if run[:1].isascii() and run[:1].isdigit() else (0, 0, run) for run in runs]


def roles_of(path: Path, fields: Mapping[str, Field], naming: Naming, *, values: bool = True) -> Roles:
    """Decide the role of each column, from only its name, shape and dtype.

    Args:
        path: the file, for messages.
        fields: its columns.
        naming: columns that the user named.
        values: whether the values are among the columns, and not in another file.

    Raises:
        ForesightError: a column that the user named is missing.
        Undecided: no column, or more than one, could hold the values.
    """
    ids = id_column(path, fields, naming)
    chosen = _values(path, {name: f for name, f in fields.items() if name != ids}, naming, ids) if values else ()
    rest = {name: field for name, field in fields.items() if name != ids and name not in chosen}
    rows = fields[chosen[0]].shape[0] if chosen else fields[ids].shape[0] if ids is not None else -1
    names: dict[str, str] = {}
    for name in rest:
        if (role := ROLES.get(name)) is not None:
            if role in names:
                raise ForesightError(f"{path}: it has both {role[:-1]!r} and {role!r}: keep one of them")
            names[role] = name
    columns = {name: field for name, field in rest.items() if name not in names.values()}
    attributes = [
        name
        for name, field in columns.items()
        if field.is_number and rows in (field.shape[0], -1) and not PANDAS_INDEX.fullmatch(name)
    ]
    left = [name for name in columns if name not in attributes and not PANDAS_INDEX.fullmatch(name)]
    other_ids = tuple(name for name in left if columns[name].kind == "U" and columns[name].is_name)
    return Roles(ids, chosen, names, tuple(attributes), tuple(sorted(left, key=natural)), other_ids)


def id_column(path: Path, fields: Mapping[str, Field], naming: Naming) -> str | None:
    """Return the column of ids; None if no column has a usual name for them.

    Raises:
        Undecided: the column that the user named is missing, or more than one could hold the ids.
    """
    if naming.id is not None:
        if naming.id not in fields:
            raise Undecided(f"{path}: no column {naming.id!r} for {{at}}.id= among {sorted(fields)}", naming.at)
        return naming.id
    if {"id", "ids"} <= set(fields):
        raise ForesightError(f"{path}: it has both 'id' and 'ids': keep one of them")
    index = [name for name in fields if PANDAS_INDEX.fullmatch(name) and fields[name].kind == "U"]
    for tier in (("id", "ids"), ID_NAMES, index, PLACE_NAMES, LINK_NAMES):
        usable = [name for name in tier if name in fields and _may_be_ids(name, fields[name])]
        if len(usable) > 1:
            raise Undecided(f"{path}: which column holds the ids? Add {options('id', usable)}", naming.at)
        if usable:
            return usable[0]
    return None


def _may_be_ids(name: str, field: Field) -> bool:
    """Check whether a column may hold ids; columns of the wrong dtype count, to be refused later with advice."""
    return field.is_name or name in ("id", "ids") or (name in ID_NAMES and field.kind in ("O", "S"))


def no_ids(path: Path, fields: Mapping[str, Field], naming: Naming) -> Undecided:
    """Return the error for a file without a usual name for ids; it lists the columns that could hold them."""
    names = [name for name, field in fields.items() if field.is_name and name not in ROLES]
    ways = f". Name their column: {options('id', names)}" if names else ""
    return Undecided(
        f"{path}: no ids among {sorted(fields)}: latents are matched by id, never by position{ways}", naming.at
    )


def _values(path: Path, fields: Mapping[str, Field], naming: Naming, ids: str | None) -> tuple[str, ...]:
    if naming.values is not None:
        return _named_values(path, fields, naming)
    if "values" in fields:
        return ("values",)
    usable = {name: field for name, field in fields.items() if name not in ROLES}
    candidates = (
        [n for n, f in usable.items() if f.is_latent or (f.is_nearly_latent and VALUE_WORDS.fullmatch(n))]
        or [n for n, field in usable.items() if field.is_nearly_latent]
        or [n for n, field in usable.items() if n in VALUE_NAMES and field.may_hold_vectors]
    )
    usual = [name for name in candidates if VALUE_WORDS.fullmatch(name)]
    if len(usual or candidates) == 1:
        return ((usual or candidates)[0],)
    if candidates:
        ways = options("values", sorted(usual or candidates, key=natural))
        raise Undecided(f"{path}: which column holds the values? Add {ways}", naming.at)
    if ids is None and (line := row_by_row_line(path, [field.shape for field in fields.values()])):
        raise ForesightError(f"{path}: each array is one row, named by its id. Type: {line}")
    shown = sorted([*fields, *([] if ids is None else [ids])], key=natural)
    listed = str(shown) if len(shown) <= 12 else f"{str(shown[:12])[:-1]}, ...]"
    many = [f"{prefix}*" for prefix in _numbered_prefixes(fields)]
    ways = f" Add {options('values', many)}, columns of one number each" if many else ""
    raise Undecided(f"{path}: no column of vectors among {listed}.{ways or ' Name it with {at}.values='}", naming.at)


def _named_values(path: Path, fields: Mapping[str, Field], naming: Naming) -> tuple[str, ...]:
    """Return the column of that name, or the columns of one number each that match the pattern, 2 before 10."""
    assert naming.values is not None
    if naming.values in fields:
        return (naming.values,)
    names = sorted((name for name in fields if fnmatchcase(name, naming.values)), key=natural)
    if not names:
        raise Undecided(f"{path}: no column {naming.values!r} for {{at}}.values= among {sorted(fields)}", naming.at)
    if len(names) > 1:
        for name in names:
            if len(fields[name].shape) != 1:
                raise Undecided(
                    f"{path}: {{at}}.values={naming.values} matches {name!r}, which holds more than one number per "
                    f"row. Add {options('values', names)}",
                    naming.at,
                )
    return tuple(names)


def _numbered_prefixes(fields: Mapping[str, Field]) -> list[str]:
    """Return the prefixes of numbered columns of one number each: ``emb_`` of emb_0, emb_1."""
    counts: dict[str, int] = {}
    for name, field in fields.items():
        if field.is_number and (numbered := re.fullmatch(r"(.*?)[0-9]+", name)):
            counts[numbered[1]] = counts.get(numbered[1], 0) + 1
    return [prefix or "[0-9]" for prefix, count in counts.items() if count > 1]


def options(key: str, names: Sequence[str]) -> str:
    """Return ``model.values=img_emb or model.values=text_emb``, each as it must be typed; at most six."""
    return " or ".join(_typed(as_override(f"{{at}}.{key}", name)) for name in names[:6])


def _typed(word: str) -> str:
    """Quote ``word`` for a shell, in double quotes if they suffice."""
    if re.fullmatch(r"[\w@%+=:,./-]+", word.replace("{at}", "")):  # a shell expands braces
        return word
    return shlex.quote(word) if re.search(r'["$`\\!]', word) else f'"{word}"'
