"""Saving and loading of adapters: three plain files; reading them runs no code from them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from foresight_cli import __version__
from foresight_cli.adapters.adapter import Adapter, open_adapter
from foresight_cli.adapters.hub import CARD, SETTINGS, TENSORS, fetch_adapter, is_repo_id
from foresight_cli.adapters.training_recipe import refuse_other_source
from foresight_cli.config import GROUPS
from foresight_cli.errors import ForesightError, UsageError, first_line
from foresight_cli.latents.storage.atomic import make_folder, write_atomic

if TYPE_CHECKING:
    from foresight_cli.latents import Entry, Recipe

FORMAT = 2
"""Version of ``config.json``. It increases with any change that an older foresight would misread."""


def save_adapter(adapter: Adapter, folder: Path, recipes: dict[str, Any], *, card: str | None = None) -> None:
    """Write ``adapter.safetensors``, ``README.md`` and ``config.json`` into ``folder``.

    ``config.json`` is written last and contains the hash of the tensors: if the process is killed between the files,
    the folder holds the old adapter, the new one, or one that :func:`load_adapter` refuses.

    Args:
        adapter: a trained adapter.
        folder: the folder to write to; made if it does not exist.
        recipes: ``source`` and ``target``: the cache recipes that it was trained on.
        card: text of ``README.md``; without it, none is written, and the adapter cannot be published.

    Raises:
        ForesightError: the folder cannot be written.
    """
    tensors = save({name: value.detach().cpu().contiguous() for name, value in sorted(adapter.state_dict().items())})
    settings = {
        "format": FORMAT,
        "foresight": __version__,
        "adapter": asdict(adapter.config),
        "source_dim": adapter.source_dim,
        "target_dim": adapter.target_dim,
        "shape": adapter.shape,
        "recipes": recipes,
        "sha256": hashlib.sha256(tensors).hexdigest(),
    }
    make_folder(folder)
    write_atomic(folder / TENSORS, tensors)
    if card is not None:
        write_atomic(folder / CARD, card.encode())
    write_atomic(folder / SETTINGS, json.dumps(settings, indent=1, sort_keys=True, allow_nan=False).encode())


def load_adapter(place: str | Path, *, source: Recipe | dict[str, Any] | Entry | None = None) -> Adapter:
    """Load the adapter saved in ``place``, in evaluation mode on the CPU: it maps raw source to raw target latents.

    Args:
        place: a folder, or ``user/name`` on the Hugging Face hub if there is no such folder.
        source: the latents to map: a cache entry or its recipe. They must have been made with the settings of the
            latents that the adapter was trained on; the data may differ.

    Returns:
        A module that maps ``[n, source_dim]`` to ``[n, target_dim]``.

    Raises:
        ForesightError: there is no adapter, it has another format or kind, its files are damaged or do not fit
            together, or it was trained on latents that were made with other settings than ``source``.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from foresight_cli.config import LinearConfig
        >>> with TemporaryDirectory() as folder:
        ...     adapter = open_adapter(LinearConfig("linear", max_parameters=100), 3, 2)
        ...     save_adapter(adapter, Path(folder), {"source": {}, "target": {}})
        ...     load_adapter(folder)(torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """
    settings, data = _read(_folder(place), place)
    adapter = _opened(settings, data, place)
    if source is not None:
        refuse_other_source(settings.get("recipes"), source, place)
    return adapter


def _folder(place: str | Path) -> Path:
    folder = Path(place).parent if Path(place).name == TENSORS else Path(place)
    if folder.is_dir():
        return folder
    if isinstance(place, str) and is_repo_id(place):
        return fetch_adapter(place)
    raise ForesightError(f"no adapter in {place}: there is no such folder. foresight adapt writes one")


def _read(folder: Path, place: str | Path) -> tuple[dict[str, Any], bytes]:
    """Read ``config.json``, and the bytes of the tensors that it was written with."""
    try:
        text, data = (folder / SETTINGS).read_bytes(), (folder / TENSORS).read_bytes()
    except FileNotFoundError as error:
        raise ForesightError(f"no adapter in {place}: {Path(error.filename).name} is missing") from None
    except OSError as error:
        raise ForesightError(f"cannot read the adapter in {place}: {error.strerror or error}") from None
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ForesightError(f"cannot read the adapter in {place}: {SETTINGS} is damaged ({error})") from None
    version = settings.get("format") if isinstance(settings, dict) else None
    if not isinstance(version, int):
        raise ForesightError(f"no adapter in {place}: its {SETTINGS} was not written by foresight adapt")
    if version < FORMAT:
        raise ForesightError(
            f"the adapter in {place} has format {version}, of an older foresight; this one ({__version__}) reads "
            f"format {FORMAT}. Train it again: foresight adapt"
        )
    if version > FORMAT:
        raise ForesightError(
            f"the adapter in {place} has format {version}, of foresight {settings.get('foresight')}; this one "
            f"({__version__}) reads format {FORMAT}. Type: pip install -U foresight-latents"
        )
    if hashlib.sha256(data).hexdigest() != settings.get("sha256"):
        raise ForesightError(
            f"cannot read the adapter in {place}: {TENSORS} is not the file that {SETTINGS} was written with; it is "
            "damaged or half copied. Copy both again, or train again: foresight adapt"
        )
    return settings, data


def _opened(settings: dict[str, Any], data: bytes, place: str | Path) -> Adapter:
    misfit = f"the adapter in {place} does not fit its {SETTINGS}:"
    try:
        kind, dims, shape = settings["adapter"], [settings["source_dim"], settings["target_dim"]], settings["shape"]
        if not all(type(dim) is int and dim > 0 for dim in dims):
            raise ForesightError(f"{misfit} it cannot map {dims[0]!r} values to {dims[1]!r}")
        if not isinstance(shape, dict):
            raise ForesightError(f"{misfit} its shape {shape!r} is not a mapping of names to numbers")
        if kind["name"] not in GROUPS["adapter"]:
            kinds = ", ".join(sorted(GROUPS["adapter"]))
            raise ForesightError(
                f"the adapter in {place} is of the kind {kind['name']!r}, unknown to this foresight "
                f"({__version__}): it has {kinds}. Type: pip install -U foresight-latents"
            )
        config = GROUPS["adapter"][kind["name"]](**kind)
        tensors = load(data)
        with torch.device("meta"):  # sizes only: the adapter of someone else's config.json may not fit into memory
            wanted = open_adapter(config, *dims, **shape).state_dict()
        for name in sorted({*wanted, *tensors}):
            if (size := _size(tensors, name)) != (wanted_size := _size(wanted, name)):
                raise ForesightError(f"{misfit} {name} is {size}, not {wanted_size}")
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):  # random weights are drawn, then replaced
            adapter = open_adapter(config, *dims, **shape)
        adapter.load_state_dict(tensors)
    except KeyError as error:
        raise ForesightError(f"{misfit} {SETTINGS} lacks {error}") from None
    except (UsageError, ArithmeticError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ForesightError(f"{misfit} {first_line(error)}") from None
    return adapter.eval()


def _size(tensors: dict[str, torch.Tensor], name: str) -> str:
    return str(list(tensors[name].shape)) if name in tensors else "nothing"
