"""The label of a model in the manifest of its entries, which may change after sealing."""

from __future__ import annotations

import json

from foresight_cli.latents.storage.atomic import write_atomic
from foresight_cli.latents.store import Entry


def write_label(entry: Entry, label: str) -> None:
    """Write ``label`` as the name of the model into the manifest of ``entry``; key and shards do not depend on it.

    Raises:
        ForesightError: the entry is not complete.
    """
    manifest = entry.manifest()
    if manifest["provenance"].get("label") != label:
        manifest["provenance"]["label"] = label
        write_atomic(entry.path / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True).encode())
