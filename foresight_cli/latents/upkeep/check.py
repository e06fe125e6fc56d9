"""Checks of a cache entry: the hash of every shard, the number of rows, and the lists in its JSON files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foresight_cli.errors import ForesightError
from foresight_cli.latents.samples import read_samples
from foresight_cli.latents.storage import read_cache
from foresight_cli.latents.storage.json_file import SHARD_NAME
from foresight_cli.latents.storage.remote import is_remote
from foresight_cli.latents.store import ASIDE_MANIFEST, CorruptShard, Entry


@dataclass(frozen=True)
class _Names:
    """The sample ids, skipped samples, shape and dtype in a shard's header."""

    ids: Sequence[str]
    skipped: Sequence[Sequence[str]]
    shape: Sequence[int]
    dtype: str


def faults(entry: Entry) -> list[str]:
    """Return the faults of ``entry``, one short reason each. A shard whose bytes changed is set aside, as on a load."""
    hashes, reasons = _hashes(entry)
    reasons += _missing(entry)
    names: dict[int, _Names] = {}
    for number, path in sorted(entry.shard_files().items()):
        if path.name in hashes:
            try:
                names[number] = _names(path)
            except ForesightError as error:
                reasons.append(str(error))
    reasons += _wrong_rows(entry, names)
    if reasons:
        return reasons
    if entry.complete:
        return list(_wrong_lists(entry, hashes, names))
    if not entry.missing() and (entry.path / ASIDE_MANIFEST).exists():
        return ["its manifest is missing: it was set aside with a shard whose bytes had changed"]
    return []


def _hashes(entry: Entry) -> tuple[dict[str, tuple[int, str]], list[str]]:
    """Return bytes and SHA-256 of each whole shard by file name, and the faults of unreadable files."""
    whole: dict[str, tuple[int, str]] = {}
    faults: list[str] = []
    seen = set[str]()
    while files := {n: path for n, path in entry.shard_files().items() if path.name not in seen}:
        for _, path in sorted(files.items()):  # again: behind a shard set aside, another file of its number may appear
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
    """Return bytes and SHA-256 of a shard, read from its own place and not from the copy of an earlier run."""
    if is_remote(path):
        data = read_cache.fetch(path, path.name.split(".")[1], again=True)
        return len(data), hashlib.sha256(data).hexdigest()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest


def _set_aside(entry: Entry, path: Path) -> list[str]:
    """Move a bad shard aside, and the manifest with it; return the reason if that fails."""
    try:
        entry.set_aside(path)
    except CorruptShard as error:
        return [str(error)]
    return []


def _missing(entry: Entry) -> Iterator[str]:
    aside = {path.name.removeprefix(".corrupt-") for path in entry.path.glob(".corrupt-shard-*")}
    set_aside = {int(match[1]) for name in aside if (match := SHARD_NAME.fullmatch(name))}
    sealed = (entry.path / "manifest.json").exists()
    for number in entry.missing():
        if number in set_aside:
            yield f"shard {number} is missing: its bytes had changed on the disk, and it was set aside"
        elif sealed:
            yield f"shard {number} is missing"


def _names(path: Path) -> _Names:
    from safetensors import SafetensorError, safe_open  # its numpy side reads only the uint8 tensor, without torch

    try:
        kept = read_cache.place(path.name.split(".")[1]) if is_remote(path) else path
        with safe_open(kept, "numpy") as file:
            header: Any = json.loads(file.get_tensor("samples").tobytes())
            latents = file.get_slice("latents")
            return _Names(
                list(header["ids"]), list(header["skipped"]), list(latents.get_shape()), str(latents.get_dtype())
            )
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ForesightError(f"{path.name} is not a shard of latents: {error}") from None


def _wrong_rows(entry: Entry, names: Mapping[int, _Names]) -> Iterator[str]:
    widths = {(shard.shape[1], shard.dtype) for shard in names.values() if shard.ids}
    if len(widths) > 1:
        yield f"its shards hold latents of {len(widths)} kinds: {', '.join(f'{w} x {t}' for w, t in sorted(widths))}"
    for number, shard in names.items():
        expected = len(entry.recipe.slice(number))
        if len(shard.ids) + len(shard.skipped) != expected or shard.shape[0] != len(shard.ids):
            yield (
                f"shard {number} holds {shard.shape[0]} rows of {len(shard.ids)} samples and leaves out "
                f"{len(shard.skipped)}; {expected} samples belong there"
            )


def _wrong_lists(entry: Entry, hashes: Mapping[str, tuple[int, str]], names: Mapping[int, _Names]) -> Iterator[str]:
    """Find where ``manifest.json`` and ``samples.json`` differ from what the shards hold."""
    advice = "Delete it and run the same extract again"
    try:
        manifest = entry.manifest()
        listed = {row["file"]: (row["bytes"], row["sha256"]) for row in manifest["shards"]}
        if listed != dict(hashes):
            yield f"manifest.json does not list the files that exist. {advice}"
        elif manifest["skipped"] != [list(pair) for number in sorted(names) for pair in names[number].skipped]:
            yield f"manifest.json and the shards list different skipped samples. {advice}"
    except ForesightError as error:
        yield str(error)
    except (KeyError, TypeError):
        yield f"manifest.json does not list the shards. {advice}"
    try:
        ids = read_samples(entry.path).ids
    except ForesightError as error:
        yield str(error)
        return
    for number, shard in sorted(names.items()):
        rows = entry.recipe.slice(number)
        skipped = {pair[0] for pair in shard.skipped}
        if [i for i in ids[rows.start : rows.stop] if i not in skipped] != list(shard.ids):
            yield f"samples.json and shard {number} list different samples. {advice}"
