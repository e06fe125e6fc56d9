"""Checkpoints on a hub that runs on this machine: files that are fetched, refusals before, the hub's cache."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.models.checkpoint import TINY, Checkpoint
from tests.adapters.fake_hub import SHA, FakeHub, running
from tests.builders import qwen_model
from tests.models.published import latents, ltxv, qwen

ID = "Qwen/Qwen2.5-VL-7B-Instruct"
SMALL = "or use the small checkpoints that ship for qwen25vl and ltxv: weights=tiny"


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[FakeHub]:
    """A hub that has the shipped checkpoints, and an empty cache."""
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.chdir(tmp_path)
    with running() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        files = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        server.files[ID] = {path.name: path.read_bytes() for path in (TINY / "qwen25vl").iterdir()}
        yield server
        huggingface_hub.close_session()


def away(monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def fetched(tmp_path: Path) -> set[str]:
    """Names of the files in the hub's cache."""
    snapshots = tmp_path.glob(f"hub/models--*/snapshots/{SHA}")
    return {str(path.relative_to(place)) for place in snapshots for path in place.rglob("*") if path.is_file()}


def test_what_loading_reads_is_fetched_and_no_more(hub, tmp_path):
    weights = hub.files[ID]["model.safetensors"]
    hub.files[ID] |= {"model.fp16.safetensors": weights, "pytorch_model.bin": b"0", "onnx/model.onnx": b"0"}
    hub.files[ID] |= {"original/params.json": b"{}", "README.md": b"text", "modeling_mine.py": b"import os"}
    model = qwen(ID)
    model.check_weights()
    assert fetched(tmp_path) == {"config.json"}
    assert model.identity(reach_hub=True) == {"revision": SHA}
    torch.testing.assert_close(latents(model, "8"), latents(qwen("tiny:qwen25vl"), "8"))
    assert fetched(tmp_path) == {
        *("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json"),
        *("tokenizer_config.json", "chat_template.jinja", "model.safetensors"),
    }


def test_a_template_that_earlier_versions_passed_over_is_in_the_key(hub):
    files = hub.files[ID]
    template = files.pop("chat_template.jinja").decode()
    settings = json.loads(files["tokenizer_config.json"])
    files["tokenizer_config.json"] = json.dumps({**settings, "chat_template": template}).encode()
    files["chat_template.json"] = json.dumps({"chat_template": f"{template} "}).encode()
    own = hashlib.sha256(f"{template} ".encode()).hexdigest()
    assert qwen(ID).identity(reach_hub=True) == {"revision": SHA, "chat_template": own}
    assert qwen(ID).identity(reach_hub=False) == {}


def test_a_variant_in_a_subfolder(hub, tmp_path):
    files = {path.name: path.read_bytes() for path in (TINY / "ltxv/vae").iterdir()}
    weights = files.pop("diffusion_pytorch_model.safetensors")
    names = ("diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.bf16.safetensors")
    files |= dict.fromkeys(names, weights)
    hub.files["a/b"] = {f"vae/{name}": data for name, data in files.items()} | {"unet/config.json": b"{}"}
    model = ltxv("a/b", variant="fp16")
    torch.testing.assert_close(latents(model, "final"), latents(ltxv("tiny:ltxv"), "final"))
    assert fetched(tmp_path) == {"vae/config.json", "vae/diffusion_pytorch_model.fp16.safetensors"}
    with pytest.raises(ForesightError) as caught:
        ltxv("a/b").check_weights()
    assert str(caught.value) == (
        "cannot read the checkpoint a/b (vae): it has no diffusion_pytorch_model.safetensors. Add model.variant=bf16 "
        "or model.variant=fp16"
    )


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("adapter_config.json", b"{}", f"{ID} has a LoRA beside the model (adapter_config.json), which would be left"),
        ("quantize_config.json", b"{}", f"the checkpoint {ID} is quantised with an unknown method (quantize_"),
        ("config.json", b'{"quantization_config": {"quant_method": "awq", "bits": 4}}',
         f"the checkpoint {ID} is quantised with AWQ (4 bits) (quantization_config in config.json): to read it,"),
        ("config.json", b"no", f"config.json of {ID} is not JSON (Expecting value: line 1 column 1 (char 0))"),
        ("model.safetensors", None, f"cannot read the checkpoint {ID}: it has no weights (model.safetensors)"),
    ],
)  # fmt: skip
def test_what_is_refused_before_any_weight_is_fetched(hub, tmp_path, file, data, message):
    hub.files[ID].pop(file, None)
    if data is not None:
        hub.files[ID][file] = data
    for step in (qwen(ID).check_weights, lambda: qwen(ID).load("cpu")):
        with pytest.raises(ForesightError) as caught:
            step()
        assert str(caught.value).startswith(message)
    assert "model.safetensors" not in fetched(tmp_path)
    assert not any("model.safetensors" in path for _, path, _ in hub.asked)


def test_a_shard_that_the_hub_lacks(hub, tmp_path):
    del hub.files[ID]["model.safetensors"]
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    hub.files[ID] |= {"model.safetensors.index.json": json.dumps({"weight_map": shards}).encode(), shards["a"]: b"0"}
    with pytest.raises(ForesightError) as caught:
        qwen(ID).check_weights()
    assert str(caught.value) == (
        f"cannot read the checkpoint {ID}: 1 of the 2 weight files that model.safetensors.index.json names are "
        "missing, for instance model-00002-of-00002.safetensors. Copy or download the checkpoint again"
    )


def test_eight_bits_are_refused_once_their_header_is_here(hub):
    from safetensors.torch import load, save

    weights = load(hub.files[ID]["model.safetensors"])
    name = "model.layers.0.mlp.up_proj.weight"
    hub.files[ID]["model.safetensors"] = save(weights | {name: weights[name].to(torch.float8_e4m3fn)})
    with pytest.raises(ForesightError, match="holds 1 weights of fewer than 16 bits"):
        qwen(ID).load("cpu")


def test_what_was_fetched_is_read_where_the_hub_is_away(hub, monkeypatch):
    plain = latents(qwen(ID), "8")
    away(monkeypatch)
    model = qwen(ID)
    assert model.identity(reach_hub=True) == {"revision": SHA}
    assert torch.equal(latents(model, "8"), plain)


def test_an_unknown_checkpoint_is_reported_once(hub, tmp_path):
    (tmp_path / "qwen").mkdir()
    for name, more in (("Qwen/none", ""), ("qwne", ". Did you mean qwen?")):
        with pytest.raises(ForesightError) as caught:
            qwen(name).check_layers(["4"])
        message = str(caught.value)
        assert message.count("cannot get") == message.count("Give a local copy") == 1
        assert message.startswith(f"cannot get {name} from the Hugging Face hub (")
        assert message.endswith(f". Give a local copy with model.checkpoint=DIR, {SMALL}{more}")
    with pytest.raises(ForesightError, match=r"Give a local copy with model\.checkpoint=DIR$"):
        Checkpoint("a/b", model="vision").identity(reach_hub=True)


# --- the cache, when the hub cannot be reached


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A copied hub cache: a snapshot, and no refs."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    away(monkeypatch)
    folder = tmp_path / "hub/models--Qwen--Qwen2.5-VL-7B-Instruct"
    shutil.copytree(TINY / "qwen25vl", folder / "snapshots" / ("c" * 40))
    return folder


def refusal(revision: str | None = None) -> str:
    with pytest.raises(ForesightError) as caught:
        qwen(ID, revision=revision).identity(reach_hub=True)
    return str(caught.value)


def test_a_cache_without_refs(cache):
    assert refusal() == (
        f"the hub cache {cache} holds the snapshot {'c' * 40} of {ID}, but no file refs/main that says which one is "
        f"main, and the hub cannot be asked. Add model.revision={'c' * 40}"
    )
    model = qwen(ID, revision="c" * 40)
    assert model.identity(reach_hub=True) == {"revision": "c" * 40}
    model.check_weights()


def test_refs_with_a_line_end(cache):
    (cache / "refs").mkdir()
    (cache / "refs/main").write_text("c" * 40 + "\n")
    assert refusal() == (
        f"the hub cache {cache} holds the snapshot {'c' * 40} of {ID}, but refs/main has white space around the "
        f"commit, and the hub cannot be asked. Add model.revision={'c' * 40}"
    )


def test_refs_to_a_snapshot_that_is_gone(cache):
    shutil.copytree(cache / "snapshots" / ("c" * 40), cache / "snapshots" / ("d" * 40))
    (cache / "refs").mkdir()
    (cache / "refs/main").write_text("e" * 40)
    assert refusal() == (
        f"the hub cache {cache} holds 2 snapshots of {ID}, but not the one that refs/main names, and the hub cannot be "
        f"asked. Add model.revision={'d' * 40}"
    )


def test_a_cache_that_was_fetched_in_part(cache):
    snapshot = cache / "snapshots" / ("c" * 40)
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (snapshot / "model.safetensors").rename(snapshot / "model-00001-of-00002.safetensors")
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    model = qwen(ID, revision="c" * 40)
    for step in (model.check_weights, lambda: model.load("cpu")):
        with pytest.raises(ForesightError) as caught:
            step()
        assert str(caught.value) == (
            f"cannot read the checkpoint {ID}: 1 of the 2 weight files that model.safetensors.index.json names are "
            "missing, for instance model-00002-of-00002.safetensors. Copy or download the checkpoint again"
        )
    for name in ("model-00001-of-00002.safetensors", "model.safetensors.index.json"):  # dry_run fetches no weights
        (snapshot / name).unlink()
    with pytest.raises(ForesightError) as caught:
        qwen(ID, revision="c" * 40).check_weights()
    assert str(caught.value) == (
        f"cannot read the checkpoint {ID}: earlier runs have fetched none of its weights to this machine, and the hub "
        "cannot be asked. Type the command once with the hub in reach, or give a local copy with model.checkpoint=DIR"
    )
    (snapshot / "config.json").unlink()
    with pytest.raises(ForesightError, match=r"no checkpoint in .*: it has no config.json"):
        qwen(ID, revision="c" * 40).check_weights()


def test_an_empty_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    away(monkeypatch)
    with pytest.raises(ForesightError, match=r"^cannot get Qwen/Qwen2\.5-VL-7B-Instruct from the Hugging Face hub"):
        qwen(ID).identity(reach_hub=True)
    assert qwen(ID).identity(reach_hub=False) == {}
    assert qwen_model(ID).checkpoint == ID
