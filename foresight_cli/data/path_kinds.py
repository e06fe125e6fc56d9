"""Recognise files and folders: which ``data=`` reads one, which ``model=`` loads one."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from foresight_cli.config.text_settings import shell_line

MOST_FILES = 500
"""Most files of a folder to look at."""


class PathKind(NamedTuple):
    """The option and setting to use for a path on the command line.

    Attributes:
        option: option of the group, for example ``imagefolder``.
        path: path to pass: the containing folder, if the option takes a folder and the user named a file in it.
        what: description of the path, for example "small is a folder".
        setting: name of the setting that takes the path.
    """

    option: str
    path: str
    what: str
    setting: str = "path"

    def extract_words(self) -> list[str]:
        """Return the words for ``foresight extract``: latents in a file are its model, since no other takes them."""
        group = "model" if self.option == "precomputed" else "data"
        return [f"{group}={self.option}", f"{group}.{self.setting}={self.path}"]


def data_of_path(text: str) -> PathKind | None:
    """Find the ``data=`` that reads the path ``text``; None if it does not exist or holds no data."""
    path = _existing(text)
    if path is None:
        return None
    if folder_of_checkpoint(text):
        return None
    what = f"{text} is a {'folder' if path.is_dir() else 'file'}"
    if path.is_dir() and any((path / name).is_file() for name in ("dataset_info.json", "dataset_dict.json")):
        return PathKind("hf", text, what)
    counts = _suffixes(path)
    options = {suffix: option for option, suffixes in _readers().items() for suffix in suffixes}
    by_option: Counter[str] = Counter()
    for suffix, count in counts.items():
        if suffix in options:
            by_option[options[suffix]] += count
    if not by_option:
        return PathKind("imagefolder", text, what) if path.is_dir() else None
    option = by_option.most_common(1)[0][0]
    if option in ("imagefolder", "video") and not path.is_dir():
        return PathKind(option, str(Path(text).parent), f"{text} is a file, and data.path= takes its folder")
    return PathKind(option, text, what)


def instead_of(path: str, option: str) -> str:
    """Return a sentence on what reads ``path`` instead of ``data=option``, to end a refusal; "" if nothing does."""
    model, data = model_of_checkpoint(path), data_of_path(path)
    if folder_of_checkpoint(path) and model is not None:
        line = shell_line([f"model={model.option}", f"model.checkpoint={path}"])
        return f". It is a checkpoint of a network: {line}"
    listed = ("imagefolder", "video") if Path(path).is_dir() else ()  # the caller lists the suffixes that these read
    if data is None or data.option in (option, *listed):
        return ""
    return f". To read it: {shell_line(data.extract_words())}"


def _readers() -> dict[str, tuple[str, ...]]:
    from foresight_cli.data import picture_formats, video_suffixes

    pictures = tuple(suffix for suffixes in picture_formats.SUFFIXES.values() for suffix in suffixes)
    return {
        "imagefolder": pictures,
        "video": video_suffixes.SUFFIXES,
        "webdataset": (".tar",),
        "hf": (".parquet", ".arrow"),
        "precomputed": (".npz", ".npy", ".safetensors"),
    }


def _suffixes(path: Path) -> Counter[str]:
    """Count the files of each suffix in a folder and its subfolders; for a file, its own suffix."""
    if not path.is_dir():
        return Counter([path.suffix.lower()])
    names = (name for _, _, files in os.walk(path) for name in files)
    return Counter(Path(name).suffix.lower() for name in islice(names, MOST_FILES))


def model_of_checkpoint(text: str) -> PathKind | None:
    """Find the ``model=`` that loads a path or hub id; None if it is not a checkpoint."""
    path = _existing(text)
    if path is None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", text) or text.startswith("."):
            return None
        return PathKind(_by_name(text), text, "A hub id is given as the checkpoint", "checkpoint")
    if path.is_dir():
        if not any((path / name).is_file() for name in ("config.json", "vae/config.json", "model_index.json")):
            return None
        return PathKind(_by_config(path) or _by_name(path.name), text, f"{text} is a folder", "checkpoint")
    latents = path.suffix.lower() in (".npz", ".npy", ".parquet", ".safetensors")
    return PathKind("precomputed", text, f"{text} is a file") if latents else None


def folder_of_checkpoint(text: str) -> bool:
    """Check whether ``text`` is a local folder that holds a network."""
    path = _existing(text)
    return path is not None and path.is_dir() and model_of_checkpoint(text) is not None


def _by_name(text: str) -> str:
    name = re.sub(r"[^a-z0-9]", "", text.lower())
    words = {"qwen25vl": "qwen25vl", "ltx": "ltxv", **dict.fromkeys(("vae", "taesd", "autoenc"), "autoencoder")}
    return next((option for word, option in words.items() if word in name), "vision")


def _by_config(folder: Path) -> str | None:
    for name in ("config.json", "vae/config.json"):
        try:
            config = json.loads((folder / name).read_bytes())
        except (OSError, ValueError):
            continue
        kind = str(config.get("_class_name") or config.get("model_type")) if isinstance(config, dict) else ""
        if kind.startswith("Autoencoder"):
            return "ltxv" if "LTX" in kind else "autoencoder"
        return "qwen25vl" if kind.startswith("qwen2_5_vl") else "vision"
    return None


def _existing(text: str) -> Path | None:
    path = os.path.expanduser(text)  # noqa: PTH111 (Path.expanduser raises where no such user exists)
    return Path(path) if text and os.path.exists(path) else None  # noqa: PTH110 (Path.exists raises on a long name)
