"""``model.variant=`` and ``model.subfolder=``: the files that are read, and those in the hash."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.models import LatentModel
from tests.models.published import WEIGHTS, latents, ltxv, qwen, rewrite, split, tiny

OPEN = {"qwen25vl": qwen, "ltxv": ltxv}
LAYER = {"qwen25vl": "8", "ltxv": "final"}
MODELS = pytest.mark.parametrize("model", ["qwen25vl", "ltxv"])


def half_of(file: Path) -> None:
    """Write weights half as large, so that they give other latents."""
    rewrite(file, lambda weights: {name: weight / 2 for name, weight in weights.items()})


def sha(model: LatentModel) -> str:
    return model.identity(reach_hub=False)["sha256"]


@pytest.fixture
def both(tmp_path, request) -> Path:
    """A checkpoint with two sets of weights: the shipped one, and the variant ``half``."""
    model = request.getfixturevalue("model")
    folder = tiny(tmp_path / "q", model)
    file = folder / WEIGHTS[model]
    variant = file.with_name(file.name.replace(".safetensors", ".half.safetensors"))
    shutil.copy(file, variant)
    half_of(variant)
    return folder


@MODELS
def test_a_variant_is_read_and_hashed_alone(both, model, tmp_path):
    plain, half = OPEN[model](both), OPEN[model](both, variant="half")
    assert torch.equal(latents(plain, LAYER[model]), latents(OPEN[model](f"tiny:{model}"), LAYER[model]))
    assert sha(plain) == sha(OPEN[model](tiny(tmp_path / "alone", model)))  # the variant is not read
    halved = tiny(tmp_path / "halved", model)
    half_of(halved / WEIGHTS[model])
    assert torch.equal(latents(half, LAYER[model]), latents(OPEN[model](halved), LAYER[model]))
    assert len({sha(plain), sha(half), sha(OPEN[model](halved))}) == 3
    assert half.recipe("final") == plain.recipe("final") | {"variant": "half"}
    (both / WEIGHTS[model]).unlink()
    assert sha(half) == sha(OPEN[model](both, variant="half"))


@MODELS
def test_a_variant_that_was_forgotten(both, model):
    file = both / WEIGHTS[model]
    file.unlink()
    at = "" if model == "qwen25vl" else " (vae)"
    with pytest.raises(ForesightError) as caught:
        OPEN[model](both).check_weights()
    assert str(caught.value) == f"cannot read the checkpoint {both}{at}: it has no {file.name}. Add model.variant=half"


@MODELS
def test_a_variant_that_is_not_there(both, model):
    stem = Path(WEIGHTS[model]).stem
    at = "" if model == "qwen25vl" else " (vae)"
    with pytest.raises(ForesightError) as caught:
        OPEN[model](both, variant="fp16").check_weights()
    assert str(caught.value) == (
        f"cannot read the checkpoint {both}{at}: it has no {stem}.fp16.safetensors. Add model.variant=half or leave "
        "model.variant= out"
    )


def test_no_variant_at_all(tmp_path):
    folder = tiny(tmp_path / "q")
    with pytest.raises(ForesightError) as caught:
        qwen(folder, variant="fp16").check_weights()
    assert str(caught.value) == (
        f"cannot read the checkpoint {folder}: it has no model.fp16.safetensors. Leave model.variant= out: its weights "
        "have no variant"
    )


@pytest.mark.parametrize("variant", ["../x", "a.b", "", "a/b"])
def test_a_variant_is_a_word(tmp_path, variant):
    with pytest.raises(UsageError) as caught:
        qwen(tmp_path, variant=variant)
    assert str(caught.value) == f"model.variant: must be a word such as fp16, got {variant!r}"


@pytest.mark.parametrize(
    ("model", "index"),
    [
        ("qwen25vl", "model.safetensors.index.half.json"),
        ("ltxv", "diffusion_pytorch_model.safetensors.index.half.json"),
        ("ltxv", "diffusion_pytorch_model.safetensors.half.index.json"),  # its name in diffusers before 2025
    ],
)
def test_a_variant_in_shards(both, model, index):
    plain = latents(OPEN[model](both, variant="half"), LAYER[model])
    file = both / WEIGHTS[model]
    split(file.with_name(file.name.replace(".safetensors", ".half.safetensors")), index)
    sharded = OPEN[model](both, variant="half")
    if ".half.index" in index:
        with pytest.warns(FutureWarning, match="serialization format is now deprecated"):
            assert torch.equal(latents(sharded, LAYER[model]), plain)
    else:
        assert torch.equal(latents(sharded, LAYER[model]), plain)


@pytest.mark.parametrize(("model", "first"), [("qwen25vl", "single"), ("ltxv", "shards")])
def test_a_single_file_beside_shards(tmp_path, model, first):
    """transformers prefers the single file, diffusers the shards; the hash is over what is read."""
    folder = tiny(tmp_path / "q", model)
    file = folder / WEIGHTS[model]
    shutil.copy(file, tmp_path / "kept")
    split(file)
    shards = latents(OPEN[model](folder), LAYER[model]), sha(OPEN[model](folder))
    shutil.copy(tmp_path / "kept", file)
    half_of(file)
    mixed = latents(OPEN[model](folder), LAYER[model])
    assert torch.equal(mixed, shards[0]) == (first == "shards")
    assert (sha(OPEN[model](folder)) == shards[1]) == (first == "shards")


def test_shards_of_an_earlier_save_are_not_in_the_hash(tmp_path):
    folder = tiny(tmp_path / "q")
    split(folder / "model.safetensors", shards=2)
    before = sha(qwen(folder))
    shutil.copy(folder / "model-00002-of-00002.safetensors", folder / "model-00003-of-00003.safetensors")
    assert sha(qwen(folder)) == before


def test_the_files_that_are_hashed_today_are_so_still(tmp_path):
    """The keys of all earlier extractions depend on it."""
    assert sha(qwen("tiny:qwen25vl")) == "14804d9df7a7ead75298b85ad78bc7f6bd42eba1869df6fcff9d1d4038141be4"
    assert sha(ltxv("tiny:ltxv")) == "208196c689394015cb3b7a81ff7baf9bace5223a25ba83bc0459d200c35941b9"


# --- subfolders


def test_qwen_in_a_subfolder(tmp_path):
    (tmp_path / "p").mkdir()
    tiny(tmp_path / "p/text_encoder")
    inside, plain = qwen(tmp_path / "p", subfolder="text_encoder"), qwen("tiny:qwen25vl")
    assert torch.equal(latents(inside, "8"), latents(plain, "8"))
    assert sha(inside) == sha(plain)
    assert inside.recipe("8") == qwen(tmp_path / "p/text_encoder").recipe("8") | {"subfolder": "text_encoder"}
    assert "subfolder" not in plain.recipe("8")
    assert sha(qwen(tmp_path / "p", subfolder="text_encoder/")) == sha(plain)


def test_files_beside_a_subfolder_are_in_the_hash(tmp_path):
    (tmp_path / "p").mkdir()
    tiny(tmp_path / "p/text_encoder")
    before = sha(qwen(tmp_path / "p", subfolder="text_encoder"))
    (tmp_path / "p/tokenizer").mkdir()
    (tmp_path / "p/tokenizer/tokenizer_config.json").write_text("{}")
    assert sha(qwen(tmp_path / "p", subfolder="text_encoder")) != before


def test_a_folder_may_hold_more_than_one_network(tmp_path):
    folder = tiny(tmp_path / "v", "ltxv")
    shutil.copytree(folder / "vae", folder / "vae_half")
    half_of(folder / "vae_half" / Path(WEIGHTS["ltxv"]).name)
    other = ltxv(folder, subfolder="vae_half")
    assert not torch.allclose(latents(other, "final"), latents(ltxv(folder), "final"))
    assert sha(other) != sha(ltxv(folder)) == sha(ltxv("tiny:ltxv"))
    assert set(load_file(folder / WEIGHTS["ltxv"])) == set(load_file(folder / "vae_half" / Path(WEIGHTS["ltxv"]).name))
