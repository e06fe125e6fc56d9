"""``model=vision`` against a plain transformers forward of the same checkpoint with ``output_hidden_states=True``.

The reference takes another path where it can: the class is named and not chosen, attention is eager, one picture goes
through the whole network at a time, and class and register tokens are counted by hand.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from foresight_cli.config import VisionConfig
from foresight_cli.data.clip import Clip
from foresight_cli.models import Tap, open_model
from tests.models.vision_networks import NETWORKS

POOLINGS = ("channel_mean", "flat")
SIZES = [(32, 32), (50, 40), (70, 33), (64, 64), (33, 90), (50, 40), (120, 100), (41, 41)]


def picture(seed: int, width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


PICTURES = [picture(i, *size) for i, size in enumerate(SIZES)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """``checkpoint("vit")``: its folder, written once."""
    root = tmp_path_factory.mktemp("vision")
    return lru_cache(lambda name: NETWORKS[name].write(root / name))


def config(folder: Path, **changes) -> VisionConfig:
    plain = VisionConfig("vision", str(folder), None, "float32", "pretrained", 0, None, "patch")
    return dataclasses.replace(plain, **changes)


def loaded(folder: Path, **changes):
    model = open_model(config(folder, **changes))
    model.load("cpu")
    return model


def features(model, taps, pictures=PICTURES, batch: int = 1) -> dict[Tap, list[torch.Tensor]]:
    """Return one vector for each picture, in order; pictures of one shape share a batch, like in the runner."""
    prepared = [model.prepare(Clip((p,)), str(i)) for i, p in enumerate(pictures)]
    rows: dict[tuple[int, ...], list[int]] = {}
    for i, sample in enumerate(prepared):
        rows.setdefault(sample.shape, []).append(i)
    read: dict[Tap, list[torch.Tensor]] = {tap: [torch.empty(0)] * len(pictures) for tap in taps}
    for group in rows.values():
        for start in range(0, len(group), batch):
            chosen = group[start : start + batch]
            for tap, values in model.features([prepared[i] for i in chosen], taps).items():
                assert len(values) == len(chosen)
                for i, vector in zip(chosen, values, strict=True):
                    read[tap][i] = vector
    return read


def by_hand(network, folder: Path, role: str, pictures=PICTURES) -> list[dict[str, torch.Tensor]]:
    """Return, for each picture and layer, the tokens ``[n, d]`` of ``role``."""
    plain = getattr(transformers, network.read).from_pretrained(folder, attn_implementation="eager").eval()
    processor = getattr(transformers, network.processor).from_pretrained(folder)
    references = []
    for picture in pictures:
        inputs = processor(images=picture, return_tensors="pt")
        with torch.no_grad():
            out = plain(**inputs, output_hidden_states=True)
        assert len(out.hidden_states) == network.depth + 1
        layers = {str(k): out.hidden_states[k][0] for k in range(network.depth)} | {"final": out.last_hidden_state[0]}
        for layer, state in layers.items():
            tokens = state
            if state.ndim == 3:
                tokens = torch.stack([state[:, i, j] for i in range(state.shape[1]) for j in range(state.shape[2])])
            if "spatial_shapes" in inputs:  # the rest is padding
                tokens = tokens[: int(inputs["spatial_shapes"].prod())]
            picture_ends = len(tokens) - network.after
            chosen = {"all": tokens, "cls": tokens[:1], "patch": tokens[network.before : picture_ends]}
            layers[layer] = chosen[role]
        references.append(layers)
    return references


def roles(name: str) -> list[str]:
    return ["patch", "all", *(["cls"] if NETWORKS[name].before else [])]


@pytest.mark.parametrize(("name", "role"), [(name, role) for name in NETWORKS for role in roles(name)])
def test_every_layer_and_pooling_is_that_of_transformers(checkpoint, name, role):
    folder, network = checkpoint(name), NETWORKS[name]
    model = loaded(folder, tokens=role)
    assert model.all_layers() == (*(str(k) for k in range(network.depth)), "final")
    taps = [Tap(layer, pooling) for layer in model.all_layers() for pooling in POOLINGS]
    want = by_hand(network, folder, role)
    ends = torch.stack([layers["final"].mean(0) for layers in want])
    assert ends.std(dim=0).max() > 0.01  # the random network distinguishes pictures
    for batch in (1, 3, 8):
        got = features(model, taps, batch=batch)
        for row, layers in enumerate(want):
            for layer, tokens in layers.items():
                mean, flat = got[Tap(layer, "channel_mean")][row], got[Tap(layer, "flat")][row]
                torch.testing.assert_close(mean, tokens.mean(0), rtol=1e-5, atol=1e-5)
                torch.testing.assert_close(flat, tokens.flatten(), rtol=1e-5, atol=1e-5)


def test_picture_positions_leave_out_what_is_no_picture(checkpoint):
    """32 x 32 pixels are 4 x 4 patches of 8, whatever tokens are around them."""
    for name in ("vit", "deit", "dinov2_with_registers", "dinov3", "siglip", "yolos"):
        network, tap = NETWORKS[name], Tap("1", "flat")
        patch, everything = (
            len(features(loaded(checkpoint(name), tokens=role), [tap], PICTURES[:1])[tap][0])
            for role in ("patch", "all")
        )
        assert patch == 16 * 32, name
        assert everything == (16 + network.before + network.after) * 32, name


def test_pictures_that_keep_their_sides_go_through_at_their_own_size(checkpoint, tmp_path):
    """With no crop, the grid follows the picture: 32 x 64 pixels are 4 x 8 patches."""
    whole = dataclasses.replace(NETWORKS["dinov2"], processing={"do_center_crop": False, "size": {"shortest_edge": 32}})
    folder = whole.write(tmp_path)
    pictures = [picture(0, 40, 40), picture(1, 80, 40), picture(2, 40, 80), picture(3, 80, 40)]
    model, tap = loaded(folder), Tap("2", "flat")
    assert [model.prepare(Clip((p,)), "a").shape for p in pictures] == [
        (3, 32, 32),
        (3, 32, 64),
        (3, 64, 32),
        (3, 32, 64),
    ]
    want = by_hand(whole, folder, "patch", pictures)
    for vector, layers in zip(features(model, [tap], pictures, batch=8)[tap], want, strict=True):
        torch.testing.assert_close(vector, layers["2"].flatten(), rtol=1e-5, atol=1e-5)


def test_pixels_are_the_checkpoint_s_mean_and_deviation(checkpoint):
    """A picture of the right size is not resized: the rest of the processor is arithmetic."""
    got = loaded(checkpoint("vit")).prepare(Clip((PICTURES[0],)), "a").tensors["pixel_values"]
    want = (np.asarray(PICTURES[0], dtype=np.float64) / 255 - 0.5) / 0.5
    np.testing.assert_allclose(got.numpy(), want.transpose(2, 0, 1), rtol=0, atol=1e-6)


def test_pictures_are_prepared_alike_in_many_threads(checkpoint):
    model = loaded(checkpoint("clip"))
    clips = [Clip((p,)) for p in PICTURES * 8]
    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(model.prepare, clips, "a" * len(clips)))
    for clip, prepared in zip(clips, at_once, strict=True):
        assert torch.equal(prepared.tensors["pixel_values"], model.prepare(clip, "a").tensors["pixel_values"])


@pytest.mark.parametrize("name", ["vit", "clip", "siglip", "convnext"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.01), ("float16", 0.001)])
def test_half_precision_stays_close(checkpoint, name, dtype, tolerance):
    """The error is relative to the largest value of each layer's means."""
    layers = open_model(config(checkpoint(name))).all_layers()
    means, flat = [Tap(layer, "channel_mean") for layer in layers], Tap("final", "flat")
    exact, rounded = (
        features(loaded(checkpoint(name), dtype=chosen), [*means, flat], batch=8) for chosen in ("float32", dtype)
    )
    assert rounded[flat][0].dtype == getattr(torch, dtype)
    for tap in means:
        a, b = torch.stack(exact[tap]), torch.stack(rounded[tap])
        assert b.dtype == torch.float32
        assert 0 < (a - b).abs().max() < tolerance * a.abs().max()


# --- what runs


@pytest.mark.parametrize(
    ("name", "blocks"), [("vit", "layers"), ("clip", "encoder.layers"), ("convnext", "encoder.stages")]
)
@pytest.mark.parametrize(("layers", "run"), [(("0",), 0), (("1",), 1), (("2", "1"), 2), (("0", "final"), 3)])
def test_blocks_above_the_last_layer_wanted_do_not_run(checkpoint, name, blocks, layers, run):
    model = loaded(checkpoint(name))
    ran: list[int] = []
    for i, block in enumerate(model._encoder.network.get_submodule(blocks)):
        block.register_forward_hook(lambda *_, i=i: ran.append(i))
    features(model, [Tap(layer, "flat") for layer in layers], PICTURES[:1])
    assert ran == list(range(run))


def test_one_pass_serves_all_taps(checkpoint):
    model = loaded(checkpoint("dinov2"))
    passes: list[int] = []
    model._encoder.network.register_forward_pre_hook(lambda *_: passes.append(1))
    taps = [Tap(layer, pooling) for layer in model.all_layers() for pooling in POOLINGS]
    together = features(model, taps, PICTURES[:2], batch=2)
    assert len(passes) == 1
    for tap in taps:
        assert torch.equal(torch.stack(features(model, [tap], PICTURES[:2], batch=2)[tap]), torch.stack(together[tap]))


def test_no_hook_is_left_behind(checkpoint):
    model = loaded(checkpoint("vit"))

    def hooks() -> int:
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model._encoder.network.modules())

    before = hooks()
    features(model, [Tap("1", "flat"), Tap("final", "flat")], PICTURES[:1])
    features(model, [Tap("0", "flat")], PICTURES[:1])
    assert hooks() == before
