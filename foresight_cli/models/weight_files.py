"""The weight files of a checkpoint: those that loading reads, and the tensors that their headers list.

No tensor is read. A safetensors file begins with eight bytes, the length of a JSON header that gives each tensor's
dtype, shape and place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

STEMS = {"transformers": "model", "diffusers": "diffusion_pytorch_model"}
"""The name of the weight file that each library writes, without the suffix."""

UNQUANTISED = "take the checkpoint that is not quantised"

NOT_FETCHED = (
    "earlier runs have fetched none of its weights to this machine, and the hub cannot be asked. Type the command once "
    "with the hub in reach, or give a local copy with model.checkpoint=DIR"
)

PICKLED = (".bin", ".ckpt", ".pth", ".pt", ".pkl", ".h5", ".msgpack", ".onnx")
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
_LFS = b"version https://git-lfs"


class Unreadable(Exception):
    """The weight files cannot be read; the reason is in one line, without the checkpoint's name."""


class Tensor(NamedTuple):
    """A tensor as a header lists it.

    Attributes:
        dtype: by its name in safetensors: ``BF16``, ``F8_E4M3`` ...
        shape: its sizes.
        file: the name of the file that holds it.
    """

    dtype: str
    shape: tuple[int, ...]
    file: str


@dataclass(frozen=True)
class Layout:
    """The files that loading reads.

    Attributes:
        weights: the names of the safetensors files.
        index: the file that lists them; None for a single file.
    """

    weights: tuple[str, ...]
    index: str | None = None


def layout(
    names: Collection[str], library: str, variant: str | None, read: Callable[[str], str], explicit: str | None = None
) -> Layout | None:
    """Return the files that ``from_pretrained`` of ``library`` reads, by its order of preference; None if none fit.

    Args:
        names: of all files in the folder.
        library: ``transformers`` or ``diffusers``.
        variant: for example ``fp16`` in ``model.fp16.safetensors``.
        read: returns the text of a file of the folder.
        explicit: the file that a ``config.json`` names by itself (``transformers_weights``).

    Raises:
        Unreadable: the index is no index, or names files that are not in the folder.
    """
    stem, dot = STEMS[library], f".{variant}" if variant else ""
    single = f"{stem}{dot}.safetensors"
    indexes = [f"{stem}.safetensors.index{dot}.json"]
    if library == "diffusers" and variant:
        indexes.append(f"{stem}.safetensors.{variant}.index.json")  # as it was written before 2025
    order = [*indexes, single] if library == "diffusers" else [single, *indexes]
    for name in [explicit] if explicit else order:
        if name not in names:
            continue
        return Layout(_shards(name, read(name), names), name) if name.endswith(".json") else Layout((name,))
    return None


def _shards(index: str, text: str, names: Collection[str]) -> tuple[str, ...]:
    try:
        where = json.loads(text)["weight_map"]
        files = sorted({str(file) for file in where.values()})
    except (ValueError, KeyError, TypeError, AttributeError):
        if text.startswith(_LFS.decode()):
            raise Unreadable(_pointer(index)) from None
        raise Unreadable(f'{index} is no index of weights: it wants {{"weight_map": {{NAME: FILE}}}}') from None
    if not files:
        raise Unreadable(f"{index} names no weight files")
    if absent := [file for file in files if file not in names]:
        raise Unreadable(
            f"{len(absent)} of the {len(files)} weight files that {index} names are missing, for instance {absent[0]}. "
            "Copy or download the checkpoint again"
        )
    return tuple(files)


def variants(names: Collection[str], library: str) -> list[str]:
    """Return the values of ``model.variant=`` that the files in a folder are named for."""
    stem = re.escape(STEMS[library])
    single = re.compile(rf"{stem}\.([^.]+)\.safetensors")
    index = re.compile(rf"{stem}\.safetensors\.(?:index\.([^.]+)|([^.]+)\.index)\.json")
    matches = [match for name in names for match in (single.fullmatch(name), index.fullmatch(name)) if match]
    groups = {group for match in matches for group in match.groups() if group}
    return sorted(name for name in groups if not _SHARD.search(f"-{name}"))


def headers(folder: Path, files: Layout, library: str) -> dict[str, Tensor]:
    """Read the headers of the weight files: every tensor by its name.

    A weight that an index names and no file holds is refused for diffusers only: diffusers trusts the index and would
    leave such a weight as it was in memory, while transformers looks into the files.

    Raises:
        Unreadable: a file is no safetensors file, or cut off; two hold one name; the index names what no file holds.
    """
    tensors: dict[str, Tensor] = {}
    for file in files.weights:
        for name, (dtype, shape) in _header(folder / file).items():
            if name in tensors:
                raise Unreadable(f"both {tensors[name].file} and {file} hold {name}")
            tensors[name] = Tensor(dtype, shape, file)
    if files.index and library == "diffusers":
        listed = json.loads((folder / files.index).read_text(encoding="utf-8"))["weight_map"]
        if absent := sorted(name for name in listed if name not in tensors):
            raise Unreadable(
                f"{files.index} names {len(absent)} weights that no file holds, for instance {absent[0]}, which "
                f"it places in {listed[absent[0]]}"
            )
    return tensors


def _header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    size = path.stat().st_size
    if not size:
        raise Unreadable(f"{path.name} is empty (0 bytes). Copy or download it again")
    with path.open("rb") as file:
        start = file.read(64)
        if start.startswith(_LFS):
            raise Unreadable(_pointer(path.name))
        length = int.from_bytes(start[:8], "little")
        file.seek(8)
        text = file.read(length) if 2 <= length <= 100_000_000 else b""
    try:
        listed = json.loads(text)
        tensors = {name: entry for name, entry in listed.items() if name != "__metadata__"}
        ends = [int(entry["data_offsets"][1]) for entry in tensors.values()]
        read = {name: (str(entry["dtype"]), tuple(map(int, entry["shape"]))) for name, entry in tensors.items()}
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        if 8 + length > size and size > 8 and 2 <= length <= 100_000_000:
            raise Unreadable(f"{path.name} is cut off within its header. Copy or download it again") from None
        raise Unreadable(f"{path.name} is no safetensors file. Copy or download it again") from None
    wanted = 8 + length + max(ends, default=0)
    if size != wanted:
        how = "is cut off" if size < wanted else "is damaged"
        raise Unreadable(f"{path.name} {how}: {size} bytes of {wanted}. Copy or download it again")
    return read


def _pointer(name: str) -> str:
    return f"{name} is a git-lfs pointer, not the file itself. Type git lfs pull in the folder, or download it again"


def is_pointer(text: str) -> bool:
    """Check whether a file holds only git-lfs's note of where its content is."""
    return text.startswith(_LFS.decode())


def unread(names: Collection[str], library: str, variant: str | None, convert: str, away: bool = False) -> str:
    """Return what to do about a folder that has no weights of the name that loading looks for.

    Args:
        names: of all files in the folder.
        library: ``transformers`` or ``diffusers``.
        variant: the one that was asked for.
        convert: the line to type that turns pickled weights into safetensors.
        away: whether the hub cannot be asked, so that the folder holds only what earlier runs have fetched.
    """
    if away and not any(".safetensors" in name for name in names):
        return NOT_FETCHED
    stem, named = STEMS[library], variants(names, library)
    wanted = f"{stem}.{variant}.safetensors" if variant else f"{stem}.safetensors"
    if named:
        others = " or ".join(f"model.variant={name}" for name in named)
        plain = layout(names, library, None, lambda _: '{"weight_map": {}}') if f"{stem}.safetensors" in names else None
        leave = " or leave model.variant= out" if plain and variant else ""
        return f"it has no {wanted}. Add {others}{leave}"
    if variant and (f"{stem}.safetensors" in names or f"{stem}.safetensors.index.json" in names):
        return f"it has no {wanted}. Leave model.variant= out: its weights have no variant"
    safetensors = sorted(name for name in names if name.endswith(".safetensors"))
    if safetensors and all(_SHARD.search(name.removesuffix(".safetensors")) for name in safetensors):
        return f"it has {safetensors[0]}, but no {stem}.safetensors.index.json that lists the files of the weights"
    if len(safetensors) == 1:
        return f"it has no {wanted}, but {safetensors[0]}. If those are its weights, rename them to {wanted}"
    if safetensors:
        return f"it has no {wanted}, but {len(safetensors)} others, for instance {safetensors[0]}"
    if gguf := sorted(name for name in names if name.lower().endswith(".gguf")):
        return f"its weights are quantised as GGUF ({gguf[0]}), which foresight does not read: {UNQUANTISED}"
    if pickled := sorted(name for name in names if name.lower().endswith(PICKLED)):
        return f"its weights are in {pickled[0]}, which is not safetensors: foresight reads nothing pickled. {convert}"
    return f"it has no weights ({wanted})"


def conversion(library: str, config: Mapping[str, Any], source: str, subfolder: str | None, target: str) -> str:
    """Return the line to type that writes pickled weights as safetensors."""
    if library == "diffusers":
        name = str(config.get("_class_name", "AutoModel"))
    else:
        name = str((config.get("architectures") or ["AutoModel"])[0])
    inside = f", subfolder='{subfolder}'" if subfolder else ""
    return (
        f'To convert it: python -c "from {library} import {name} as N; '
        f"N.from_pretrained('{source}'{inside}, use_safetensors=False).save_pretrained('{target}')\""
    )
