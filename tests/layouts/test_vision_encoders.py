"""Latents of published image encoders against transformers alone: ``from_pretrained`` on the folder, PIL processor."""

from __future__ import annotations

import json
import shutil
from functools import lru_cache

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file

from foresight_cli.config import VisionConfig
from foresight_cli.data.clip import Clip
from foresight_cli.errors import ForesightError
from foresight_cli.models import Tap, open_model
from tests.layouts.vision_encoders import LAYOUTS, Layout

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)).resize(
    (70, 90), Image.Resampling.BICUBIC
)
TAPS = [Tap(layer, pooling) for layer in ("1", "final") for pooling in ("channel_mean", "flat")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """``folder("dinov2-small")``: the checkpoint, written once."""
    return lru_cache(lambda name: LAYOUTS[name].write(tmp_path_factory.mktemp("layout")))


def opened(checkpoint, **changes):
    values = {
        "name": "vision",
        "checkpoint": str(checkpoint),
        "revision": None,
        "variant": None,
        "dtype": "float32",
        "init": "pretrained",
        "init_seed": 0,
        "subfolder": None,
        "tokens": "patch",
    }
    return open_model(VisionConfig(**values | changes))


def inputs(layout: Layout, checkpoint) -> dict[str, torch.Tensor]:
    if "DINOv3" in str(layout.processor.get("image_processor_type")):  # transformers has it only for torchvision
        side = layout.processor["size"]["height"]
        resized = np.asarray(PICTURE.resize((side, side), Image.Resampling.BILINEAR), dtype=np.float32)
        mean, std = (np.float32(layout.processor[key]) for key in ("image_mean", "image_std"))
        return {"pixel_values": torch.from_numpy((resized / 255 - mean) / std).movedim(-1, 0)[None]}
    place = checkpoint / (layout.processor_in or layout.subfolder or "")
    return dict(transformers.AutoImageProcessor.from_pretrained(place, backend="pil")(PICTURE, return_tensors="pt"))


def tokens(layout: Layout, checkpoint) -> dict[str, torch.Tensor]:
    """Return layers 1 and final, ``[1, n, d]``, without the tokens in front of the picture."""
    place = checkpoint / (layout.subfolder or "")
    kind = getattr(transformers, layout.saved) if layout.tower else transformers.AutoModel
    network = kind.from_pretrained(place, dtype="float32").eval()
    encoder = getattr(network, layout.tower) if layout.tower else network
    with torch.no_grad():
        out = encoder(**inputs(layout, checkpoint), output_hidden_states=True)
    read = {"1": out.hidden_states[1], "final": out.last_hidden_state}
    maps = {layer: hidden.flatten(2).mT if hidden.ndim == 4 else hidden for layer, hidden in read.items()}
    return {layer: hidden[:, layout.before :] for layer, hidden in maps.items()}


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if not layout.reason])
def test_latents(folder, name):
    layout = LAYOUTS[name]
    model = opened(folder(name), subfolder=layout.subfolder)
    model.check_files()
    model.check_weights()
    model.check_layers(["1", "final"])
    model.load("cpu")
    got = model.features([model.prepare(Clip((PICTURE,)), "a")], TAPS)
    for layer, want in tokens(layout, folder(name)).items():
        assert want.std() > 0.05
        near = {"rtol": 1e-5, "atol": 1e-5}
        torch.testing.assert_close(got[Tap(layer, "flat")], want.reshape(1, -1), **near)
        torch.testing.assert_close(got[Tap(layer, "channel_mean")], want.mean(dim=1), **near)
    for tap, rows in got.items():
        assert model.row_bytes(tap, 1) in (None, rows.nbytes)


def test_the_processor_of_dinov3_is_near_that_of_transformers(folder):
    """Its processor rescales, resizes in floating point with antialiasing, normalizes; PIL rounds after each axis."""
    layout = LAYOUTS["dinov3-vits16"]
    model = opened(folder("dinov3-vits16"))
    model.load("cpu")
    whole = torch.from_numpy(np.asarray(PICTURE).copy()).movedim(-1, 0)[None] / 255
    resized = torch.nn.functional.interpolate(whole, (32, 32), mode="bilinear", antialias=True, align_corners=False)
    mean, std = (torch.tensor(layout.processor[key]).view(3, 1, 1) for key in ("image_mean", "image_std"))
    want = ((resized - mean) / std)[0]
    got = model.prepare(Clip((PICTURE,)), "a").tensors["pixel_values"]
    assert (got - want).abs().max() < 1.1 / 255 / 0.224
    assert (got - want).abs().mean() < 0.4 / 255 / 0.224
    assert want.std() > 0.5


def test_as_transformers_5_saves_it(folder, tmp_path):
    """The settings of the image processor are in those of the processor."""
    name = "siglip-so400m"
    shutil.copytree(folder(name), tmp_path, dirs_exist_ok=True)
    (tmp_path / "preprocessor_config.json").unlink()
    whole = {"image_processor": LAYOUTS[name].processor, "processor_class": "SiglipProcessor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(whole))
    assert torch.equal(final(tmp_path), final(folder(name)))


def test_a_processor_in_another_folder_is_part_of_the_key(folder, tmp_path):
    shutil.copytree(folder("clip-image-encoder"), tmp_path, dirs_exist_ok=True)
    file = tmp_path / "feature_extractor/preprocessor_config.json"
    keys = []
    for settings in ({}, {"do_center_crop": False}):
        file.write_text(json.dumps(json.loads(file.read_text()) | settings))
        keys.append(opened(tmp_path, subfolder="image_encoder").identity(reach_hub=False))
    (tmp_path / "image_encoder/preprocessor_config.json").write_bytes(file.read_bytes())
    own = opened(tmp_path, subfolder="image_encoder").identity(reach_hub=False)
    file.unlink()
    assert opened(tmp_path, subfolder="image_encoder").identity(reach_hub=False) == own not in keys
    assert keys[0] != keys[1]


def final(checkpoint) -> torch.Tensor:
    model = opened(checkpoint)
    model.load("cpu")
    return model.features([model.prepare(Clip((PICTURE,)), "a")], [TAPS[-1]])[TAPS[-1]]


# --- what is refused


def refusal(checkpoint, **changes) -> str:
    """Return the message of the check before any weight is read."""
    model = opened(checkpoint, **changes)
    with pytest.raises(ForesightError) as caught:
        model.check_files()
    return str(caught.value)


@pytest.mark.parametrize("layer", ["layer=all", "layer=final", "dry_run=true"])
def test_a_checkpoint_of_timm(run, tmp_path, layer):
    config = {
        "architecture": "vit_base_patch16_224",
        "num_classes": 0,
        "num_features": 768,
        "pretrained_cfg": {"input_size": [3, 224, 224], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    }
    (tmp_path / "t").mkdir()
    (tmp_path / "t/config.json").write_text(json.dumps(config))
    save_file({"cls_token": torch.zeros(1, 1, 768)}, tmp_path / "t/model.safetensors", metadata={"format": "pt"})
    done = run("extract", "model=vision", "model.checkpoint=t", layer, "data.per_category=1")
    assert done.exit_code == 1
    assert done.stderr.strip().splitlines()[-1] == (
        "foresight extract: model=vision cannot take t (model_type unknown): it is a checkpoint of timm, not of "
        "transformers. Choose another image encoder, for instance model.checkpoint=facebook/dinov2-base"
    )


def test_an_image_encoder_without_its_processor(folder, tmp_path):
    """h94/IP-Adapter is published like this."""
    shutil.copytree(folder("clip-image-encoder"), tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "feature_extractor")
    assert refusal(tmp_path, subfolder="image_encoder") == (
        f"{tmp_path} has no image processor (preprocessor_config.json, or image_processor in processor_config.json). "
        "Copy that file from the checkpoint that it was made from"
    )


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if layout.reason])
def test_networks_that_are_refused(folder, name):
    with pytest.raises(ForesightError) as caught:
        opened(folder(name)).load("cpu")
    assert str(caught.value) == (
        f"model=vision cannot take {folder(name)} (model_type {LAYOUTS[name].config['model_type']}): "
        f"{LAYOUTS[name].reason}. Choose another image encoder, for instance model.checkpoint=facebook/dinov2-base"
    )
