"""``model=qwen25vl`` on the layouts that people have, against plain transformers on a copy that it wrote itself."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from foresight_cli.data.clip import Clip
from foresight_cli.errors import ForesightError
from foresight_cli.models import Tap, open_model
from tests.builders import qwen_model
from tests.layouts.qwen_layouts import (
    BLOCKS,
    LAYOUTS,
    SIZES,
    Layout,
    network,
    published,
    write,
    write_processor,
)
from tests.layouts.qwen_pipelines import (
    all_in_one_folder,
    files_in_the_root,
    longcat_image,
    pipeline,
    qwen_image_edit,
)
from tests.layouts.qwen_tokenizer import IMAGES, TEXT, token_ids, write_tokenizer
from tests.models.qwen_reference import StillProcessor, picture, video_patches

PROMPT = "What is that thing?"
PICTURES = (picture(0, 112, 112), picture(1, 140, 84))
LAYERS = ("0", "2", "4", "final")
Reference = Callable[[str, Image.Image], dict[str, torch.Tensor]]


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``copy("7B")`` -> the folder that ``save_pretrained`` of the installed transformers writes."""

    @lru_cache
    def written(size: str) -> Path:
        folder, source = tmp_path_factory.mktemp(size), tmp_path_factory.mktemp(f"{size}-source")
        write_tokenizer(source)
        write_processor(source, "published", None)
        processor = StillProcessor(
            Qwen2VLImageProcessorPil.from_pretrained(source),
            AutoTokenizer.from_pretrained(source),
            chat_template=IMAGES,
        )
        processor.save_pretrained(folder)
        network(size).save_pretrained(folder)
        return folder

    return written


@pytest.fixture(scope="session")
def plain(copy: Callable[[str], Path]) -> Callable[[str], tuple]:
    """``plain("7B")`` -> the network and the processor, by plain calls of transformers."""
    from transformers import Qwen2_5_VLForConditionalGeneration

    @lru_cache
    def loaded(size: str):
        model = Qwen2_5_VLForConditionalGeneration.from_pretrained(copy(size), dtype=torch.float32)
        return model.eval(), StillProcessor.from_pretrained(copy(size))

    return loaded


@pytest.fixture(scope="session")
def reference(plain: Callable[[str], tuple]) -> Reference:
    """``reference("7B", picture)`` -> hidden states ``[tokens, d]`` by layer."""

    def states(size: str, image: Image.Image) -> dict[str, torch.Tensor]:
        model, processor = plain(size)
        content = [{"type": "image", "image": image}, {"type": "text", "text": PROMPT}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            hidden = model(**inputs, output_hidden_states=True).hidden_states
        return {str(k): layer[0] for k, layer in enumerate(hidden[:-1])} | {"final": hidden[-1][0]}

    return states


def assert_equal_to_transformers(reference: Reference, size: str, checkpoint: str | Path, **settings) -> None:
    """The latents of both pictures, all tokens, are those of plain transformers."""
    config = qwen_model(Path(checkpoint), resolution=None, tokens="all", prompt=PROMPT, **settings)
    model = open_model(config)
    model.check_layers(LAYERS)
    model.check_weights()
    model.check_files()
    model.load("cpu")
    prepared = [model.prepare(Clip((image,)), str(i)) for i, image in enumerate(PICTURES)]
    taps = [Tap(layer, pooling) for layer in LAYERS for pooling in ("channel_mean", "flat")]
    got = model.features(prepared, taps)
    for row, image in enumerate(PICTURES):
        states = reference(size, image)
        for tap in taps:
            want = states[tap.layer].mean(dim=0) if tap.pooling == "channel_mean" else states[tap.layer].flatten()
            torch.testing.assert_close(got[tap][row], want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", LAYOUTS)
def test_latents_equal_plain_transformers(reference, tmp_path, name):
    layout = LAYOUTS[name]
    assert_equal_to_transformers(reference, layout.size, write(tmp_path / "checkpoint-500", layout))


def test_what_the_installed_transformers_writes(reference, copy, tmp_path):
    """The weights are in one file, and in several; template and image processor are in the files of transformers 5."""
    assert (copy("7B") / "processor_config.json").exists()
    assert_equal_to_transformers(reference, "7B", copy("7B"))
    shutil.copytree(copy("7B"), tmp_path / "q", ignore=shutil.ignore_patterns("*.safetensors"))
    network("7B").save_pretrained(tmp_path / "q", max_shard_size="1MB")
    assert len(list((tmp_path / "q").glob("model-*.safetensors"))) > 2
    assert_equal_to_transformers(reference, "7B", tmp_path / "q")


@pytest.mark.parametrize("fast", [True, False])
def test_a_tokenizer_that_adds_a_token(reference, tmp_path, fast):
    """``AutoProcessor`` keeps the token that the tokenizer puts before a text, unless the template has put it there."""
    folder = write(tmp_path, Layout(tokenizer={"fast": False}))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings |= {"add_bos_token": True, "bos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if fast:
        AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
        assert '"TemplateProcessing"' in (folder / "tokenizer.json").read_text()
    content = [{"type": "image", "image": PICTURES[0]}, {"type": "text", "text": PROMPT}]
    want = StillProcessor.from_pretrained(folder).apply_chat_template(
        [{"role": "user", "content": content}], tokenize=True, add_generation_prompt=True
    )
    model = open_model(qwen_model(folder, resolution=None, tokens="all", prompt=PROMPT))
    model.load("cpu")
    ids = model.prepare(Clip((PICTURES[0],)), "a").tensors["input_ids"].tolist()
    assert ids == want[0]
    assert ids[:2] == [token_ids()["<|endoftext|>"], token_ids()["<|im_start|>"]]
    assert model.identity(reach_hub=False)["special_tokens"] == "the tokenizer's own"


def test_every_block_and_size_counts(reference):
    """If layers or sizes were alike, no test would notice a wrong one."""
    for size in SIZES:
        states = reference(size, PICTURES[0])
        assert min((states[str(k)] - states[str(k + 1)]).abs().max() for k in range(BLOCKS - 1)) > 0.1
    widths = {size: reference(size, PICTURES[0])["final"].mean().item() for size in SIZES}
    assert len(set(widths.values())) == len(SIZES)


def test_a_clip_has_the_time_that_the_published_settings_give_it(plain, tmp_path):
    """The files have 2 tokens a second; the default of transformers is 4."""
    clip = Clip(tuple(picture(i, 84, 56) for i in range(6)), fps=1.0)
    network, processor = plain("7B")
    patches, grid = video_patches(clip.frames, processor.image_processor)
    content = [{"type": "video"}, {"type": "text", "text": PROMPT}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    text = text.replace("<|video_pad|>", "<|video_pad|>" * (int(grid.prod()) // 4))
    ids = processor.tokenizer(text, return_tensors="pt")["input_ids"]
    seen = (ids == token_ids()["<|video_pad|>"]).int() * 2
    with torch.no_grad():
        want = network(
            input_ids=ids, mm_token_type_ids=seen, pixel_values_videos=patches, video_grid_thw=grid,
            second_per_grid_ts=torch.tensor([2.0]), output_hidden_states=True,
        ).hidden_states[4][0]  # fmt: skip
    config = qwen_model(write(tmp_path, published("7B")), resolution=None, tokens="all", prompt=PROMPT)
    model = open_model(config)
    model.load("cpu")
    tap = Tap("4", "flat")
    torch.testing.assert_close(
        model.features([model.prepare(clip, "a")], [tap])[tap][0], want.flatten(), rtol=1e-5, atol=1e-5
    )


# --- in a pipeline


@pytest.mark.parametrize("built", [qwen_image_edit, longcat_image, all_in_one_folder, files_in_the_root])
def test_the_text_encoder_of_a_pipeline(reference, tmp_path, built):
    assert_equal_to_transformers(reference, "7B", built(tmp_path), subfolder="text_encoder")


def test_a_pipeline_without_an_image_processor_is_one_line(tmp_path):
    """Qwen-Image, which makes pictures from text, is like this."""
    write_tokenizer(pipeline(tmp_path) / "tokenizer", fast=False, legacy=True, template=TEXT)
    model = open_model(qwen_model(tmp_path, subfolder="text_encoder"))
    with pytest.raises(ForesightError) as caught:
        model.check_files()
    assert str(caught.value) == (
        f"{tmp_path} has no image processor (preprocessor_config.json, or image_processor in processor_config.json) in "
        "text_encoder, tokenizer or beside them. To add it: hf download Qwen/Qwen2.5-VL-7B-Instruct "
        f"preprocessor_config.json --local-dir {tmp_path}/processor"
    )
    write_processor(tmp_path / "processor", "published", None)
    model = open_model(qwen_model(tmp_path, subfolder="text_encoder"))
    with pytest.raises(ForesightError) as caught:
        model.check_files()
    assert str(caught.value) == (
        f"the chat template of {tmp_path}, in tokenizer/tokenizer_config.json, takes text alone, no image (can only "
        'concatenate str (not "list") to str). The published one with pictures is chat_template.json. To add it: '
        f"hf download Qwen/Qwen2.5-VL-7B-Instruct chat_template.json --local-dir {tmp_path}/processor"
    )
    write_processor(tmp_path / "processor", "published", "chat_template.json")
    open_model(qwen_model(tmp_path, subfolder="text_encoder")).check_files()


def test_a_pipeline_without_a_tokenizer_is_one_line(tmp_path):
    write_processor(pipeline(tmp_path) / "processor", "published", "chat_template.json")
    with pytest.raises(ForesightError) as caught:
        open_model(qwen_model(tmp_path, subfolder="text_encoder")).check_files()
    assert str(caught.value) == (
        f"{tmp_path} has no tokenizer (tokenizer.json, or vocab.json and merges.txt) in text_encoder, processor or "
        "beside them. Copy its files from the checkpoint that it was made from"
    )


def test_the_identity_covers_files_beside_the_network(tmp_path):
    def identity(folder: Path) -> dict[str, str]:
        return open_model(qwen_model(folder, subfolder="text_encoder")).identity(reach_hub=False)

    first = identity(qwen_image_edit(tmp_path / "a"))
    second = qwen_image_edit(tmp_path / "b")
    assert identity(second) == first
    (second / "transformer" / "config.json").write_text("other junk")
    assert identity(second) == first
    seen = {first["sha256"]}
    for name in ("processor/chat_template.jinja", "tokenizer/merges.txt", "processor/preprocessor_config.json"):
        (second / name).write_text((second / name).read_text() + "\n")
        seen.add(identity(second)["sha256"])
    assert len(seen) == 4


# --- in the cache of the hub


def test_the_cache_of_the_hub_without_a_network(reference, tmp_path, monkeypatch):
    """The layout of ``hf download``: snapshots of links to blobs, and a ref; given by its hub id."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    home = tmp_path / "models--Qwen--Qwen2.5-VL-7B-Instruct"
    snapshot, blobs = home / "snapshots" / ("c" * 40), home / "blobs"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for file in write(tmp_path / "files", published("7B")).iterdir():
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.move(file, blobs / digest)
        (snapshot / file.name).symlink_to(Path("../../blobs") / digest)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("c" * 40)
    assert_equal_to_transformers(reference, "7B", "Qwen/Qwen2.5-VL-7B-Instruct")
