"""Messages for a path that is no checkpoint: one line for each kind, with what to type."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import save_file

from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.models.checkpoint import TINY, Checkpoint
from foresight_cli.models.config_file import parsed
from tests.models.published import qwen, tiny

WANTED = "model.checkpoint= wants a folder written by save_pretrained or a hub id"
TINY_TOO = f"{WANTED}; or leave it out and add weights=tiny"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(name: str, model: str = "qwen25vl", subfolder: str | None = None, library: str = "transformers") -> str:
    with pytest.raises(ForesightError) as caught:
        Checkpoint(name, None, subfolder, model=model, library=library).identity(reach_hub=False)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(("model", "advice"), [("qwen25vl", TINY_TOO), ("ltxv", TINY_TOO), ("vision", WANTED)])
def test_no_folder(folder, model, advice):
    assert refusal("./vti", model) == f"no folder vti. {advice}"
    assert refusal("a/b/c", model) == f"no folder a/b/c. {advice}"


def test_no_folder_but_one_of_nearly_this_name(folder):
    (folder / "vit").mkdir()
    assert refusal("./vti", "vision") == f"no folder vti. Did you mean vit? {WANTED}"
    assert refusal(f"{folder}/vti", "vision") == f"no folder {folder}/vti. Did you mean {folder}/vit? {WANTED}"


def test_a_link_to_nothing(folder):
    (folder / "q").symlink_to(folder / "gone")
    assert refusal("./q") == f"q is a broken link: it points to {folder}/gone. {TINY_TOO}"


def test_a_file(folder):
    (folder / "w").mkdir()
    for name in ("m.safetensors", "m.gguf", "m.ckpt", "notes.md"):
        (folder / "w" / name).touch()
    head = "wants a folder with config.json"
    assert refusal("w/m.safetensors", "ltxv") == (
        f"w/m.safetensors is a file; model.checkpoint= {head}. It may be a whole model in one file: convert its "
        "autoencoder, once, with the hub in reach: python -c 'from diffusers import AutoencoderKLLTXVideo as A; "
        'A.from_single_file("w/m.safetensors").save_pretrained("converted/vae")\' and take '
        "model.checkpoint=converted model.subfolder=vae"
    )
    assert "AutoencoderKL as A" in refusal("w/m.safetensors", "autoencoder")
    assert refusal("w/m.safetensors") == f"w/m.safetensors is a file; model.checkpoint= {head}"
    assert refusal("w/m.gguf") == (
        "w/m.gguf holds weights quantised as GGUF, which foresight does not read: take the "
        "checkpoint that is not quantised"
    )
    assert refusal("w/m.ckpt") == (
        f"w/m.ckpt is a file; model.checkpoint= {head} and weights in safetensors; foresight reads nothing pickled"
    )
    assert refusal("w/notes.md") == f"w/notes.md is a file; model.checkpoint= {head}"


def test_a_file_of_a_checkpoint(folder):
    tiny(folder / "q")
    for name in ("config.json", "model.safetensors"):
        assert refusal(f"q/{name}") == (
            f"q/{name} is a file; model.checkpoint= wants a folder with config.json. Give the folder: "
            "model.checkpoint=q"
        )


def test_a_folder_without_a_config(folder):
    (folder / "q").mkdir()
    assert refusal("q") == f"no checkpoint in q: it has no config.json, only nothing: the folder is empty. {TINY_TOO}"
    for name in "abcdefg":
        (folder / "q" / name).touch()
    assert refusal("q") == f"no checkpoint in q: it has no config.json, only a, b, c, d, e and 2 more. {TINY_TOO}"


def test_a_pipeline(folder):
    for part in ("vae", "text_encoder", "unet"):
        (folder / "p" / part).mkdir(parents=True)
        (folder / "p" / part / "config.json").write_text("{}")
    head = "no checkpoint in p: it has no config.json. It is"
    assert refusal("p", "ltxv") == f"{head} a folder of folders: add model.subfolder=vae"
    (folder / "p/model_index.json").write_text("{}")
    assert refusal("p") == f"{head} a diffusers pipeline: add model.subfolder=text_encoder"
    choice = "model.subfolder=text_encoder or model.subfolder=unet or model.subfolder=vae"
    assert refusal("p", "vision") == f"{head} a diffusers pipeline: add {choice}"
    assert (
        refusal("p", subfolder="encoder")
        == "p has no folder encoder; model.subfolder= may be text_encoder or unet or vae"
    )


def test_a_subfolder_that_is_not_there(folder):
    tiny(folder / "q")
    assert refusal("q", subfolder="vae") == "q has no folder vae, but a config.json itself: add model.subfolder=null"
    (folder / "sd").mkdir()
    (folder / "sd/config.json").write_text('{"_class_name": "AutoencoderKL"}')
    line = "a network for model=autoencoder. Take model=autoencoder model.checkpoint=sd"
    assert refusal("sd", "ltxv", subfolder="vae") == f"sd has no folder vae, and holds {line}"
    (folder / "sd/vae").mkdir()
    assert (
        refusal("sd", "ltxv", subfolder="vae") == f"no checkpoint in sd/vae: it has no config.json, and sd holds {line}"
    )
    (folder / "ltx").mkdir()
    (folder / "ltx/config.json").write_text('{"_class_name": "AutoencoderKLLTXVideo"}')
    assert refusal("ltx", "ltxv", subfolder="vae") == (
        "ltx has no folder vae, but a config.json itself: add model.subfolder=null"
    )
    (folder / "q/vae").mkdir()
    assert refusal("q", subfolder="vae") == (
        "no checkpoint in q/vae: it has no config.json, but q has one: leave model.subfolder= empty "
        "(model.subfolder=null)"
    )


@pytest.mark.parametrize("subfolder", ["../q", "/q", "~/q", "a/../../q"])
def test_a_subfolder_outside(folder, subfolder):
    with pytest.raises(UsageError) as caught:
        qwen(folder, subfolder=subfolder)
    assert str(caught.value) == (
        f"model.subfolder: must be a folder inside the checkpoint, such as vae, got {subfolder!r}"
    )


def test_a_folder_of_the_hub_s_cache(folder):
    snapshot = folder / "hub/models--Qwen--Qwen2.5-VL-7B-Instruct/snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    for place in (snapshot.parent, snapshot.parent.parent):
        assert refusal(str(place)) == (
            f"{place} is a folder of the hub cache. Its checkpoint is in model.checkpoint={snapshot}"
        )


def test_a_snapshot_with_dangling_links(folder):
    """The blobs of a hub cache were deleted, or the cache was copied without them."""
    snapshot = folder / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").symlink_to("../../blobs/0123")
    assert refusal(str(snapshot)) == f"{snapshot}/config.json is a broken link to ../../blobs/0123. Fetch it again"
    (snapshot / "config.json").unlink()
    shutil.copy(TINY / "qwen25vl/config.json", snapshot)
    (snapshot / "model.safetensors").symlink_to("../../blobs/4567")
    assert refusal(str(snapshot)) == (
        f"cannot read the checkpoint {snapshot}: model.safetensors is a broken link to ../../blobs/4567. Fetch it again"
    )


COPY = "Copy config.json from the checkpoint that it was made from"
BLOCKS = f"wanted at most 2,000 blocks. {COPY}"
WIDE = f"wanted at most 100,000,000. {COPY}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not JSON (it is empty)"),
        ("{,}", "is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"),
        ("[1]", "holds a list; wanted an object with the network's settings"),
        ("7", "holds a single value; wanted an object with the network's settings"),
        (
            "version https://git-lfs.github.com/spec/v1\n",
            "is not JSON (it is a git-lfs pointer: type git lfs pull in the folder)",
        ),
        ('{"text_config": {"num_hidden_layers": 1000000}}', f"has text_config.num_hidden_layers=1,000,000: {BLOCKS}"),
        ('{"vision_config": {"depth": 2001}}', f"has vision_config.depth=2,001: {BLOCKS}"),
        ('{"depths": [3, 3, 900000, 3]}', f"has depths=900,009: {BLOCKS}"),
        ('{"layers_per_block": [1, 3000]}', f"has layers_per_block=3,001: {BLOCKS}"),
        ('{"num_encoder_blocks": [1, 1999, 1]}', f"has num_encoder_blocks=2,001: {BLOCKS}"),
        ('{"decoder_layers": [4, 900000]}', f"has decoder_layers=900,000: {BLOCKS}"),
        ('{"max_position_embeddings": 2147483648}', f"has max_position_embeddings=2,147,483,648: {WIDE}"),
        ('{"hidden_size": 1000000000000}', f"has hidden_size=1,000,000,000,000: {WIDE}"),
        ('{"block_out_channels": [8, 200000000]}', f"has block_out_channels=200,000,000: {WIDE}"),
        ('{"vocab_size": 1e12}', f"has vocab_size=1,000,000,000,000.0: {WIDE}"),
    ],
)
def test_a_config_that_is_none(folder, text, reason):
    tiny(folder / "q")
    (folder / "q/config.json").write_text(text)
    assert refusal("q") == f"config.json of q {reason}"


@pytest.mark.parametrize(
    "settings",
    [
        {"moe_layers": list(range(80))},
        {"no_rope_layers": [1] * 36, "out_feature_layers": [2, 5, 8, 11], "mlp_only_layers": list(range(100))},
        {"text_config": {"full_attention_layers": list(range(3, 400, 4))}},
        {"model_max_length": 10**30, "tokenizer_model_max_length": 10**30, "max_length": 2**31, "max_new_tokens": 1e9},
        {"num_train_tokens": 5e12, "training_tokens": 10**13, "num_trained_tokens": 10**12},
        {"depths": [3, 3, 1994], "num_hidden_layers": 2000, "vocab_size": 100_000_000},
    ],
)
def test_numbers_that_describe_no_network_are_not_refused(settings):
    assert parsed(json.dumps(settings), "q") == settings


@pytest.mark.parametrize(
    "changes",
    [
        {"text_config": {"num_attention_heads": "four"}},
        {"text_config": {"hidden_size": 64, "num_attention_heads": 0}},
        {"text_config": {"hidden_act": "no such"}},
    ],
)
def test_a_config_of_wrong_types_is_one_line(folder, changes):
    tiny(folder / "q")
    file = folder / "q/config.json"
    content = json.loads(file.read_text())
    for key, value in changes.items():
        content[key] = content[key] | value if isinstance(value, dict) else value
    file.write_text(json.dumps(content))
    model = qwen(folder / "q")
    with pytest.raises(ForesightError) as caught:
        model.check_layers(["4"]) or model.check_weights()
    assert len(str(caught.value).splitlines()) == 1
    assert str(folder / "q") in str(caught.value)


def test_single_files_of_other_names(folder):
    tiny(folder / "q")
    (folder / "q/model.safetensors").rename(folder / "q/consolidated.safetensors")
    assert refusal("q") == (
        "cannot read the checkpoint q: it has no model.safetensors, but consolidated.safetensors. If those are its "
        "weights, rename them to model.safetensors"
    )
    save_file({}, folder / "q/other.safetensors")
    assert refusal("q") == (
        "cannot read the checkpoint q: it has no model.safetensors, but 2 others, for instance consolidated.safetensors"
    )
