"""``model=qwen25vl`` against a plain transformers forward of the same checkpoint; see ``qwen_reference``."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
import torch
from PIL import Image

from foresight_cli.data.clip import Clip
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.models import Tap, open_model
from tests.models.qwen_reference import (
    LAYERS,
    MIXED,
    SQUARES,
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
)

BF16, FP16 = 0.02, 0.002
"""Largest relative error of a half-precision vector."""


@pytest.fixture(scope="module")
def config(qwen_checkpoint):
    return settings(qwen_checkpoint)


@pytest.fixture(scope="module")
def reference(qwen_checkpoint):
    return Reference(qwen_checkpoint)


# --- the numbers


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("tokens", ["image", "text", "last", "all"])
def test_every_layer_and_pooling_equals_transformers(config, reference, tokens, batch):
    got = features(loaded(config, tokens=tokens), SQUARES, batch=batch)
    for row, image in enumerate(SQUARES):
        states, _, is_image = reference(image)
        for tap in TAPS:
            assert_equal(got[tap][row], pooled(chosen(states[tap.layer], is_image, tokens), tap.pooling))
    assert got[Tap("4", "flat")][0].shape == ({"image": 16, "text": 11, "last": 1, "all": 27}[tokens] * 32,)


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("tokens", ["image", "text", "last", "all"])
def test_padded_batches_of_mixed_sizes_equal_transformers(config, reference, tokens, batch):
    got = features(loaded(config, tokens=tokens), MIXED, batch=batch)
    sizes = set()
    for row, image in enumerate(MIXED):
        states, _, is_image = reference(image)
        sizes.add(int(is_image.sum()))
        for tap in TAPS:
            assert_equal(got[tap][row], pooled(chosen(states[tap.layer], is_image, tokens), tap.pooling))
    assert len(sizes) > 3


def test_mates_of_any_length_change_nothing(config):
    """An unlikely batch: the shortest and the longest sample together, most of it padding."""
    model = loaded(config, tokens="all")
    prepared = [model.prepare(Clip((image,)), "") for image in MIXED]
    assert max(p.length for p in prepared) > 2 * min(p.length for p in prepared)
    together = model.features(prepared, TAPS)
    backwards = model.features(prepared[::-1], TAPS)
    for row, sample in enumerate(prepared):
        alone = model.features([sample], TAPS)
        for tap in TAPS:
            assert_equal(together[tap][row], alone[tap][0])
            assert_equal(backwards[tap][len(prepared) - 1 - row], alone[tap][0])


def test_final_without_the_norm_is_the_residual_stream(config, reference):
    got = features(loaded(config, final_norm=False), SQUARES)
    for row, image in enumerate(SQUARES):
        states, before_norm, is_image = reference(image)
        assert_equal(got[Tap("final", "flat")][row], before_norm[is_image].reshape(-1))
        assert_equal(got[Tap("24", "flat")][row], states["24"][is_image].reshape(-1))
        assert not torch.allclose(before_norm, states["final"], atol=0.1)


def test_every_block_changes_the_stream(reference):
    """If layers were alike, no test would notice a tap at the wrong layer."""
    states, _, is_image = reference(SQUARES[0])
    flat = [states[str(k)][is_image] for k in range(28)]
    assert min((a - b).abs().max().item() for a, b in pairwise(flat)) > 0.1


def test_layer_zero_is_what_enters_the_decoder(config, reference):
    states, _, is_image = reference(SQUARES[0])
    assert_equal(
        features(loaded(config), SQUARES[:1], [Tap("0", "flat")])[Tap("0", "flat")][0], states["0"][is_image].flatten()
    )


def test_leaving_out_what_follows_the_image_changes_nothing(config):
    """``tokens=image`` cuts the prompt after the last visual token; by causality the states stay the same."""
    short, whole = loaded(config), loaded(config, tokens="all")
    cut, full = short.prepare(Clip((SQUARES[0],)), "a"), whole.prepare(Clip((SQUARES[0],)), "a")
    ids, visual = full.tensors["input_ids"], full.tensors["input_ids"] == short._inputs.placeholders["image"]
    last = int(visual.nonzero().max())
    assert torch.equal(cut.tensors["input_ids"], ids[: last + 1])
    assert len(ids) > last + 1
    for layer in LAYERS:
        tap = Tap(layer, "flat")
        rows = whole.features([full], [tap])[tap].view(len(ids), 32)
        assert_equal(short.features([cut], [tap])[tap][0], rows[visual].flatten())


def test_the_prompt_reaches_the_whole_sequence(config, reference):
    tap = Tap("24", "flat")
    got = features(loaded(config, tokens="all", prompt="Describe."), SQUARES[:1], [tap])[tap][0]
    assert_equal(got, reference(SQUARES[0], "Describe.")[0]["24"].flatten())


def test_resolution_resizes_by_pil_bicubic(config, reference):
    tap = Tap("8", "flat")
    got = features(loaded(config, resolution=84), MIXED, [tap], batch=5)[tap]
    for row, image in enumerate(MIXED):
        states, _, is_image = reference(image.resize((84, 84), Image.Resampling.BICUBIC))
        assert is_image.sum() == 9
        assert_equal(got[row], states["8"][is_image].flatten())


def test_one_pass_for_all_taps_equals_one_pass_for_each(config):
    model = loaded(config)
    together = features(model, SQUARES[:2], batch=2)
    for tap in TAPS:
        assert torch.equal(torch.stack(features(model, SQUARES[:2], [tap], batch=2)[tap]), torch.stack(together[tap]))


def relative(got: torch.Tensor, want: torch.Tensor) -> float:
    return float((got.float() - want.float()).norm() / want.float().norm())


@pytest.mark.parametrize(("dtype", "most"), [("bfloat16", BF16), ("float16", FP16)])
def test_half_precision_equals_transformers_within_its_rounding(config, qwen_checkpoint, dtype, most):
    """The relative error of each vector is small, against transformers in the same dtype and against single samples."""
    plain = Reference(qwen_checkpoint, getattr(torch, dtype))
    model = loaded(config, dtype=dtype)
    alone, batched = (features(model, [*SQUARES, *MIXED], batch=batch) for batch in (1, 8))
    worst = 0.0
    for row, image in enumerate([*SQUARES, *MIXED]):
        states, _, is_image = plain(image)
        for tap in TAPS:
            want = pooled(states[tap.layer][is_image].float(), tap.pooling)
            assert alone[tap][row].dtype == (torch.float32 if tap.pooling == "channel_mean" else getattr(torch, dtype))
            worst = max(worst, relative(alone[tap][row], want), relative(batched[tap][row], want))
    assert 0 < worst < most


def test_half_precision_stays_close_to_single(config):
    tap = Tap("4", "channel_mean")
    exact = features(loaded(config), SQUARES, [tap])[tap]
    rounded = features(loaded(config, dtype="bfloat16"), SQUARES, [tap])[tap]
    for a, b in zip(exact, rounded, strict=True):
        assert torch.nn.functional.cosine_similarity(a, b, dim=0) > 0.999


# --- what runs


@pytest.mark.parametrize(
    ("layers", "blocks"), [(("0",), 0), (("4",), 4), (("8", "4"), 8), (("27",), 27), (("4", "final"), 28)]
)
def test_blocks_above_the_last_layer_wanted_do_not_run(config, layers, blocks):
    model = fresh(config)
    ran = []
    for i, block in enumerate(model._network.model.language_model.layers):
        block.self_attn.register_forward_hook(lambda *_, i=i: ran.append(i))
    model._network.lm_head.register_forward_hook(lambda *_: pytest.fail("the head ran"))
    features(model, SQUARES[:1], [Tap(layer, "flat") for layer in layers])
    assert ran == list(range(blocks))


def test_no_hook_is_left_behind(config):
    model = fresh(config)
    features(model, SQUARES[:1])
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model._network.modules())


# --- what is refused


@pytest.mark.parametrize("layer", ["28", "99"])
def test_layer_out_of_range(config, layer):
    with pytest.raises(UsageError) as caught:
        open_model(config).check_layers(["4", layer])
    assert str(caught.value) == (
        f"{config.checkpoint} has no layer {layer}. It has 0 (the embeddings) to 27, and final"
    )


def test_every_layer_of_the_config_is_read(config):
    open_model(config).check_layers([*LAYERS, "27"])


def test_resolution_that_the_processor_would_change(config):
    with pytest.raises(ForesightError) as caught:
        loaded(config, resolution=252).prepare(Clip((SQUARES[0],)), "a")
    assert str(caught.value) == (
        "model.resolution=252: the checkpoint's image processor resizes it again, to keep 3136 to 50176 pixels an image"
    )


def test_picture_too_narrow_for_the_processor(config):
    with pytest.raises(ForesightError) as caught:
        loaded(config).prepare(Clip((picture(0, 1000, 4),)), "thin")
    assert str(caught.value) == (
        "cannot prepare 'thin': 1000 x 4 pixels: absolute aspect ratio must be smaller than 200, got 250.0. To resize "
        "every picture to a square, add model.resolution=252. To leave such pictures out, add data.on_error=skip"
    )


def test_recipe_names_what_changes_the_latents(config):
    base = open_model(config)
    for change in ({"dtype": "float16"}, {"resolution": 112}, {"tokens": "all"}, {"prompt": "Describe."}):
        assert open_model(dataclasses.replace(config, **change)).recipe("4") != base.recipe("4")
    bare = open_model(dataclasses.replace(config, final_norm=False))
    assert bare.recipe("final") != base.recipe("final")
    assert bare.recipe("4") == base.recipe("4")  # the final norm comes after layer 4
