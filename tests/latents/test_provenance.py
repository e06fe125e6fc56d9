"""Latents of unknown provenance are refused, whatever their manifest looks like."""

from __future__ import annotations

import json

import pytest
import torch

from foresight_cli.catalog.find import find
from foresight_cli.config import PixelsConfig, SpaceConfig
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, Recipe, Shard, load
from foresight_cli.latents.samples import write_samples

RECIPE = Recipe(
    model={"name": "pixels", "resolution": 8, "resize": "pil-box"},
    layer="final",
    pooling="flat",
    data={"name": "d"},
    rows=1,
    rows_per_shard=1,
)


def entry_with(root, manifest) -> Entry:
    entry = Entry.create(root, RECIPE)
    entry.put(0, Shard(["a"], torch.zeros(1, 2), torch.zeros(1, 32).byte()))
    entry.seal({"data": {"name": "d"}, "versions": {}})
    write_samples(entry.path, [])
    path = entry.path / "manifest.json"
    path.write_text(json.dumps(manifest(json.loads(path.read_bytes()))))
    return entry


@pytest.mark.parametrize(
    "provenance", [None, {}, [], "me", {"data": {"name": "d"}}, {"versions": {}}, {"data": "shapes", "versions": {}}]
)
def test_a_manifest_without_provenance(tmp_path, provenance):
    entry = entry_with(tmp_path, lambda manifest: {**manifest, "provenance": provenance})
    for refuses in (lambda: load(entry), lambda: load(entry.path), entry.manifest):
        with pytest.raises(ForesightError) as caught:
            refuses()
        assert str(caught.value) == (
            f"{entry.path}: the provenance is missing from its manifest; delete the folder and extract the "
            "latents again, or bring your own latents with model=precomputed model.path=FILE"
        )


def test_analyze_reports_it_instead_of_a_key_error(tmp_path):
    entry_with(tmp_path, lambda manifest: {**manifest, "provenance": {}})
    side = SpaceConfig(PixelsConfig("pixels", 8), None, None)
    with pytest.raises(ForesightError, match=r"the provenance is missing from its manifest"):
        _ = find(str(tmp_path), side, side, None).provenance


@pytest.mark.parametrize("manifest", [[], None, 3, "x", {}, {"key": 1}])
def test_a_file_that_is_not_a_manifest(tmp_path, manifest):
    entry = entry_with(tmp_path, lambda _: manifest)
    with pytest.raises(ForesightError) as caught:
        load(entry)
    path = entry.path / "manifest.json"
    assert str(caught.value) == f"{path} belongs to another recipe. Delete it and run the same extract again"


@pytest.mark.parametrize("missing", ["shards", "skipped"])
def test_a_manifest_without_its_lists(tmp_path, missing):
    entry = entry_with(tmp_path, lambda manifest: {**manifest, missing: None})
    with pytest.raises(ForesightError) as caught:
        load(entry)
    path = entry.path / "manifest.json"
    assert str(caught.value) == f"{path} does not list the shards. Delete it and run the same extract again"
