"""The tokenizer, chat template and image processor of a Qwen2.5-VL checkpoint, as ``AutoProcessor`` would load them.

``AutoProcessor`` itself needs torchvision for its video half, so its parts are loaded one by one from the same files.
They are checked against ``config.json`` before any weight is read: with a tokenizer of another model the network would
run and give wrong numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.models.qwen25vl_files import ProcessorFiles, copy_advice
from foresight_cli.models.qwen25vl_patches import Patches

if TYPE_CHECKING:
    from foresight_cli.models.checkpoint import Checkpoint

IMAGE_PROCESSORS = ("Qwen2VLImageProcessor", "Qwen2_5_VLImageProcessor")
"""Prefixes of ``image_processor_type``; the second name was in the files that were published first."""
MOST_TRIED = 4_000_000
"""Most pixels of the picture that an image processor is tried out on; it enlarges a smaller one."""


@dataclass(frozen=True)
class Processor:
    """Turns a picture and a prompt into the network's inputs.

    Attributes:
        files: where it was read from, for messages.
        tokenizer: the checkpoint's tokenizer.
        patches: cuts pictures into patches, by its image processor's settings.
        template: its chat template, in Jinja.
        template_file: the file that the template was read from.
        placeholders: the token ids that the network replaces by visual features, by "image" and "video".
        spelled: the token ids of ``<|image_pad|>`` and ``<|video_pad|>`` in the tokenizer; None if it lacks the token.
        vocabulary: number of token ids that the network has.
    """

    files: ProcessorFiles
    tokenizer: Any
    patches: Patches
    template: str
    template_file: str
    placeholders: Mapping[str, int]
    spelled: Mapping[str, int | None]
    vocabulary: int

    def prompt_ids(self, kind: str, text: str) -> list[int]:
        """Return the token ids of a chat in which a user shows one picture or clip and then writes ``text``.

        Args:
            kind: "image" or "video"; its placeholder appears once.
            text: what follows it.

        Raises:
            UsageError: the text itself has a placeholder.
            ForesightError: the template fails, or does not have exactly one place for the picture; the tokenizer has
                another vocabulary than the network.
        """
        if (token := f"<|{kind}_pad|>") in text:
            raise UsageError(f"model.prompt= has {token}, which the chat template puts in for the {kind}. Leave it out")
        try:
            prompt = self._rendered([{"type": kind}, {"type": "text", "text": text}])
        except Exception as error:  # a template is a program: it may raise anything
            fault = f"takes text alone, no {kind}" if self._takes_text() else f"fails on a message with one {kind}"
            raise self._template_error(f"{fault} ({_line(error)})") from error
        if self._tells_the_date():
            raise self._template_error("writes the date, so that latents would differ from day to day")
        begun = bool(self.tokenizer.bos_token) and prompt.startswith(self.tokenizer.bos_token)
        ids: list[int] = self.tokenizer(prompt, add_special_tokens=not begun)["input_ids"]
        self._refuse_vocabulary(kind, prompt, ids)
        if (places := ids.count(self.placeholders[kind])) != 1:
            raise self._template_error(f"has {places} places for the {kind}; wanted 1")
        return ids

    def _rendered(self, content: str | list[dict[str, str]], **variables: str) -> str:
        prompt: str = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            chat_template=self.template,
            tokenize=False,
            add_generation_prompt=True,
            **variables,
        )
        return prompt

    def _tells_the_date(self) -> bool:
        """Check whether the template calls the library's function for the date: with a text in its place it fails."""
        if "strftime_now" not in self.template:
            return False
        try:
            self._rendered([{"type": "image"}, {"type": "text", "text": ""}], strftime_now="")
        except Exception:
            return True
        return False

    def _takes_text(self) -> bool:
        try:
            self._rendered("text")
        except Exception:
            return False
        return True

    def _refuse_vocabulary(self, kind: str, prompt: str, ids: list[int]) -> None:
        token, wanted = f"<|{kind}_pad|>", self.placeholders[kind]
        own = self.spelled[kind]
        if own is not None and own != wanted:
            fault = f"{token} is its token {own}, but {kind}_token_id in config.json is {wanted}"
        elif own is None and token in prompt and wanted not in ids:
            fault = f"it has no token {token}, which {kind}_token_id in config.json says is {wanted}"
        elif ids and max(ids) >= self.vocabulary:
            fault = f"the prompt has the token {max(ids)}, but vocab_size in config.json is {self.vocabulary}"
        else:
            return
        raise ForesightError(
            f"the tokenizer of {self.files.checkpoint.name} is of another vocabulary than the network: {fault}. "
            f"{copy_advice('the tokenizer files')}"
        )

    def _template_error(self, fault: str) -> ForesightError:
        return ForesightError(
            f"the chat template of {self.files.checkpoint.name}, in {self.template_file}, {fault}. "
            f"{self.files.template_advice()}"
        )


def load_processor(checkpoint: Checkpoint) -> Processor:
    """Read tokenizer, chat template and image processor; no weight is fetched.

    Raises:
        ForesightError: a file is missing or cannot be read, or does not fit ``config.json``.
    """
    from transformers import AutoTokenizer, Qwen2_5_VLConfig

    files = ProcessorFiles(checkpoint)
    files.check_json()
    with _reading(checkpoint, "config.json"):
        network = Qwen2_5_VLConfig.from_pretrained(files.network)
    with _reading(checkpoint, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(files.tokenizer, trust_remote_code=False)
        words = tokenizer.get_vocab()
    with _reading(checkpoint, "image processor"), np.errstate(all="ignore"):  # patches that are not finite are refused
        patches = _patches(files, network.vision_config)
    with _reading(checkpoint, "chat template"):
        template, file = files.template(tokenizer)
    placeholders = {"image": int(network.image_token_id), "video": int(network.video_token_id)}
    spelled = {kind: words.get(f"<|{kind}_pad|>") for kind in placeholders}
    vocabulary = int(network.text_config.vocab_size)
    return Processor(files, tokenizer, patches, template, file, placeholders, spelled, vocabulary)


def _patches(files: ProcessorFiles, network: Any) -> Patches:
    """Read the image processor, check it against the network's ``vision_config``, and try it out on a picture."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    whose = f"the image processor of {files.checkpoint.name}"
    advice = copy_advice("preprocessor_config.json")
    name = files.image_settings().get("image_processor_type") or IMAGE_PROCESSORS[0]
    if not name.startswith(IMAGE_PROCESSORS):
        raise ForesightError(f"{whose} is {name}; model=qwen25vl takes {IMAGE_PROCESSORS[0]}. {advice}")
    library = Qwen2VLImageProcessorPil.from_pretrained(files.images)
    patches = Patches(library)
    cuts = {"patch_size": network.patch_size, "merge_size": network.spatial_merge_size}
    cuts["temporal_patch_size"] = network.temporal_patch_size
    for key, wanted in cuts.items():
        if (own := getattr(library, key)) != wanted:
            fault = f"{whose} has {key} {own}, its network {wanted} (vision_config in config.json)"
            raise ForesightError(f"{fault}. {advice}")
    least, most = library.size["shortest_edge"], library.size["longest_edge"]
    if least and most and least > most:
        raise ForesightError(f"{whose} wants at least {least} and at most {most} pixels. {advice}")
    if not least or least <= MOST_TRIED:
        _try_out(library, patches, f"{whose} has settings that are not read here. {advice}")
    return patches


def _try_out(library: Any, patches: Patches, fault: str) -> None:
    """Compare the library's patches of a picture with those of :class:`Patches`; find a setting that it refuses."""
    from PIL import Image

    side = 4 * patches.size * patches.merge
    height = side - 5 if library.do_resize else side
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, side, 3), dtype=np.uint8))
    cut = library(images=[picture], return_tensors="np")["pixel_values"]
    try:
        equal = np.allclose(patches([picture], True, "noise")[0].numpy(), cut, rtol=1e-4, atol=1e-4)
    except ForesightError as error:
        raise ForesightError(fault) from error
    if not equal:
        raise ForesightError(fault)


@contextmanager
def _reading(checkpoint: Checkpoint, part: str) -> Iterator[None]:
    """Turn whatever a library raises on these files into a message of one line that names the ``part``."""
    with checkpoint.reading():
        try:
            yield
        except ForesightError:
            raise
        except Exception as error:
            raise ForesightError(f"cannot read the {part} of {checkpoint.name}: {_line(error)}") from error


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    text = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return f"no {text}" if isinstance(error, KeyError) else text
