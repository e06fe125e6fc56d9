"""The tokenizer, chat template and image processor of a Qwen2.5-VL checkpoint, as ``AutoProcessor`` would load them.

``AutoProcessor`` itself needs torchvision for its video half, so its parts are loaded one by one from the same files.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foresight_cli.errors import ForesightError

if TYPE_CHECKING:
    from foresight_cli.models.checkpoint import Checkpoint

PUBLISHED = "Qwen/Qwen2.5-VL-7B-Instruct"
"""A checkpoint on the hub whose chat template has pictures; all sizes of Qwen2.5-VL share it."""


@dataclass(frozen=True)
class Processor:
    """What turns a picture and a prompt into the network's inputs.

    Attributes:
        checkpoint: where it was read from, for messages.
        tokenizer: the checkpoint's tokenizer.
        image: its image processor, in the PIL version.
        template: its chat template, in Jinja.
        template_file: the file that the template was read from.
    """

    checkpoint: Checkpoint
    tokenizer: Any
    image: Any
    template: str
    template_file: str

    def prompt_ids(self, kind: str, text: str, placeholder: int) -> list[int]:
        """The token ids of a chat in which a user shows one picture or clip and then writes ``text``.

        Args:
            kind: "image" or "video".
            text: what follows it.
            placeholder: the token id for which the network puts in visual tokens; it appears once.

        Raises:
            ForesightError: the template fails, or has not exactly one place for the picture.
        """
        try:
            prompt = self._rendered([{"type": kind}, {"type": "text", "text": text}])
        except Exception as error:  # a template is a program that somebody else wrote: it may raise anything
            fault = f"takes text alone, no {kind}" if self._takes_text() else f"fails on a message with one {kind}"
            raise self._refusal(f"{fault} ({_line(error)})") from error
        ids: list[int] = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        if (places := ids.count(placeholder)) != 1:
            raise self._refusal(f"has {places} places for the {kind}; wanted 1")
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

    def _refusal(self, fault: str) -> ForesightError:
        return ForesightError(
            f"the chat template of {self.checkpoint.name}, in {self.template_file}, {fault}. {advice(self.checkpoint)}"
        )


def load_processor(checkpoint: Checkpoint, folder: Path) -> Processor:
    """Read tokenizer, chat template and image processor from the files in ``folder``.

    Raises:
        ForesightError: a file is missing or cannot be read.
    """
    from transformers import AutoTokenizer
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    with checkpoint.reading():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        image = Qwen2VLImageProcessorPil.from_pretrained(folder)
        template, file = _template(checkpoint, folder, tokenizer)
    return Processor(checkpoint, tokenizer, image, template, file)


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
        raise ForesightError(f"{checkpoint.name} has no chat template. {advice(checkpoint)}")
    if isinstance(templates, str):
        return templates, file
    if "default" not in templates:
        names = ", ".join(sorted(templates))
        raise ForesightError(
            f"the chat templates of {checkpoint.name} are {names}; none is named default. {advice(checkpoint)}"
        )
    return templates["default"], file


def _template_file(folder: Path) -> str:
    """Which file of a processor holds the template that the library chose, for messages."""
    settings = folder / "processor_config.json"
    if settings.is_file() and json.loads(settings.read_text(encoding="utf-8")).get("chat_template") is not None:
        return settings.name
    names = ("chat_template.json", "chat_template.jinja")
    return next((name for name in names if (folder / name).is_file()), "additional_chat_templates/default.jinja")


def advice(checkpoint: Checkpoint) -> str:
    """How to get a chat template with pictures into a checkpoint."""
    published = f"The published one with pictures is chat_template.json of {PUBLISHED}"
    if checkpoint.local is None:
        return f"{published}: put it into a local copy and give model.checkpoint=DIR"
    folder = shlex.quote(str(checkpoint.local))
    return f"{published}. To add it: hf download {PUBLISHED} chat_template.json --local-dir {folder}"


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
