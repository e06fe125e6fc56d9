"""The weight files of a checkpoint: shards, spoiled files, indexes and pickles."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from foresight_cli.errors import ForesightError
from tests.models.published import WEIGHTS, latents, ltxv, qwen, refusals, rewrite, split, tiny


@pytest.fixture
def folder(tmp_path) -> Path:
    return tiny(tmp_path / "q")


@pytest.mark.parametrize("model", ["qwen25vl", "ltxv"])
def test_shards_give_the_latents_of_a_single_file(tmp_path, model):
    opened, layer = (qwen, "8") if model == "qwen25vl" else (ltxv, "final")
    whole, parts = tiny(tmp_path / "whole", model), tiny(tmp_path / "parts", model)
    split(parts / WEIGHTS[model], shards=3)
    assert torch.equal(latents(opened(whole), layer), latents(opened(parts), layer))
    assert opened(whole).identity(reach_hub=False) != opened(parts).identity(reach_hub=False)


@pytest.mark.parametrize("model", ["qwen25vl", "ltxv"])
def test_a_shard_that_is_missing(tmp_path, model):
    folder = tiny(tmp_path / "q", model)
    last = split(folder / WEIGHTS[model], shards=3)[-1]
    last.unlink()
    name = f"{folder}" + (" (vae)" if model == "ltxv" else "")
    stem = last.name.split("-")[0]
    assert refusals(qwen(folder) if model == "qwen25vl" else ltxv(folder)) == {
        f"cannot read the checkpoint {name}: 1 of the 3 weight files that {stem}.safetensors.index.json names are "
        f"missing, for instance {last.name}. Copy or download the checkpoint again"
    }


CUT = "Copy or download it again"


def spoiled(file: Path, how: str) -> str:
    """Damage a weight file, and return the message."""
    data = file.read_bytes()
    if how == "empty":
        file.write_bytes(b"")
        return f"{file.name} is empty (0 bytes). {CUT}"
    if how == "pointer":
        file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3485104\n")
        pull = "Type git lfs pull in the folder, or download it again"
        return f"{file.name} is a git-lfs pointer, not the file itself. {pull}"
    if how == "cut":
        file.write_bytes(data[:-1000])
        return f"{file.name} is cut off: {len(data) - 1000} bytes of {len(data)}. {CUT}"
    if how == "cut within its header":
        file.write_bytes(data[:1000])
        return f"{file.name} is cut off within its header. {CUT}"
    if how == "longer":
        file.write_bytes(data + b"0")
        return f"{file.name} is damaged: {len(data) + 1} bytes of {len(data)}. {CUT}"
    file.write_text("<html>404: not found</html>")
    return f"{file.name} is no safetensors file. {CUT}"


@pytest.mark.parametrize("how", ["empty", "pointer", "cut", "cut within its header", "longer", "a page of the web"])
def test_a_weight_file_that_is_none(folder, how):
    reason = spoiled(folder / "model.safetensors", how)
    assert refusals(qwen(folder)) == {f"cannot read the checkpoint {folder}: {reason}"}
    with pytest.raises(ForesightError, match=r"model\.safetensors"):
        qwen(folder).identity(reach_hub=False)


@pytest.mark.parametrize("text", ["[]", "{}", '{"weight_map": {"a": 1, "b": []}}', "no", '{"weight_map": {}}'])
def test_an_index_that_is_none(folder, text):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(text)
    (message,) = refusals(qwen(folder))
    assert message.startswith(f"cannot read the checkpoint {folder}: ")
    assert "model.safetensors.index.json" in message
    assert len(message.splitlines()) == 1


def test_shards_without_their_index(folder):
    first, _ = split(folder / "model.safetensors")
    (folder / "model.safetensors.index.json").unlink()
    assert refusals(qwen(folder)) == {
        f"cannot read the checkpoint {folder}: it has {first.name}, but no model.safetensors.index.json that lists the "
        "files of the weights"
    }


def test_a_weight_in_two_shards(folder):
    first, second = split(folder / "model.safetensors")
    name = min(load_file(first))
    rewrite(second, lambda weights: weights | {name: torch.ones(381, 64)})
    assert refusals(qwen(folder)) == {
        f"cannot read the checkpoint {folder}: both {first.name} and {second.name} hold {name}"
    }


def test_pickled_weights_are_converted_by_the_line_that_is_printed(folder):
    from transformers import Qwen2_5_VLForConditionalGeneration as Network

    plain = latents(qwen(folder), "8")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    (message,) = refusals(qwen(folder))
    assert message == (
        f"cannot read the checkpoint {folder}: its weights are in pytorch_model.bin, which is not safetensors: "
        'foresight reads nothing pickled. To convert it: python -c "from transformers import '
        f"Qwen2_5_VLForConditionalGeneration as N; "
        f"N.from_pretrained('{folder}', use_safetensors=False).save_pretrained('{folder}')\""
    )
    Network.from_pretrained(folder, use_safetensors=False).save_pretrained(folder)
    torch.testing.assert_close(latents(qwen(folder), "8"), plain)


def test_an_index_that_names_a_weight_that_no_shard_holds(tmp_path):
    """diffusers trusts the index, and would leave the weight as it was in memory."""
    vae = tiny(tmp_path / "v", "ltxv")
    file = vae / WEIGHTS["ltxv"]
    first, _ = split(file)
    gone = []
    rewrite(first, lambda weights: {k: v for k, v in weights.items() if k != min(weights) or gone.append(k)})
    assert refusals(ltxv(vae)) == {
        f"cannot read the checkpoint {vae} (vae): diffusion_pytorch_model.safetensors.index.json names 1 weights "
        f"that no file holds, for instance {gone[0]}, which it places in {first.name}"
    }
