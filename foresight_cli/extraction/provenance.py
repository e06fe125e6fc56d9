"""The provenance of an entry: what its manifest tells of the run that filled it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from foresight_cli.config import ExtractConfig
from foresight_cli.data.left_alone import LeftAlone

PACKAGES = (
    "foresight-latents",
    "torch",
    "transformers",
    "diffusers",
    "pillow",
    "safetensors",
    "av",
    "pillow-heif",
    "pyarrow",
)


def provenance_of(config: ExtractConfig, device: str, left_alone: LeftAlone) -> dict[str, Any]:
    """Return facts about the run that do not change its numbers; no time or folder, so that reruns are equal."""
    data, model = asdict(config.data), asdict(config.model)
    for settings, key in ((data, "path"), (model, "path"), (model, "checkpoint")):
        if key not in settings:
            continue
        pattern = settings["name"] == "precomputed" and not settings[key].startswith("{")
        if pattern or Path(settings[key]).expanduser().exists():  # neither a hub id nor tiny:<model>
            settings[key] = str(Path(settings[key]).expanduser().resolve())
    label = model.pop("label")  # outside the settings, so that caches from before labels existed stay as they are
    return {
        "data": data,
        "model": model,
        **({"label": label} if label else {}),
        "batch_size": config.batch_size or "auto",
        "device": device,
        "python": platform.python_version(),
        "versions": versions_of(PACKAGES),
        **({"left_alone": left_alone.as_json()} if left_alone else {}),
    }


def versions_of(packages: Sequence[str]) -> dict[str, str]:
    """Return the version of each package that is installed: some are extras."""
    versions = {}
    for name in packages:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
