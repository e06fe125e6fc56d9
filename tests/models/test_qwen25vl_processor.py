"""Tokenizers and image processors in the variants that people have, against the library's own processor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from foresight_cli.models.qwen25vl_processor import load_processor
from tests.conftest import SPECIAL, TEMPLATE
from tests.models.qwen_files import CONFIG, JINJA, JSON, PREPROCESSOR, TOKENIZER, change, refusal
from tests.models.qwen_reference import StillProcessor, picture

IMAGE = SPECIAL.index("<|image_pad|>")
COPY = "from the checkpoint that it was made from"


def test_no_tokenizer_is_one_line(qwen_files):
    """transformers makes an empty tokenizer silently."""
    made = qwen_files({JINJA: TEMPLATE})
    (Path(made.name) / "tokenizer.json").unlink()
    (Path(made.name) / "vocab.json").write_text("{}")
    assert refusal(made) == (
        f"{made.name} has no tokenizer (tokenizer.json, or vocab.json and merges.txt). Copy its files {COPY}"
    )


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"image_token_id": 9}, f"<|image_pad|> is its token {IMAGE}, but image_token_id in config.json is 9"),
        ({"text_config": {"vocab_size": 8}}, "the prompt has the token 14, but vocab_size in config.json is 8"),
    ],
)
def test_a_tokenizer_of_another_vocabulary_is_one_line(qwen_files, config, fault):
    made = qwen_files({JINJA: TEMPLATE})
    change(Path(made.name) / "config.json", config)
    assert refusal(made) == (
        f"the tokenizer of {made.name} is of another vocabulary than the network: {fault}. "
        f"Copy the tokenizer files {COPY}"
    )


def test_a_tokenizer_without_the_placeholder_is_one_line(qwen_files):
    made = qwen_files({JINJA: TEMPLATE})
    for file in ("tokenizer.json", TOKENIZER):
        path = Path(made.name) / file
        path.write_text(path.read_text().replace("<|image_pad|>", "<|picture|>"))
    assert refusal(made) == (
        f"the tokenizer of {made.name} is of another vocabulary than the network: it has no token <|image_pad|>, which "
        f"image_token_id in config.json says is {IMAGE}. Copy the tokenizer files {COPY}"
    )


def test_no_image_processor_is_one_line(qwen_files):
    made = qwen_files({JINJA: TEMPLATE})
    (Path(made.name) / PREPROCESSOR).unlink()
    assert refusal(made) == (
        f"{made.name} has no image processor (preprocessor_config.json, or image_processor in processor_config.json). "
        f"To add it: hf download Qwen/Qwen2.5-VL-7B-Instruct preprocessor_config.json --local-dir {made.name}"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_std": [0, 0, 0]}, "has settings that are not read here."),
        ({"resample": "bicubic"}, "has settings that are not read here."),  # the library reads it as bilinear
        ({"size": {"shortest_edge": 9999, "longest_edge": 3136}}, "wants at least 9999 and at most 3136 pixels."),
        ({"image_processor_type": "CLIPImageProcessor"},
         "is CLIPImageProcessor; model=qwen25vl takes Qwen2VLImageProcessor."),
        ({"patch_size": 16}, "has patch_size 16, its network 14 (vision_config in config.json)."),
        ({"merge_size": 1}, "has merge_size 1, its network 2 (vision_config in config.json)."),
        ({"temporal_patch_size": 1}, "has temporal_patch_size 1, its network 2 (vision_config in config.json)."),
    ],
)  # fmt: skip
def test_an_image_processor_of_another_network_is_one_line(qwen_files, settings, message):
    made = qwen_files({JINJA: TEMPLATE})
    change(Path(made.name) / PREPROCESSOR, settings)
    assert refusal(made) == f"the image processor of {made.name} {message} Copy preprocessor_config.json {COPY}"


NO_BOUNDS = "`size` dict must contain 'shortest_edge' and 'longest_edge' keys but got"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"size": {"height": 56, "width": 56}}, NO_BOUNDS),
        ({"size": {"min_pixels": 3136, "max_pixels": 50176}}, NO_BOUNDS),
        ({"size": {"shortest_edge": 3136}}, NO_BOUNDS),
        ({"size": {"shortest_edge": "3136", "longest_edge": "50176"}}, "'<=' not supported between instances of"),
        ({"image_mean": [0.5]}, "mean must have 3 elements if it is an iterable, got 1"),
        ({"rescale_factor": "a"}, "ufunc 'divide' not supported for the input types"),
        ({"resample": 99}, "Unknown resampling filter (99)."),
    ],
)
def test_settings_that_the_image_processor_does_not_take_are_one_line(qwen_files, settings, reason):
    made = qwen_files({JINJA: TEMPLATE})
    change(Path(made.name) / PREPROCESSOR, settings)
    assert refusal(made).startswith(f"cannot read the image processor of {made.name}: {reason}")


@pytest.mark.parametrize("name", [TOKENIZER, "tokenizer.json", "vocab.json", PREPROCESSOR, CONFIG, JSON])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value: line 1 column 1 (char 0)"),
        ("[]", "it holds something else"),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:0",
            "it is a git-lfs pointer: type git lfs pull in its folder",
        ),
    ],
)
def test_a_file_that_is_no_json_object_is_named(qwen_files, name, text, reason):
    made = qwen_files({JINJA: TEMPLATE})
    (Path(made.name) / name).write_text(text)
    assert refusal(made) == f"{name} of {made.name} is not a JSON object ({reason})"


PIXELS = {"shortest_edge": 3136, "longest_edge": 12544}


@pytest.mark.parametrize(
    ("settings", "nested"),
    [
        ({"size": PIXELS}, {}),
        ({"min_pixels": 3136, "max_pixels": 12544}, {}),
        ({"min_pixels": 3136, "max_pixels": 12544, "size": {"min_pixels": 1, "max_pixels": 9}}, {}),
        ({"min_pixels": 3136, "max_pixels": 12544, "size": {"shortest_edge": 1, "longest_edge": 9}}, {}),
        ({"max_pixels": 12544}, {}),
        ({"size": PIXELS, "min_pixels": None, "max_pixels": None}, {}),
        ({"size": PIXELS}, {"size": {"shortest_edge": 3136, "longest_edge": 6272}, "do_normalize": False}),
        (None, {"size": PIXELS}),
        ({"size": PIXELS}, None),
        ({"size": PIXELS, "image_processor_type": "Qwen2VLImageProcessorFast"}, {}),
        ({"size": PIXELS, "image_processor_type": None, "resample": 2}, {}),
        ({"size": PIXELS, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.1, 0.2, 0.3], "rescale_factor": 1 / 99}, {}),
        ({"size": PIXELS, "image_mean": 0.5, "image_std": 0.25, "do_rescale": None}, {}),
        ({"size": PIXELS, "do_rescale": False, "crop_size": None, "device": None, "data_format": "channels_first"}, {}),
    ],
)
def test_the_pixels_are_those_of_the_librarys_processor(qwen_files, settings, nested):
    """Bounds in the old and the new spelling; settings in a separate file or within ``processor_config.json``."""
    made = qwen_files({JINJA: TEMPLATE})
    folder = Path(made.name)
    (folder / PREPROCESSOR).unlink()
    if settings is not None:
        change(folder / PREPROCESSOR, settings)
    if nested != {}:
        change(folder / CONFIG, {"processor_class": "Qwen2_5_VLProcessor", "image_processor": nested})
    image = picture(0, 200, 90)
    want = StillProcessor.from_pretrained(folder).image_processor(images=[image], return_tensors="pt")
    patches, grid = load_processor(made).patches((image,), True, "a")
    torch.testing.assert_close(patches, want["pixel_values"], rtol=1e-5, atol=1e-4)
    assert grid == tuple(want["image_grid_thw"][0].tolist())


def test_the_first_name_of_the_image_processor_is_read_too(qwen_files):
    """Files from early 2025 have this name; no release of transformers has the class."""
    made = qwen_files({JINJA: TEMPLATE})
    change(Path(made.name) / PREPROCESSOR, {"image_processor_type": "Qwen2_5_VLImageProcessor"})
    assert load_processor(made).patches.bounds == "3136 to 50176 pixels an image"


def test_code_in_the_checkpoint_is_neither_run_nor_asked_about(qwen_files, monkeypatch):
    """transformers would ask on the terminal whether to run such a tokenizer."""
    made = qwen_files({JINJA: TEMPLATE})
    own = {"auto_map": {"AutoTokenizer": ["own.OwnTokenizer", None]}, "tokenizer_class": "OwnTokenizer"}
    change(Path(made.name) / TOKENIZER, own)
    (Path(made.name) / "own.py").write_text("raise SystemExit('run')")
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asked"))
    assert load_processor(made).prompt_ids("image", "Describe.").count(IMAGE) == 1  # tokenizer.json is complete
