"""Diffusers pipelines whose text encoder is a Qwen2.5-VL, with its files where Qwen-Image and others have them."""

from __future__ import annotations

from pathlib import Path

from tests.layouts.qwen_layouts import Layout, write, write_network, write_processor
from tests.layouts.qwen_tokenizer import TEXT, write_tokenizer

JUNK = {
    "model_index.json": b'{"_class_name": "QwenImageEditPipeline"}',
    "transformer/config.json": b"not even JSON",
    "transformer/diffusion_pytorch_model.safetensors": b"never read",
    "vae/config.json": b"{}",
}
ENCODER = Layout(config="4.53", shards=4)


def pipeline(folder: Path) -> Path:
    """Write the network of a pipeline such as Qwen-Image to ``text_encoder``; the other networks are junk."""
    for name, content in JUNK.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "text_encoder").mkdir()
    write_network(folder / "text_encoder", ENCODER)
    return folder


def qwen_image_edit(folder: Path) -> Path:
    """Put text alone in ``tokenizer``, which has no tokenizer.json, and pictures in ``processor``."""
    write_tokenizer(pipeline(folder) / "tokenizer", fast=False, legacy=True, template=TEXT)
    (folder / "tokenizer" / "chat_template.jinja").write_text(TEXT)
    write_tokenizer(folder / "processor")
    write_processor(folder / "processor", "4.57", "chat_template.jinja")
    return folder


def longcat_image(folder: Path) -> Path:
    """Write the layout of LongCat-Image: ``text_processor``, and the image processor's settings in every folder."""
    write_processor(pipeline(folder) / "text_encoder", "4.49", None)
    for name in ("tokenizer", "text_processor"):
        write_tokenizer(folder / name, template=TEXT)
        write_processor(folder / name, "4.49", "chat_template.json")
    return folder


def all_in_one_folder(folder: Path) -> Path:
    """Write all files into the network's folder, and none beside it."""
    write(pipeline(folder) / "text_encoder", ENCODER)
    return folder


def files_in_the_root(folder: Path) -> Path:
    """Write the files beside the folder of the network, as a trainer does beside its ``checkpoint-500``."""
    write_tokenizer(pipeline(folder), template=TEXT)
    write_processor(folder, "published", "chat_template.json")
    return folder
