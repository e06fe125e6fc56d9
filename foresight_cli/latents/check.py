"""Whether an entry's bytes are whole and say what they should: every hash, every row, every list."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foresight_cli.errors import ForesightError
from foresight_cli.latents import read_cache
from foresight_cli.latents.json_file import SHARD_NAME
from foresight_cli.latents.remote import is_remote
from foresight_cli.latents.samples import read_samples
from foresight_cli.latents.store import ASIDE_MANIFEST, CorruptShard, Entry


@dataclass(frozen=True)
class _Names:
    """What a shard says of its rows."""

    ids: Sequence[str]
    skipped: Sequence[Sequence[str]]
    shape: Sequence[int]
    dtype: str


def faults(entry: Entry) -> list[str]:
    """What is wrong with ``entry``, one short reason each. A shard whose bytes changed is set aside, as on a load."""
    hashes, found = _hashes(entry)
    found += _missing(entry)
    names: dict[int, _Names] = {}
    for number, path in sorted(entry.shard_files().items()):
        if path.name in hashes:
            try:
                names[number] = _names(path)
            except ForesightError as error:
                found.append(str(error))
    found += _wrong_rows(entry, names)
    if found:
        return found
    if entry.complete:
        return list(_wrong_lists(entry, hashes, names))
    if not entry.missing() and (entry.path / ASIDE_MANIFEST).exists():
        return ["its manifest is missing: it was set aside with a shard whose bytes had changed"]
    return []


def _hashes(entry: Entry) -> tuple[dict[str, tuple[int, str]], list[str]]:
    """Bytes and SHA-256 of each whole shard by file name, and the files that cannot be read or moved aside."""
    whole: dict[str, tuple[int, str]] = {}
    faults: list[str] = []
    seen = set[str]()
    while files := {n: path for n, path in entry.shard_files().items() if path.name not in seen}:
        for _, path in sorted(files.items()):  # again where a shard set aside gives way to another of its number
            seen.add(path.name)
            match = SHARD_NAME.fullmatch(path.name)
            try:
                size, digest = _size_and_hash(path)
            except OSError as error:
                faults.append(f"cannot read {path.name}: {error.strerror or error}")
                continue
            if match and match[3] == digest[:16]:
                whole[path.name] = size, digest
            else:
                faults += _set_aside(entry, path)
    return whole, faults


def _size_and_hash(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a shard, read from where it lies and not from what an earlier run has kept of it."""
    if is_remote(path):
        data = read_cache.fetch(path, path.name.split(".")[1], again=True)
        return len(data), hashlib.sha256(data).hexdigest()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest


def _set_aside(entry: Entry, path: Path) -> list[str]:
    """Move a bad shard aside, and the manifest with it; the reason if that cannot be done."""
    try:
        entry.set_aside(path)
    except CorruptShard as error:
        return [str(error)]
    return []


def _missing(entry: Entry) -> Iterator[str]:
    aside = {path.name.removeprefix(".corrupt-") for path in entry.path.glob(".corrupt-shard-*")}
    numbers = {int(match[1]) for name in aside if (match := SHARD_NAME.fullmatch(name))}
    sealed = (entry.path / "manifest.json").exists()
    for number in entry.missing():
        if number in numbers:
            yield f"shard {number} is missing: its bytes had changed on the disk, and it was set aside"
        elif sealed:
            yield f"shard {number} is missing"


def _names(path: Path) -> _Names:
    from safetensors import SafetensorError, safe_open  # its numpy side reads the uint8 alone, and brings no torch

    try:
        kept = read_cache.place(path.name.split(".")[1]) if is_remote(path) else path
        with safe_open(kept, "numpy") as file:
            said: Any = json.loads(file.get_tensor("samples").tobytes())
            latents = file.get_slice("latents")
            return _Names(list(said["ids"]), list(said["skipped"]), list(latents.get_shape()), str(latents.get_dtype()))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ForesightError(f"{path.name} is not a shard of latents: {error}") from None


def _wrong_rows(entry: Entry, names: Mapping[int, _Names]) -> Iterator[str]:
    widths = {(said.shape[1], said.dtype) for said in names.values() if said.ids}
    if len(widths) > 1:
        yield f"its shards hold latents of {len(widths)} kinds: {', '.join(f'{w} x {t}' for w, t in sorted(widths))}"
    for number, said in names.items():
        wanted = len(entry.recipe.slice(number))
        if len(said.ids) + len(said.skipped) != wanted or said.shape[0] != len(said.ids):
            yield (
                f"shard {number} holds {said.shape[0]} rows of {len(said.ids)} samples and leaves out "
                f"{len(said.skipped)}; {wanted} samples belong there"
            )


def _wrong_lists(entry: Entry, hashes: Mapping[str, tuple[int, str]], names: Mapping[int, _Names]) -> Iterator[str]:
    """What ``manifest.json`` and ``samples.json`` say against what the shards hold."""
    again = "Delete it and run the same extract again"
    try:
        manifest = entry.manifest()
        listed = {row["file"]: (row["bytes"], row["sha256"]) for row in manifest["shards"]}
        if listed != dict(hashes):
            yield f"manifest.json lists other files than there are. {again}"
        elif manifest["skipped"] != [list(pair) for number in sorted(names) for pair in names[number].skipped]:
            yield f"manifest.json lists other skipped samples than the shards. {again}"
    except ForesightError as error:
        yield str(error)
    except (KeyError, TypeError):
        yield f"manifest.json does not list the shards. {again}"
    try:
        ids = read_samples(entry.path).ids
    except ForesightError as error:
        yield str(error)
        return
    for number, said in sorted(names.items()):
        rows = entry.recipe.slice(number)
        skipped = {pair[0] for pair in said.skipped}
        if [i for i in ids[rows.start : rows.stop] if i not in skipped] != list(said.ids):
            yield f"samples.json lists other samples than shard {number}. {again}"
