"""Tests that docs/cache.md names exactly the fields of the files that are written."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from foresight_cli.config import GROUPS
from foresight_cli.data import Sample, open_dataset
from foresight_cli.latents import Entry, Recipe, load
from foresight_cli.latents.recipe import FORMAT
from foresight_cli.models import open_model
from foresight_cli.models.checkpoint import TINY
from scripts.make_golden_entry import GOLDEN
from tests.builders import one_commit

DOC = (Path(__file__).resolve().parent.parent / "docs" / "cache.md").read_text(encoding="utf-8")
(ENTRY,) = (GOLDEN / f"format-{FORMAT}").glob("*/*/*/*")


def section(title: str) -> str:
    """Return the text from a heading to the next one of any level."""
    return re.split(r"^#+ ", DOC, flags=re.MULTILINE)[[*headings()].index(title) + 1]


def headings() -> list[str]:
    return re.findall(r"^#+ (.*)$", DOC, flags=re.MULTILINE)


def tables(title: str) -> list[dict[str, list[str]]]:
    """Return the tables of a section: the cells of each row, by the name in its first column."""
    complete, rows = [], dict[str, list[str]]()
    for line in [*section(title).splitlines(), ""]:
        if cells := re.fullmatch(r"\| `(\w+)` \| (.*) \|", line):
            rows[cells[1]] = cells[2].split(" | ")
        elif rows and not line.startswith("|"):
            complete.append(rows)
            rows = {}
    return complete


def fields_of(title: str, name: str) -> set[str]:
    """Return the fields that the doc lists for one model or dataset."""
    (table,) = tables(title)
    return {field for field, (where, *_) in table.items() if name in where.split(", ")}


KINDS = {"str": "x", "int": 0, "bool": False, "float": 8.0, "list[str]": ()}


def settings(group: str, name: str, **changes):
    """Return settings with a value of the right type for each field, except for ``changes``."""
    schema, made = GROUPS[group][name], {}
    for field in dataclasses.fields(schema):
        kind = str(field.type)
        made[field.name] = None if "None" in kind else KINDS[kind]
    good = {"name": name, "dtype": "float32", "init": "pretrained", "tokens": "all", "resolution": 224, "bins": 4,
            "checkpoint": "hub/id", "variant": "default" if group == "data" else None, "per_category": 1, "size": 32,
            "frames": 9, "fps": 8.0, "on_error": "raise", "max_pixels": 89_478_485}  # fmt: skip
    return schema(**{**made, **{key: value for key, value in {**good, **changes}.items() if key in made}})


@pytest.fixture
def latent_file(tmp_path) -> str:
    import numpy as np

    np.savez(tmp_path / "a.npz", ids=["a"], values=np.zeros((1, 2), np.float32))
    return str(tmp_path / "a.npz")


@pytest.fixture
def two_templates(tmp_path) -> str:
    """Return a checkpoint with different chat templates of tokenizer and processor, and a token before every text."""
    folder = Path(shutil.copytree(TINY / "qwen25vl", tmp_path / "two", ignore=shutil.ignore_patterns("*.safetensors")))
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"add_bos_token": true}', encoding="utf-8")
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": f"other {template}"}), encoding="utf-8")
    return str(folder)


@pytest.fixture
def _hub(monkeypatch):
    """A hub with one commit, whose small files are those of the tiny Qwen2.5-VL."""
    one_commit(monkeypatch, "0" * 40)


@pytest.fixture
def unscaled(tmp_path) -> str:
    """Return the config of an autoencoder whose pipeline does not read its scaling_factor."""
    statistics = {"latent_channels": 16, "latents_mean": [0.0] * 16, "latents_std": [1.0] * 16}
    (tmp_path / "glm").mkdir()
    (tmp_path / "glm/config.json").write_text(json.dumps({"_class_name": "AutoencoderKL", **statistics}))
    return str(tmp_path / "glm")


@pytest.mark.usefixtures("_hub")
@pytest.mark.parametrize("name", GROUPS["model"])
def test_the_fields_of_a_model(name, latent_file, two_templates, unscaled):
    fields = set[str]()
    vae = {"checkpoint": str(TINY / "ltxv"), "subfolder": "vae"}
    whole = vae if name in ("ltxv", "autoencoder") else {"checkpoint": str(TINY / "qwen25vl")}
    local = [whole, {"checkpoint": two_templates, "init": "random"}]
    if name == "autoencoder":
        local.append({"checkpoint": unscaled, "init": "random", "normalize": True})
    for changes in ({}, *local, {"init": "random"}, {"sample": True}, {"variant": "fp16"}, {"subfolder": "vae"}):
        model = open_model(settings("model", name, path=latent_file, **changes))
        fields |= model.recipe("final").keys() | model.recipe("4").keys() | model.identity(reach_hub=True).keys()
    assert fields_of("model", name) == fields


@pytest.mark.parametrize("name", GROUPS["data"])
def test_the_fields_of_data(name, latent_file, tmp_path):
    from PIL import Image

    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    path = latent_file
    if name in ("imagefolder", "video"):
        path = str(tmp_path)
    if name == "video":
        (tmp_path / "a.mp4").touch()  # a clip that cannot be read is a sample too
    if name == "webdataset":
        path = str(tmp_path / "a.tar")
        with tarfile.open(path, "w") as tar:
            tar.add(tmp_path / "a.png", "a.png")
    if name == "hf":
        datasets = pytest.importorskip("datasets")
        features = datasets.Features({"image": datasets.Image()})
        path = str(tmp_path / "hf")
        datasets.Dataset.from_dict({"image": [str(tmp_path / "a.png")]}, features=features).save_to_disk(path)
    dataset = open_dataset(settings("data", name, path=path, on_error="skip"))
    assert fields_of("data", name) == dataset.identity().keys()


def test_the_fields_of_a_recipe_and_of_the_files_beside_it():
    assert tables("recipe.json")[0].keys() == {"format", *(field.name for field in dataclasses.fields(Recipe))}
    manifest = json.loads((ENTRY / "manifest.json").read_bytes())
    fields, provenance = tables("manifest.json")
    assert fields.keys() == manifest.keys()
    assert provenance.keys() == {*manifest["provenance"], "label", "left_alone", "formats_tried"}
    for part in manifest["shards"][0]:
        assert f"`{part}`" in fields["shards"][0]
    samples = json.loads((ENTRY / "samples.json").read_bytes())
    assert tables("samples.json")[0].keys() == samples["table"].keys()
    assert samples.keys() == {"sha256", "table"}


def test_the_tensors_of_a_shard():
    with safe_open(next(ENTRY.glob("shard-*")), "pt") as shard:
        assert tables("A shard")[0].keys() == set(shard.keys())
        assert shard.metadata() == {"foresight": "shard"}
    assert "with one metadata key, `foresight` = `shard`" in DOC


def test_the_names_of_the_files():
    layout = section("Layout")
    for path in ENTRY.iterdir():
        assert path.name in layout or path.name.startswith("shard-")
    assert f"Format {FORMAT}." in DOC


def test_the_lines_that_read_an_entry_without_foresight(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", DOC, flags=re.DOTALL)
    assert "foresight" not in code
    names: dict = {}
    exec(code, names)
    ids, values = names["read"](str(ENTRY))
    latents = load(ENTRY)
    assert ids == latents.ids
    assert torch.equal(values, latents.values)
    from foresight_cli.latents import Shard
    from foresight_cli.latents.samples import write_samples

    recipe = Recipe({"name": "m"}, "final", "flat", {"name": "d"}, rows=3, rows_per_shard=1)
    entry = Entry.create(tmp_path, recipe)
    for row in (0, 2):
        shard = Shard([f"é{row}"], torch.full((1, 2), row, dtype=torch.bfloat16), torch.zeros(1, 32).byte())
        entry.put(row, shard)
    entry.put(1, Shard([], torch.empty(0, 0), torch.empty(0, 32).byte(), [("é1", "torn")]))
    entry.seal({"data": {"name": "d"}, "versions": {}})
    write_samples(entry.path, [Sample(f"é{row}", None, "g") for row in range(3)])
    ids, values = names["read"](str(entry.path))
    assert ids == load(entry).ids == ["é0", "é2"]
    assert torch.equal(values, load(entry).values)
