"""Messages for a folder that is no checkpoint: what is wrong with it, and what to type instead."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from foresight_cli.config.text_settings import shell_line
from foresight_cli.data.path_kinds import model_of_checkpoint
from foresight_cli.models.quantised import gguf_refusal
from foresight_cli.models.single_file import class_of, convert_line, single_file_advice
from foresight_cli.models.weight_files import PICKLED

ADAPTERS = (
    "adapter_config.json",
    "adapter_model.safetensors",
    "adapter_model.bin",
    "pytorch_lora_weights.safetensors",
    "pytorch_lora_weights.bin",
)
"""Files of a LoRA, or of another adapter, as peft and diffusers write them."""

MERGE = (
    "merge it into its model first (peft: PeftModel.from_pretrained(model, LORA_DIR).merge_and_unload()"
    ".save_pretrained(NEW_DIR))"
)

_HOLDS = {"qwen25vl": ("text_encoder", "text_encoder_2"), "ltxv": ("vae",), "autoencoder": ("vae",),
          "vision": ("image_encoder", "vision_encoder")}  # fmt: skip
"""The folder of a diffusers pipeline that holds each model."""

_USUAL = {"ltxv": "AutoencoderKLLTXVideo", "autoencoder": "AutoencoderKL"}
"""The class that reads a single file whose tensor names do not show its kind."""

SHIPPED_FOR = ("qwen25vl", "ltxv")
"""Models that foresight ships a small checkpoint for."""


def wanted(model: str) -> str:
    """Return what ``model.checkpoint=`` takes, for the end of a message."""
    tiny = "; or leave it out and add weights=tiny" if model in SHIPPED_FOR else ""
    return f"model.checkpoint= wants a folder written by save_pretrained or a hub id{tiny}"


def why_no_folder(folder: Path, model: str) -> str:
    """Return the message for a path that is no folder."""
    if folder.is_symlink() and not folder.exists():
        return f"{folder} is a broken link: it points to {folder.readlink()}. {wanted(model)}"
    if not folder.exists():
        return f"no folder {folder}.{near(folder)} {wanted(model)}"
    suffix = folder.suffix.lower()
    head = f"{folder} is a file; model.checkpoint= wants a folder with config.json"
    if suffix == ".gguf":
        return gguf_refusal(str(folder))
    if folder.name == "config.json" or (suffix == ".safetensors" and (folder.parent / "config.json").is_file()):
        return f"{head}. Give the folder: model.checkpoint={folder.parent}"
    if suffix == ".safetensors" and (kind := class_of(folder) or _USUAL.get(model)):
        return (
            f"{head}. It may be a whole model in one file: convert its autoencoder, once, with the hub in reach: "
            f"{convert_line(kind, str(folder))} and take model.checkpoint=converted model.subfolder=vae"
        )
    if suffix in PICKLED:
        return f"{head} and weights in safetensors; foresight reads nothing pickled"
    return head


def near(folder: Path) -> str:
    """Return "Did you mean" with a folder of a similar name in the same place; empty if there is none."""
    try:
        others = [path.name for path in folder.parent.iterdir() if path.is_dir()]
    except OSError:
        return ""
    close = get_close_matches(folder.name, others, n=1)
    return f" Did you mean {folder.parent / close[0]}?" if close else ""


def why_no_checkpoint(folder: Path, subfolder: str | None, model: str) -> str:
    """Return the message for a folder, or ``subfolder`` in it, without a ``config.json``."""
    if not folder.is_dir():
        return why_no_folder(folder, model)
    inside = folder / (subfolder or "")
    if not inside.is_dir():
        return f"{folder} has no folder {subfolder}{_other_model(folder, model) or _instead(folder)}"
    head = f"no checkpoint in {inside}: it has no config.json"
    names = {path.name for path in inside.iterdir()}
    if snapshot := _snapshot(inside):
        return f"{inside} is a folder of the hub cache. Its checkpoint is in model.checkpoint={snapshot}"
    if adapters := [name for name in ADAPTERS if name in names]:
        return f"{inside} holds a LoRA alone ({adapters[0]}), without its model: {MERGE}"
    if (inside / "config.json").is_symlink():
        return f"{inside}/config.json is a broken link to {(inside / 'config.json').readlink()}. Fetch it again"
    if holders := _with_config(inside):
        likely = [name for name in _HOLDS.get(model, ()) if name in holders] or holders
        kind = "a diffusers pipeline" if "model_index.json" in names else "a folder of folders"
        at = f"{subfolder}/" if subfolder else ""
        return f"{head}. It is {kind}: add {' or '.join(f'model.subfolder={at}{name}' for name in likely)}"
    if any(name.endswith(".gguf") for name in names):
        return gguf_refusal(next(str(inside / name) for name in sorted(names) if name.endswith(".gguf")))
    if subfolder and (folder / "config.json").is_file():
        if other := _other_model(folder, model):
            return f"{head}{other.replace(', and holds', f', and {folder} holds')}"
        return f"{head}, but {folder} has one: leave model.subfolder= empty (model.subfolder=null)"
    if conversion := single_file_advice(inside):
        return f"{head}. {conversion}"
    return f"{head}, only {_listing(inside)}. {wanted(model)}"


def _other_model(folder: Path, model: str) -> str:
    """Return advice to use the ``model=`` that reads the network in ``folder``; empty if that is ``model``."""
    if not (folder / "config.json").is_file():
        return ""
    other = model_of_checkpoint(str(folder))
    if other is None or other.option == model or {other.option, model} - {"ltxv", "autoencoder", "qwen25vl"}:
        return ""
    return f", and holds a network for model={other.option}. Take {_line_of(other.option, folder)}"


def _line_of(option: str, folder: Path) -> str:
    subfolder = ["model.subfolder=null"] if option == "ltxv" else []
    return shell_line([f"model={option}", f"model.checkpoint={folder}", *subfolder])


def _instead(folder: Path) -> str:
    """Return what to give instead of a subfolder that does not exist."""
    if (folder / "config.json").is_file():
        return ", but a config.json itself: add model.subfolder=null"
    if not (holders := _with_config(folder)) and (conversion := single_file_advice(folder)):
        return f". {conversion}"
    return f"; model.subfolder= may be {' or '.join(holders)}" if holders else f", only {_listing(folder)}"


def broken_link(folder: Path) -> str:
    """Return the message for the first weight file in ``folder`` that is a broken link; empty if there is none."""
    links = sorted(path for path in folder.iterdir() if path.is_symlink() and not path.exists())
    weights = [link for link in links if ".safetensors" in link.name]
    return f"{weights[0].name} is a broken link to {weights[0].readlink()}. Fetch it again" if weights else ""


def _with_config(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/config.json"))


def _snapshot(folder: Path) -> Path | None:
    """Return the newest snapshot under a folder of the hub's cache."""
    snapshots = folder if folder.name == "snapshots" else folder / "snapshots"
    if not folder.name.startswith("models--") and folder.name != "snapshots":
        return None
    commits = [path for path in snapshots.glob("*") if path.is_dir()]
    return max(commits, key=lambda path: path.stat().st_mtime) if commits else None


def _listing(folder: Path) -> str:
    """List the names of the first files and folders in ``folder``."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if not names:
        return "nothing: the folder is empty"
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
