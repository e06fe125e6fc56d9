"""The text encoder of a diffusers pipeline, which is a Qwen2.5-VL: where Qwen-Image and others keep its files."""

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
    """The network of a diffusers pipeline, such as Qwen-Image, in ``text_encoder``; its other networks are junk."""
    for name, content in JUNK.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "text_encoder").mkdir()
    write_network(folder / "text_encoder", ENCODER)
    return folder


def qwen_image_edit(folder: Path) -> Path:
    """Text alone in ``tokenizer``, which has no tokenizer.json; pictures in ``processor``."""
    write_tokenizer(pipeline(folder) / "tokenizer", fast=False, legacy=True, template=TEXT)
    (folder / "tokenizer" / "chat_template.jinja").write_text(TEXT)
    write_tokenizer(folder / "processor")
    write_processor(folder / "processor", "4.57", "chat_template.jinja")
    return folder


def longcat_image(folder: Path) -> Path:
    """As LongCat-Image: ``text_processor``, and settings of the image processor in every folder."""
    write_processor(pipeline(folder) / "text_encoder", "4.49", None)
    for name in ("tokenizer", "text_processor"):
        write_tokenizer(folder / name, template=TEXT)
        write_processor(folder / name, "4.49", "chat_template.json")
    return folder


def all_in_one_folder(folder: Path) -> Path:
    """Nothing beside the network's own folder."""
    write(pipeline(folder) / "text_encoder", ENCODER)
    return folder


def files_in_the_root(folder: Path) -> Path:
    """Beside the folder of the network, as a trainer leaves them beside its ``checkpoint-500``."""
    write_tokenizer(pipeline(folder), template=TEXT)
    write_processor(folder, "published", "chat_template.json")
    return folder
