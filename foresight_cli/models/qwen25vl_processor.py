"""The tokenizer, chat template and image processor of a Qwen2.5-VL checkpoint, as ``AutoProcessor`` would load them.

``AutoProcessor`` itself needs torchvision for its video half, so its parts are loaded one by one from the same files.
They are held against ``config.json`` before any weight is read: with a tokenizer of another model the network runs too,
to wrong numbers.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foresight_cli.errors import ForesightError
from foresight_cli.models.qwen25vl_patches import Patches

if TYPE_CHECKING:
    from foresight_cli.models.checkpoint import Checkpoint

PUBLISHED = "Qwen/Qwen2.5-VL-7B-Instruct"
"""A checkpoint on the hub whose chat template has pictures; all sizes of Qwen2.5-VL share it."""
IMAGE_PROCESSORS = ("Qwen2VLImageProcessor", "Qwen2_5_VLImageProcessor")
"""How ``image_processor_type`` begins; the second name was in the files that were published first."""

JSON_FILES = (
    *("tokenizer_config.json", "tokenizer.json", "vocab.json", "added_tokens.json", "special_tokens_map.json"),
    *("preprocessor_config.json", "processor_config.json", "chat_template.json"),
)
"""Files that are read where they are there; each holds an object."""


@dataclass(frozen=True)
class Processor:
    """What turns a picture and a prompt into the network's inputs.

    Attributes:
        checkpoint: where it was read from, for messages.
        tokenizer: the checkpoint's tokenizer.
        patches: what its image processor makes of pictures.
        template: its chat template, in Jinja.
        template_file: the file that the template was read from.
        placeholders: the token ids that the network replaces by what it sees, by "image" and "video".
        vocabulary: how many token ids the network knows.
    """

    checkpoint: Checkpoint
    tokenizer: Any
    patches: Patches
    template: str
    template_file: str
    placeholders: Mapping[str, int]
    vocabulary: int

    def prompt_ids(self, kind: str, text: str) -> list[int]:
        """The token ids of a chat in which a user shows one picture or clip and then writes ``text``.

        Args:
            kind: "image" or "video"; its placeholder appears once.
            text: what follows it.

        Raises:
            ForesightError: the template fails, or has not exactly one place for the picture; the tokenizer is of
                another vocabulary than the network.
        """
        try:
            prompt = self._rendered([{"type": kind}, {"type": "text", "text": text}])
        except Exception as error:  # a template is a program that somebody else wrote: it may raise anything
            fault = f"takes text alone, no {kind}" if self._takes_text() else f"fails on a message with one {kind}"
            raise self._template_error(f"{fault} ({_line(error)})") from error
        ids: list[int] = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        self._refuse_vocabulary(kind, prompt, ids)
        if (places := ids.count(self.placeholders[kind])) != 1:
            raise self._template_error(f"has {places} places for the {kind}; wanted 1")
        return ids

    def _rendered(self, content: str | list[dict[str, str]]) -> str:
        prompt: str = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            chat_template=self.template,
            tokenize=False,
            add_generation_prompt=True,
        )
        return prompt

    def _takes_text(self) -> bool:
        try:
            self._rendered("text")
        except Exception:
            return False
        return True

    def _refuse_vocabulary(self, kind: str, prompt: str, ids: list[int]) -> None:
        token, wanted = f"<|{kind}_pad|>", self.placeholders[kind]
        own = self.tokenizer.get_vocab().get(token)
        if own is not None and own != wanted:
            fault = f"{token} is its token {own}, but {kind}_token_id in config.json is {wanted}"
        elif own is None and token in prompt and wanted not in ids:
            fault = f"it has no token {token}, which {kind}_token_id in config.json says is {wanted}"
        elif ids and max(ids) >= self.vocabulary:
            fault = f"the prompt has the token {max(ids)}, but vocab_size in config.json is {self.vocabulary}"
        else:
            return
        raise ForesightError(
            f"the tokenizer of {self.checkpoint.name} is of another vocabulary than the network: {fault}. "
            f"{_copy_advice('the tokenizer files')}"
        )

    def _template_error(self, fault: str) -> ForesightError:
        return ForesightError(
            f"the chat template of {self.checkpoint.name}, in {self.template_file}, {fault}. "
            f"{_template_advice(self.checkpoint)}"
        )


def load_processor(checkpoint: Checkpoint) -> Processor:
    """Read tokenizer, chat template and image processor; no weight is fetched.

    Raises:
        ForesightError: a file is missing or cannot be read, or does not fit ``config.json``.
    """
    from transformers import Qwen2_5_VLConfig

    folder = checkpoint.small_files() / (checkpoint.subfolder or "")
    for name in JSON_FILES:
        _refuse_broken(checkpoint, folder / name)
    with _reading(checkpoint, "config.json"):
        network = Qwen2_5_VLConfig.from_pretrained(folder)
    tokenizer = _tokenizer(checkpoint, folder)
    patches = _patches(checkpoint, folder, network.vision_config)
    with _reading(checkpoint, "chat template"):
        template, file = _template(checkpoint, folder, tokenizer)
    placeholders = {"image": int(network.image_token_id), "video": int(network.video_token_id)}
    vocabulary = int(network.text_config.vocab_size)
    return Processor(checkpoint, tokenizer, patches, template, file, placeholders, vocabulary)


def _tokenizer(checkpoint: Checkpoint, folder: Path) -> Any:
    from transformers import AutoTokenizer

    names = {path.name for path in folder.iterdir()}
    if "tokenizer.json" not in names and not {"vocab.json", "merges.txt"} <= names:
        raise ForesightError(  # transformers would make an empty one
            f"{checkpoint.name} has no tokenizer (tokenizer.json, or vocab.json and merges.txt). "
            f"{_copy_advice('its files')}"
        )
    with _reading(checkpoint, "tokenizer"):
        return AutoTokenizer.from_pretrained(folder)


def _patches(checkpoint: Checkpoint, folder: Path, network: Any) -> Patches:
    """The image processor, held against the network's ``vision_config`` and tried out on a picture."""
    from PIL import Image
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    with _reading(checkpoint, "image processor"):
        settings = _image_settings(folder)
        if settings is None:
            raise ForesightError(
                f"{checkpoint.name} has no image processor (preprocessor_config.json, or image_processor in "
                f"processor_config.json). {_copy_advice('that file')}"
            )
        name = settings.get("image_processor_type") or IMAGE_PROCESSORS[0]
        if not name.startswith(IMAGE_PROCESSORS):
            raise ForesightError(
                f"the image processor of {checkpoint.name} is {name}; model=qwen25vl takes {IMAGE_PROCESSORS[0]}. "
                f"{_copy_advice('preprocessor_config.json')}"
            )
        library = Qwen2VLImageProcessorPil.from_pretrained(folder)
        patches = Patches(library)
        cuts = {"patch_size": network.patch_size, "merge_size": network.spatial_merge_size}
        cuts["temporal_patch_size"] = network.temporal_patch_size
        for key, wanted in cuts.items():
            if (own := getattr(library, key)) != wanted:
                raise ForesightError(
                    f"the image processor of {checkpoint.name} has {key} {own}, its network {wanted} (vision_config in "
                    f"config.json). {_copy_advice('preprocessor_config.json')}"
                )
        side = 4 * patches.size * patches.merge
        noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
        picture = Image.fromarray(noise)
        cut = library(images=[picture], return_tensors="np")["pixel_values"]
        if not np.allclose(patches([picture], True, "noise")[0].numpy(), cut, rtol=1e-4, atol=1e-4):
            raise ForesightError(f"the image processor of {checkpoint.name} has settings that are not read here")
    return patches


def _image_settings(folder: Path) -> dict[str, Any] | None:
    """The image processor's settings, which the library takes from ``processor_config.json`` first."""
    files = (folder / "processor_config.json", folder / "preprocessor_config.json")
    nested, own = (json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {} for file in files)
    settings: dict[str, Any] | None = nested.get("image_processor", own or None)
    return settings


def _template(checkpoint: Checkpoint, folder: Path, tokenizer: Any) -> tuple[str, str]:
    """The chat template, and the name of the file that it is in.

    The library's own code chooses among the files that belong to a processor: ``processor_config.json``,
    ``chat_template.json``, ``chat_template.jinja``, in this order. ``AutoProcessor`` stops there. Where none of them
    has a template, the tokenizer's own is the only one of the checkpoint.
    """
    from transformers import ProcessorMixin

    templates = ProcessorMixin.get_processor_dict(folder)[0].get("chat_template")
    file = _template_file(folder) if templates else "tokenizer_config.json"
    templates = templates or tokenizer.chat_template
    if not templates:
        raise ForesightError(f"{checkpoint.name} has no chat template. {_template_advice(checkpoint)}")
    if isinstance(templates, str):
        return templates, file
    if "default" not in templates:
        names = ", ".join(sorted(templates))
        fault = f"the chat templates of {checkpoint.name} are {names}; none is named default"
        raise ForesightError(f"{fault}. {_template_advice(checkpoint)}")
    return templates["default"], file


def _template_file(folder: Path) -> str:
    """Which file of a processor holds the template that the library chose, for messages."""
    settings = folder / "processor_config.json"
    if settings.is_file() and json.loads(settings.read_text(encoding="utf-8")).get("chat_template") is not None:
        return settings.name
    names = ("chat_template.json", "chat_template.jinja")
    return next((name for name in names if (folder / name).is_file()), "additional_chat_templates/default.jinja")


def _refuse_broken(checkpoint: Checkpoint, file: Path) -> None:
    """Name the file that is no JSON object, which the library's own message does not."""
    if not file.is_file():
        return
    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        if isinstance(json.loads(text), dict):
            return
        reason = "it holds something else"
    except ValueError as error:
        pointer = text.startswith("version https://git-lfs")
        reason = "it is a git-lfs pointer: type git lfs pull in its folder" if pointer else str(error)
    raise ForesightError(f"{file.name} of {checkpoint.name} is no JSON object ({reason})")


@contextmanager
def _reading(checkpoint: Checkpoint, part: str) -> Iterator[None]:
    """Have whatever a library raises on files that somebody else wrote end in one line that names the ``part``."""
    with checkpoint.reading():
        try:
            yield
        except ForesightError:
            raise
        except Exception as error:
            raise ForesightError(f"cannot read the {part} of {checkpoint.name}: {_line(error)}") from error


def _template_advice(checkpoint: Checkpoint) -> str:
    """How to get a chat template with pictures into a checkpoint."""
    published = f"The published one with pictures is chat_template.json of {PUBLISHED}"
    if checkpoint.local is None:
        return f"{published}: put it into a local copy and give model.checkpoint=DIR"
    folder = shlex.quote(str(checkpoint.local))
    return f"{published}. To add it: hf download {PUBLISHED} chat_template.json --local-dir {folder}"


def _copy_advice(files: str) -> str:
    return f"Copy {files} from the checkpoint that it was made from"


def _line(error: Exception) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"no {text}" if isinstance(error, KeyError) else text
