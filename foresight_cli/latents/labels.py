"""Labels of models in tables, titles and files: the name that the user gave, or that of the model's file or folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from foresight_cli.config import model_schema
from foresight_cli.config.tree import as_override

Settings = Mapping[str, Any]

PLACES = ("path", "checkpoint")


def label_of(settings: Settings) -> str:
    """Return the label of the model with these ``settings``.

    >>> label_of({"name": "precomputed", "path": "/data/effnet.npz"})
    'effnet'
    >>> label_of({"name": "vision", "checkpoint": "facebook/dinov2-base", "init": "random"})
    'dinov2-base init=random'
    >>> label_of({"name": "ltxv", "checkpoint": "tiny:ltxv"})
    'ltxv'
    """
    if settings.get("label"):
        return str(settings["label"])
    name, checkpoint = str(settings["name"]), str(settings.get("checkpoint") or "")
    label = name
    if settings.get("path"):
        label = _file_name(str(settings["path"]))
    elif checkpoint and not checkpoint.startswith("tiny:") and checkpoint != model_schema(name).named_after:
        label = _folder_name(checkpoint)
    return f"{label or name} init=random" if settings.get("init") == "random" else label or name


def labels_of_both(source: Settings, target: Settings) -> tuple[str, str]:
    """Return the labels of two models; equal ones are extended by the first setting that differs, or by their folders.

    >>> labels_of_both({"name": "precomputed", "path": "a/x.npz"}, {"name": "precomputed", "path": "b/x.npz"})
    ('a/x.npz', 'b/x.npz')
    """
    first, second = told_apart([source, target])
    return first, second


def told_apart(models: Sequence[Settings]) -> list[str]:
    """Return the labels of ``models``; equal ones are extended by the settings that differ.

    >>> told_apart([{"name": "vision", "checkpoint": "vit", "tokens": t} for t in ("cls", "patch")])
    ['vit tokens=cls', 'vit tokens=patch']
    """
    labels = [label_of(settings) for settings in models]
    return [
        _with_difference(label, settings, [other for other, its in zip(models, labels, strict=True) if its == label])
        for label, settings in zip(labels, models, strict=True)
    ]


def _with_difference(label: str, settings: Settings, same: Sequence[Settings]) -> str:
    """Return ``label`` with the fewest settings that distinguish ``settings`` from the models with the same label."""
    left, words = list(same), []
    for key in (key for key in settings if key != "label"):
        still = [other for other in left if other.get(key) == settings[key]]
        if len(still) == len(left):
            continue
        left = still
        if key in PLACES and not settings.get("label"):
            label = "/".join(PurePath(str(settings[key])).parts[-2:])
        else:
            words.append(as_override(key, settings[key]))
    return " ".join([label, *words])


def _file_name(path: str) -> str:
    """Return the name of a file of latents without its suffix, or of the folder; for a pattern, of its folder."""
    parts = [part for part in PurePath(path).parts if not re.search(r"[*?{\[]", part)]
    last = PurePath(parts[-1] if parts else "")
    return last.stem if last.suffix.lower() in (".npz", ".npy", ".safetensors", ".parquet") else last.name


def _folder_name(checkpoint: str) -> str:
    """Return the last part of a hub id or a folder's path; in the cache of the hub, the name of the model."""
    parts = PurePath(checkpoint).parts
    cached = [part for part in parts if part.startswith("models--")]
    return (cached[-1].rpartition("--")[2] if cached else PurePath(checkpoint).name).strip()
