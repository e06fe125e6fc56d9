"""``model=qwen25vl`` against a plain transformers forward of the same checkpoint with ``output_hidden_states=True``.

The reference takes another path where it can: its prompt is text in which the image token is written n times before
the tokenizer sees it, the whole network runs, head and all, one picture at a time, and hidden states are picked from
the tuple that transformers returns.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from foresight_cli.clip import Clip
from foresight_cli.config import Qwen25VLConfig
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.models import Tap, open_model

LAYERS = ("0", "4", "8", "16", "24", "final")
POOLINGS = ("channel_mean", "flat")
TAPS = tuple(Tap(layer, pooling) for layer in LAYERS for pooling in POOLINGS)


def picture(seed: int, width: int = 112, height: int = 112) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


SQUARES = [picture(i) for i in range(4)]
MIXED = [picture(4, 112, 84), picture(5, 60, 140), picture(6, 112, 84), picture(7, 200, 90), picture(8, 112, 84)]


@pytest.fixture(scope="module")
def config(qwen_checkpoint) -> Qwen25VLConfig:
    return Qwen25VLConfig(
        name="qwen25vl",
        checkpoint=str(qwen_checkpoint),
        revision=None,
        dtype="float32",
        resolution=None,
        tokens="image",
        prompt="What is this.",
        final_norm=True,
        init="pretrained",
        init_seed=0,
    )


def loaded(config, **changes):
    """The model of ``config``, read once for all tests that use it as it is."""
    return _loaded(dataclasses.replace(config, **changes))


@lru_cache
def _loaded(config):
    return fresh(config)


def fresh(config, **changes):
    model = open_model(dataclasses.replace(config, **changes))
    model.load("cpu")
    return model


def features(model, pictures, taps=TAPS, batch: int = 1) -> dict[Tap, list[torch.Tensor]]:
    """One vector for each picture, in order; pictures of one shape share a batch, as in the runner."""
    prepared = [model.prepare(Clip((p,)), str(i)) for i, p in enumerate(pictures)]
    found: dict[Tap, dict[int, torch.Tensor]] = {tap: {} for tap in taps}
    for shape in {p.shape for p in prepared}:
        rows = [i for i, p in enumerate(prepared) if p.shape == shape]
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            for tap, values in model.features([prepared[i] for i in part], taps).items():
                found[tap].update(zip(part, values, strict=True))
    return {tap: [by_row[i] for i in range(len(pictures))] for tap, by_row in found.items()}


@pytest.fixture(scope="module")
def reference(qwen_checkpoint):
    """``reference(picture)`` -> states ``[tokens, d]`` by layer, those before the final norm, and the image's rows."""
    network = Qwen2_5_VLForConditionalGeneration.from_pretrained(qwen_checkpoint, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(qwen_checkpoint)
    processor = Qwen2VLImageProcessorPil.from_pretrained(qwen_checkpoint)

    def hidden_states(image: Image.Image, prompt: str = "What is this."):
        inputs = processor(images=[image], return_tensors="pt")
        visual = int(inputs["image_grid_thw"].prod()) // 4
        message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}
        text = tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text.replace("<|image_pad|>", "<|image_pad|>" * visual), return_tensors="pt")["input_ids"]
        is_image = ids == network.config.image_token_id
        assert is_image.sum() == visual
        before_norm = []
        handle = network.model.language_model.norm.register_forward_pre_hook(lambda _, x: before_norm.append(x[0]))
        with torch.no_grad():
            out = network(
                input_ids=ids, mm_token_type_ids=is_image.int(), attention_mask=torch.ones_like(ids),
                output_hidden_states=True, **inputs,
            )  # fmt: skip
        handle.remove()
        states = {str(k): out.hidden_states[k][0] for k in range(28)} | {"final": out.hidden_states[28][0]}
        return states, before_norm[0][0], is_image[0]

    return hidden_states


def pooled(states: torch.Tensor, pooling: str) -> torch.Tensor:
    return states.mean(dim=0) if pooling == "channel_mean" else states.reshape(-1)


def assert_equal(got: torch.Tensor, want: torch.Tensor) -> None:
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


# --- the numbers


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("tokens", ["image", "all"])
def test_every_layer_and_pooling_equals_transformers(config, reference, tokens, batch):
    got = features(loaded(config, tokens=tokens), SQUARES, batch=batch)
    for row, image in enumerate(SQUARES):
        states, _, is_image = reference(image)
        for tap in TAPS:
            chosen = states[tap.layer][is_image] if tokens == "image" else states[tap.layer]
            assert_equal(got[tap][row], pooled(chosen, tap.pooling))
    assert got[Tap("4", "flat")][0].shape == ((16 if tokens == "image" else 27) * 32,)


@pytest.mark.parametrize("batch", [1, 3])
def test_pictures_of_mixed_sizes_equal_transformers(config, reference, batch):
    got = features(loaded(config), MIXED, batch=batch)
    sizes = set()
    for row, image in enumerate(MIXED):
        states, _, is_image = reference(image)
        sizes.add(int(is_image.sum()))
        for tap in TAPS:
            assert_equal(got[tap][row], pooled(states[tap.layer][is_image], tap.pooling))
    assert len(sizes) == 3


def test_final_without_the_norm_is_the_residual_stream(config, reference):
    got = features(loaded(config, final_norm=False), SQUARES)
    for row, image in enumerate(SQUARES):
        states, before_norm, is_image = reference(image)
        assert_equal(got[Tap("final", "flat")][row], before_norm[is_image].reshape(-1))
        assert_equal(got[Tap("24", "flat")][row], states["24"][is_image].reshape(-1))
        assert not torch.allclose(before_norm, states["final"], atol=0.1)


def test_every_block_changes_the_stream(reference):
    """Were layers alike, a tap at the wrong one would go unseen."""
    states, _, is_image = reference(SQUARES[0])
    flat = [states[str(k)][is_image] for k in range(28)]
    assert min((a - b).abs().max().item() for a, b in pairwise(flat)) > 0.1


def test_layer_zero_is_what_enters_the_decoder(config, reference):
    states, _, is_image = reference(SQUARES[0])
    assert_equal(
        features(loaded(config), SQUARES[:1], [Tap("0", "flat")])[Tap("0", "flat")][0], states["0"][is_image].flatten()
    )


def test_leaving_out_what_follows_the_image_changes_nothing(config):
    """``tokens=image`` cuts the prompt after the last visual token: causality, seen against the whole sequence."""
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


def test_half_precision_stays_close(config):
    tap = Tap("4", "channel_mean")
    exact = features(loaded(config), SQUARES, [tap])[tap]
    rounded = features(loaded(config, dtype="bfloat16"), SQUARES, [tap])[tap]
    for a, b in zip(exact, rounded, strict=True):
        assert b.dtype == torch.float32
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


def test_every_layer_of_the_config_is_there(config):
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
    assert str(caught.value).startswith(
        "cannot prepare 'thin' of 1000 x 4: absolute aspect ratio must be smaller than 200"
    )


def test_recipe_names_what_changes_the_latents(config):
    base = open_model(config)
    for change in ({"dtype": "float16"}, {"resolution": 112}, {"tokens": "all"}, {"prompt": "Describe."}):
        assert open_model(dataclasses.replace(config, **change)).recipe("4") != base.recipe("4")
    bare = open_model(dataclasses.replace(config, final_norm=False))
    assert bare.recipe("final") != base.recipe("final")
    assert bare.recipe("4") == base.recipe("4")  # the final norm comes after layer 4
