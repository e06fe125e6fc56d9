"""One patch of a picture or clip is followed to its token, and clips are compared with transformers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from foresight_cli.data.clip import Clip
from foresight_cli.models import Tap
from foresight_cli.models.qwen25vl_inputs import Inputs
from foresight_cli.models.qwen25vl_patches import Patches
from tests.models.qwen_reference import (
    MIXED,
    TAPS,
    Reference,
    assert_equal,
    chosen,
    features,
    fresh,
    loaded,
    picture,
    pooled,
    settings,
    video_patches,
)

EMBEDDINGS = Tap("0", "flat")


@pytest.fixture(scope="module")
def config(qwen_checkpoint):
    return settings(qwen_checkpoint)


@pytest.fixture(scope="module")
def reference(qwen_checkpoint):
    return Reference(qwen_checkpoint)


@pytest.fixture(scope="module")
def blind(config):
    """Return the network with its vision blocks switched off: a patch reaches only the token of its 2 x 2 block.

    Patches are still put into the order of the attention windows and back, which is what the tests check.
    """
    model = fresh(config)
    for block in model._network.model.visual.blocks:
        for last in (block.attn.proj, block.mlp.down_proj):
            torch.nn.init.zeros_(last.weight)
            torch.nn.init.zeros_(last.bias)
    return model


def with_a_spot(width: int, height: int, row: int, column: int) -> Image.Image:
    pixels = np.full((height, width, 3), 128, dtype=np.uint8)
    pixels[14 * row : 14 * row + 14, 14 * column : 14 * column + 14] = 255
    return Image.fromarray(pixels)


def test_every_patch_reaches_its_own_token(blind):
    """84 x 140 pixels: 6 x 10 patches, 3 x 5 tokens, windows of 2 x 2 tokens that do not divide them."""
    width, height = 140, 84
    entered = []
    blind._network.model.visual.blocks[0].register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    plain = features(blind, [Image.new("RGB", (width, height), (128,) * 3)], [EMBEDDINGS])[EMBEDDINGS][0].view(15, 32)
    places = [(row, column) for row in range(6) for column in range(10)]
    spotted = features(blind, [with_a_spot(width, height, *place) for place in places], [EMBEDDINGS], batch=8)
    for (row, column), values in zip(places, spotted[EMBEDDINGS], strict=True):
        changed = (values.view(15, 32) - plain).abs().amax(dim=1) > 1e-4
        assert changed.nonzero().flatten().tolist() == [row // 2 * 5 + column // 2], (row, column)
    before, *spots = (part for batch in entered for part in batch.split(60))
    order = [int((spot - before).abs().amax(dim=1).argmax()) for spot in spots]
    assert sorted(order) == list(range(60))  # each patch is one row of the windows' input,
    blocks = [row // 2 * 20 + column // 2 * 4 + row % 2 * 2 + column % 2 for row, column in places]
    assert order != blocks  # in another order than that of the processor


def test_every_token_has_the_position_of_its_place(config):
    prepared = loaded(config).prepare(Clip((picture(0, 140, 84),)), "a")
    visual = prepared.tensors["input_ids"] == loaded(config)._inputs.placeholders["image"]
    time, row, column = prepared.tensors["position_ids"][:, visual]
    start = int(visual.nonzero()[0])
    assert (time == start).all()
    assert (row - start).tolist() == [i for i in range(3) for _ in range(5)]
    assert (column - start).tolist() == list(range(5)) * 3


def test_patches_of_pictures_are_the_librarys(config, reference):
    """They are equal at any size, with the checkpoint's own settings; ours are only faster."""
    model = loaded(config)
    for image in [*MIXED, picture(0, 31, 500), picture(1, 1, 1), picture(2, 640, 480)]:
        prepared = model.prepare(Clip((image,)), "a")
        want = reference.processor(images=[image], return_tensors="pt")
        torch.testing.assert_close(prepared.tensors["pixel_values"], want["pixel_values"], rtol=1e-5, atol=1e-6)
        assert prepared.shape == tuple(want["image_grid_thw"][0].tolist())


@pytest.mark.parametrize("settings", [{"do_normalize": False}, {"do_rescale": False}, {"rescale_factor": 1 / 127.5}])
def test_patches_follow_the_processors_settings(config, reference, settings):
    model = fresh(config)
    inputs = model._inputs
    processor = type(reference.processor)(**{**reference.processor.to_dict(), **settings})
    changed = Inputs(config, dataclasses.replace(inputs._parts, patches=Patches(processor)), model._network)
    got = changed.prepare(Clip((MIXED[0],)), "a").tensors["pixel_values"]
    want = processor(images=[MIXED[0]], return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-4)


# --- clips


def clip(seed: int, frames: int, fps: float, width: int = 84, height: int = 56) -> Clip:
    return Clip(tuple(picture(1000 * seed + i, width, height) for i in range(frames)), fps)


CLIPS = [clip(1, 9, 8.0), clip(2, 9, 8.0), clip(3, 1, 8.0), clip(4, 17, 2.0), clip(5, 9, 1.0, 56, 112)]


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("tokens", ["image", "all"])
def test_clips_equal_transformers_with_video_inputs(config, reference, tokens, batch):
    got = features(loaded(config, tokens=tokens), CLIPS, batch=batch)
    for row, sample in enumerate(CLIPS):
        states, _, is_video = reference(sample)
        assert is_video.sum() == (len(sample.frames) + 1) // 2 * (8 if row == 4 else 6)
        for tap in TAPS:
            assert_equal(got[tap][row], pooled(chosen(states[tap.layer], is_video, tokens), tap.pooling))


def test_patches_of_a_clip_are_those_of_the_definition(config, reference):
    for sample in CLIPS:
        prepared = loaded(config).prepare(sample, "a")
        want, grid = video_patches(sample.frames, reference.processor)
        torch.testing.assert_close(prepared.tensors["pixel_values"], want, rtol=1e-5, atol=1e-5)
        assert prepared.shape == tuple(grid[0].tolist())


def test_the_frame_rate_reaches_the_latents(config):
    """Qwen2.5-VL numbers the time of a temporal patch in seconds: the same frames at another rate are another clip."""
    frames = CLIPS[0].frames
    tap = Tap("24", "channel_mean")
    slow, fast, still = features(loaded(config), [Clip(frames, 1.0), Clip(frames, 8.0), Clip(frames[:1])], [tap])[tap]
    assert not torch.allclose(slow, fast, atol=1e-3)
    assert not torch.allclose(slow, still, atol=1e-3)
    times = loaded(config).prepare(Clip(frames, 1.0), "a").tensors["position_ids"][0].unique().tolist()
    per_second = loaded(config)._network.config.vision_config.tokens_per_second
    assert np.diff(times[-5:]).tolist() == [2 * per_second] * 4


def test_every_frame_reaches_its_own_tokens(blind):
    grey = [Image.new("RGB", (84, 56), (128,) * 3)] * 9
    plain = features(blind, [Clip(tuple(grey), 8.0)], [EMBEDDINGS])[EMBEDDINGS][0].view(5, 6, 32)
    for at in range(9):
        frames = tuple(with_a_spot(84, 56, 2, 5) if i == at else frame for i, frame in enumerate(grey))
        values = features(blind, [Clip(frames, 8.0)], [EMBEDDINGS])[EMBEDDINGS][0].view(5, 6, 32)
        assert ((values - plain).abs().amax(dim=2) > 1e-4).nonzero().tolist() == [[at // 2, 5]]
