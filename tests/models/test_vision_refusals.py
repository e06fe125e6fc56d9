"""``model=vision``: its refusals, in one line that says what to do."""

from __future__ import annotations

import dataclasses
import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import transformers
from PIL import Image

from foresight_cli.config import VisionConfig
from foresight_cli.data.clip import Clip
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.models import Tap, open_model
from tests.models.vision_networks import NETWORKS, PATCHES, PLAIN, SQUARE, Network, two_towers

ANOTHER = "Choose another image encoder, for instance model.checkpoint=facebook/dinov2-base"
BLOCKS = f"its hidden_states are not what enters and leaves its blocks. {ANOTHER}"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """``checkpoint("vit")``: its folder, written once."""
    root = tmp_path_factory.mktemp("vision")
    return lru_cache(lambda name: NETWORKS[name].write(root / name))


def opened(folder: Path, **changes):
    plain = VisionConfig("vision", str(folder), None, "float32", "pretrained", 0, None, "patch")
    return open_model(dataclasses.replace(plain, **changes))


def loaded(folder: Path):
    model = opened(folder)
    model.load("cpu")
    return model


def refusal(folder: Path, kind: type[ForesightError] = ForesightError, **changes) -> str:
    """Return the message of :meth:`load`."""
    with pytest.raises(kind) as caught:
        opened(folder, **changes).load("cpu")
    assert type(caught.value) is kind
    return str(caught.value)


def blank(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.zeros((height, width, 3), dtype=np.uint8))


# --- samples


@pytest.mark.parametrize("frames", [0, 9])
def test_a_clip_is_refused(checkpoint, frames):
    with pytest.raises(ForesightError) as caught:
        loaded(checkpoint("vit")).prepare(Clip((blank(32, 32),) * frames, fps=8), "walk/3")
    assert str(caught.value) == f"'walk/3' is a clip of {frames} frames; model=vision takes still pictures"


def test_a_picture_that_the_processor_cannot_take(tmp_path):
    processing = {"do_center_crop": False, "size": {"shortest_edge": 32, "longest_edge": 64}}
    model = loaded(dataclasses.replace(NETWORKS["dinov2"], processing=processing).write(tmp_path))
    with pytest.raises(ForesightError) as caught:
        model.prepare(Clip((blank(4000, 1),)), "thin")
    assert str(caught.value) == (
        "cannot prepare 'thin': 4000 x 1 pixels: height and width must be > 0. "
        "To leave such pictures out, add data.on_error=skip"
    )


def test_a_picture_that_the_network_cannot_take(tmp_path):
    """A square passes; with no crop, a wide picture comes out of the processor wide."""
    processing = {"do_center_crop": False, "size": {"shortest_edge": 32}}
    model = loaded(dataclasses.replace(NETWORKS["clip"], processing=processing).write(tmp_path))
    tap = Tap("1", "flat")
    assert model.features([model.prepare(Clip((blank(32, 32),)), "square")], [tap])[tap].shape == (1, 16 * 32)
    with pytest.raises(ForesightError) as caught:
        model.features([model.prepare(Clip((blank(64, 32),)), "wide")], [tap])
    assert str(caught.value) == (
        "cannot prepare 'wide': its image processor makes it 3 x 32 x 64, which CLIPVisionModel cannot take: "
        "Input image size (32*64) doesn't match model (32*32). To leave such pictures out, add data.on_error=skip"
    )


# --- tokens


@pytest.mark.parametrize("name", ["siglip", "siglip2", "convnext", "resnet", "swin"])
def test_no_class_token(checkpoint, name):
    assert refusal(checkpoint(name), UsageError, tokens="cls") == (
        f"{checkpoint(name)} has no class token; choose model.tokens=patch"
    )


# --- networks that are no image encoders, or are built otherwise

OTHERS = {
    "bert": (
        "BertModel",
        PLAIN | {"vocab_size": 30},
        "transformers' AutoModel has no image encoder for it. " + ANOTHER,
    ),
    "metaclip_2_vision_model": (  # a tower that AutoModel does not have
        "MetaClip2Model",
        two_towers(**PATCHES),
        "transformers' AutoModel has no image encoder for it. " + ANOTHER,
    ),
    "mobilevit": (
        "MobileViTModel",
        {"image_size": 32, "hidden_sizes": [8, 8, 8], "neck_hidden_sizes": [8] * 7},
        "its config.json says neither num_hidden_layers nor depths. " + ANOTHER,
    ),
    "vit_mae": (
        "ViTMAEModel",
        PLAIN | PATCHES,
        "two passes over one picture differ, as if it hid a part at random. " + ANOTHER,
    ),
    "poolformer": (
        "PoolFormerModel",
        {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 16]},
        BLOCKS,
    ),
    "dinov3_convnext": (  # its output has a mean in front of the positions
        "DINOv3ConvNextModel",
        {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 16]},
        BLOCKS,
    ),
    "sam_vision_model": (  # maps [H, W, C] inside, and other ones outside
        "SamVisionModel",
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "global_attn_indexes": [1],
         "image_size": 32, "patch_size": 8, "output_channels": 16, "window_size": 2},
        BLOCKS,
    ),
    "pixtral": (  # a batch is one long sequence
        "PixtralVisionModel",
        PLAIN | PATCHES,
        BLOCKS,
    ),
    "glm_image_vision": (
        "GlmImageVisionModel",
        {"hidden_size": 32, "depth": 2, "num_heads": 2, "intermediate_size": 48, "num_hidden_layers": 2},
        "the network wants grid_thw, which its image processor does not give. " + ANOTHER,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(OTHERS))
def test_a_network_that_cannot_be_read_is_refused(tmp_path, kind):
    saved, config, reason = OTHERS[kind]
    folder = Network(saved, config, saved, "ViTImageProcessorPil", SQUARE, 0).write(tmp_path)
    assert refusal(folder) == f"model=vision cannot take {folder} (model_type {kind}): {reason}"


def test_a_network_that_wants_another_package(checkpoint, monkeypatch):
    def wants_timm(*_, **__):
        raise ImportError("\nTimmBackbone requires the timm library but it was not found.\nInstall it")

    monkeypatch.setattr(transformers.ViTModel, "from_pretrained", wants_timm)
    assert refusal(checkpoint("vit")) == (
        f"model=vision cannot take {checkpoint('vit')} (model_type vit): "
        f"TimmBackbone requires the timm library but it was not found. {ANOTHER}"
    )


# --- image processors


@pytest.fixture
def vit(checkpoint, tmp_path) -> Path:
    for file in checkpoint("vit").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_a_processor_without_a_pil_version(vit):
    """DepthPro's has only a torchvision version, whether or not torchvision is installed."""
    processor = json.loads((vit / "preprocessor_config.json").read_text())
    (vit / "preprocessor_config.json").write_text(
        json.dumps(processor | {"image_processor_type": "DepthProImageProcessorFast"})
    )
    assert refusal(vit) == (
        f"model=vision cannot take {vit} (model_type vit): transformers has no PIL version of its image processor. "
        + ANOTHER
    )


def test_a_checkpoint_without_a_processor(vit):
    (vit / "preprocessor_config.json").unlink()
    assert refusal(vit) == (
        f"{vit} has no image processor (preprocessor_config.json, or image_processor in processor_config.json). "
        "Copy that file from the checkpoint that it was made from"
    )


def test_a_processor_that_gives_another_size_than_the_network_takes(vit):
    transformers.ViTImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(vit)
    assert refusal(vit) == (f"cannot read the checkpoint {vit}: Input image size (64*64) doesn't match model (32*32).")
