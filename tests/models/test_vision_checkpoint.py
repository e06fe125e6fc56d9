"""``model=vision``: files that are read, weights that may be missing, random weights, and refusals."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from foresight_cli.config import VisionConfig
from foresight_cli.data.clip import Clip
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.models import Tap, open_model
from tests.models.vision_networks import NETWORKS

MEAN, FLAT = Tap("final", "channel_mean"), Tap("final", "flat")
PICTURE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (40, 50, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """``checkpoint("vit")``: its folder, written once."""
    root = tmp_path_factory.mktemp("vision")
    return lru_cache(lambda name: NETWORKS[name].write(root / name))


def opened(folder: Path, **changes):
    plain = VisionConfig("vision", str(folder), None, "float32", "pretrained", 0, None, "patch")
    return open_model(dataclasses.replace(plain, **changes))


def latents(folder: Path, tap: Tap = FLAT, **changes) -> torch.Tensor:
    model = opened(folder, **changes)
    model.load("cpu")
    return model.features([model.prepare(Clip((PICTURE,)), "a")], [tap])[tap]


def refusal(folder: Path, **changes) -> str:
    """Return the message of :meth:`load`."""
    with pytest.raises(ForesightError) as caught:
        opened(folder, **changes).load("cpu")
    return str(caught.value)


def copied(folder: Path, to: Path, **config) -> Path:
    """Copy every file of ``folder`` to ``to``, with other values in its config.json."""
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    if config:
        content = json.loads((to / "config.json").read_text())
        (to / "config.json").write_text(json.dumps(content | config))
    return to


def drop(folder: Path, start: str) -> list[str]:
    """Remove the weights whose names begin with ``start`` from the checkpoint."""
    weights = load_file(folder / "model.safetensors")
    gone = [name for name in weights if name.startswith(start)]
    save_file({k: v for k, v in weights.items() if k not in gone}, folder / "model.safetensors", {"format": "pt"})
    return gone


# --- config files alone


@pytest.mark.parametrize("name", list(NETWORKS))
def test_layers_of_the_config(checkpoint, name):
    model = opened(checkpoint(name))
    model.check_layers(["0", "2", "final"])
    for layer in ("3", "99"):
        with pytest.raises(UsageError) as caught:
            model.check_layers(["0", layer])
        assert str(caught.value) == (
            f"{checkpoint(name)} has no layer {layer}. It has 0 (the embeddings) to 2, and final"
        )


def test_a_config_that_leaves_the_depth_out_means_its_class_s_default(checkpoint, tmp_path):
    """google/siglip-base-patch16-224 is published like this."""
    folder = copied(checkpoint("siglip"), tmp_path, vision_config={"model_type": "siglip_vision_model"})
    assert len(opened(folder).all_layers()) == transformers.SiglipVisionConfig().num_hidden_layers + 1 == 13


def test_config_files_are_read_without_torch(checkpoint):
    code = (
        "import sys; from foresight_cli.config import VisionConfig; from foresight_cli.models import Tap, open_model; "
        f"m = open_model(VisionConfig('vision', {str(checkpoint('clip'))!r}, None, 'float32', 'pretrained', 0, None, "
        "'patch')); m.check_layers(['2']); m.recipe('2'); m.identity(reach_hub=True); "
        "print(m.all_layers(), m.row_bytes(Tap('2', 'flat'), 1), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "('0', '1', '2', 'final') 2048 False\n"


@pytest.mark.parametrize("name", list(NETWORKS))
def test_row_bytes_are_those_of_the_rows(checkpoint, name):
    sizes = []
    for tokens in ("patch", "all", *(["cls"] if NETWORKS[name].before else [])):
        for tap in (MEAN, FLAT):
            size = opened(checkpoint(name), tokens=tokens).row_bytes(tap, 1)
            if size is not None:
                sizes.append((tokens, tap.pooling))
                assert size == latents(checkpoint(name), tap, tokens=tokens).nbytes
    if "depths" in NETWORKS[name].config:  # each stage has another width
        assert not sizes
    else:
        assert {("patch", "channel_mean"), ("all", "channel_mean")} <= set(sizes)
        assert (("patch", "flat") in sizes) == (name != "siglip2")  # its size depends on the picture


def test_row_bytes_follow_the_dtype_and_the_processor(checkpoint, tmp_path):
    assert opened(checkpoint("vit"), dtype="bfloat16").row_bytes(FLAT, 1) == 2 * 16 * 32
    assert opened(checkpoint("vit"), dtype="bfloat16").row_bytes(MEAN, 1) == 4 * 32
    folder = copied(checkpoint("clip"), tmp_path)
    file = folder / "preprocessor_config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps(settings | {"crop_size": 48}))  # the spelling of openai/clip-vit-base-patch32
    assert opened(folder).row_bytes(FLAT, 1) == 4 * 36 * 32
    for unknown in ({"do_center_crop": False}, {"do_center_crop": None, "crop_size": {"shortest_edge": 32}}):
        file.write_text(json.dumps(settings | unknown))
        assert opened(folder).row_bytes(FLAT, 1) is None
    file.unlink()
    assert opened(folder).row_bytes(FLAT, 1) is None


def test_recipe_names_what_changes_the_latents(checkpoint):
    base = opened(checkpoint("vit")).recipe("1")
    assert base == {
        "name": "vision",
        "checkpoint": "local",
        "dtype": "float32",
        "subfolder": None,
        "processor": "pil",
        "tokens": "patch",
    }
    for change in ({"dtype": "float16"}, {"tokens": "all"}, {"init": "random"}):
        assert opened(checkpoint("vit"), **change).recipe("1") != base
    assert opened(checkpoint("vit"), init_seed=1).recipe("1") == base  # no draw, no seed


# --- weights


def test_an_encoder_in_a_subfolder(checkpoint, tmp_path):
    (tmp_path / "image_encoder").mkdir()
    copied(checkpoint("clip"), tmp_path / "image_encoder")
    assert torch.equal(latents(tmp_path, subfolder="image_encoder"), latents(checkpoint("clip")))


@pytest.mark.parametrize(
    ("name", "start"), [("beit", "pooler."), ("siglip", "vision_model.head."), ("siglip", "text_")]
)
def test_weights_that_no_latent_depends_on_may_be_missing(checkpoint, tmp_path, name, start):
    folder = copied(checkpoint(name), tmp_path)
    assert drop(folder, start)
    assert torch.equal(latents(folder), latents(checkpoint(name)))


def test_missing_weight_is_refused_not_filled_at_random(checkpoint, tmp_path):
    folder = copied(checkpoint("clip"), tmp_path)
    assert drop(folder, "vision_model.encoder.layers.1.mlp.fc1.")
    assert refusal(folder) == (
        f"the checkpoint {folder} lacks 2 weights of CLIPVisionModel, for instance encoder.layers.1.mlp.fc1.bias: "
        "it is incomplete, or of another kind of model"
    )


def test_folder_without_weights_is_one_line(checkpoint, tmp_path):
    folder = copied(checkpoint("vit"), tmp_path)
    (folder / "model.safetensors").unlink()
    assert refusal(folder) == f"cannot read the checkpoint {folder}: it has no weights (model.safetensors)"


def test_a_network_that_overflows_is_read_all_the_same(checkpoint, tmp_path):
    """The caller names the samples and the fix; here NaN must not seem to be another kind of network."""
    folder = copied(checkpoint("siglip"), tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["vision_model.encoder.layers.0.mlp.fc2.bias"].fill_(1e6)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert latents(folder, Tap("1", "flat")).isfinite().all()
    assert not latents(folder, Tap("1", "flat"), dtype="float16").isfinite().any()


@pytest.mark.parametrize("name", ["vit", "clip", "convnext"])
def test_random_weights_need_no_weights_file(checkpoint, tmp_path, name):
    folder = copied(checkpoint(name), tmp_path)
    (folder / "model.safetensors").unlink()
    drawn = latents(folder, init="random")
    assert torch.equal(latents(checkpoint(name), init="random"), drawn)
    assert not torch.allclose(drawn, latents(checkpoint(name)), atol=1e-2)
    assert not torch.allclose(drawn, latents(folder, init="random", init_seed=1), atol=1e-2)
    random = opened(checkpoint(name), init="random")
    assert random.identity(reach_hub=False) == opened(folder, init="random").identity(reach_hub=False)


def test_random_weights_are_the_same_in_another_process(checkpoint, tmp_path):
    PICTURE.save(tmp_path / "a.png")
    code = (
        "from PIL import Image; from foresight_cli.data.clip import Clip; "
        "from foresight_cli.config import VisionConfig; from foresight_cli.models import Tap, open_model; "
        f"m = open_model(VisionConfig('vision', {str(checkpoint('vit'))!r}, None, 'float32', 'random', 7, None, "
        f"'patch')); m.load('cpu'); clip = Clip((Image.open({str(tmp_path / 'a.png')!r}),)); "
        "tap = Tap('final', 'flat'); print(m.features([m.prepare(clip, 'a')], [tap])[tap].numpy().tobytes().hex())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = latents(checkpoint("vit"), init="random", init_seed=7)
    assert done.stdout.strip() == expected.numpy().tobytes().hex()
