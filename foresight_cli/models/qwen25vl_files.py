"""The tokenizer, chat template and image processor of a Qwen2.5-VL checkpoint: find them, or tell how to get them."""

from __future__ import annotations

import hashlib
import json
import shlex
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foresight_cli.errors import ForesightError
from foresight_cli.models.weight_files import is_pointer

if TYPE_CHECKING:
    from foresight_cli.models.checkpoint import Checkpoint

BESIDE = ("processor", "text_processor", "tokenizer", "")
"""Folders of a pipeline that may hold these files, beside that of the network; the last is the pipeline's root."""
PUBLISHED = "Qwen/Qwen2.5-VL-7B-Instruct"
"""A checkpoint on the hub that has all of these files; image processor and template are the same for all sizes."""

_JSON = (
    *("tokenizer_config.json", "tokenizer.json", "vocab.json", "added_tokens.json", "special_tokens_map.json"),
    *("preprocessor_config.json", "processor_config.json", "chat_template.json"),
)
"""Files that are read if they exist; each holds a JSON object."""
_DEFAULT = "additional_chat_templates/default.jinja"


class ProcessorFiles:
    """The files of a checkpoint that are read for the network's inputs; no weight is fetched.

    A network in a subfolder, such as the ``text_encoder`` of a pipeline, has them there or in :data:`BESIDE`.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    @cached_property
    def root(self) -> Path:
        """The checkpoint's folder."""
        return self.checkpoint.small_files()

    @property
    def network(self) -> Path:
        """The folder with the network's ``config.json``."""
        return self.root / (self.checkpoint.subfolder or "")

    @cached_property
    def tokenizer(self) -> Path:
        """The folder that the tokenizer is read from.

        Raises:
            ForesightError: there is none: the library would make an empty one.
        """
        for folder in self._folders("tokenizer"):
            names = {path.name for path in folder.iterdir() if path.is_file()}  # without broken links
            if "tokenizer.json" in names or {"vocab.json", "merges.txt"} <= names:
                return folder
        raise ForesightError(
            f"{self.checkpoint.name} has no tokenizer (tokenizer.json, or vocab.json and merges.txt){self._where()}. "
            f"{copy_advice('its files')}"
        )

    @cached_property
    def images(self) -> Path:
        """The folder that the image processor's settings are read from.

        Raises:
            ForesightError: there is none.
        """
        for folder in self._folders():
            if self._image_settings(folder) is not None:
                return folder
        raise ForesightError(
            f"{self.checkpoint.name} has no image processor (preprocessor_config.json, or image_processor in "
            f"processor_config.json){self._where()}. {self._fetch_advice('preprocessor_config.json')}"
        )

    def image_settings(self) -> dict[str, Any]:
        """Return the settings of the image processor."""
        return self._image_settings(self.images) or {}

    def template(self, tokenizer: Any) -> tuple[str, str]:
        """Return the chat template, and the name of the file that it is in.

        The library's code chooses among the files that belong to a processor: ``processor_config.json``,
        ``chat_template.json``, ``chat_template.jinja``, in this order. ``AutoProcessor`` stops there. If none of them
        has a template, the template of the ``tokenizer`` is used.

        Raises:
            ForesightError: there is none.
        """
        from transformers import ProcessorMixin

        folders = self._folders()
        for folder in sorted(folders, key=lambda place: place != self.images):  # a processor has both
            if templates := ProcessorMixin.get_processor_dict(folder)[0].get("chat_template"):
                file = self._named(folder / (_template_file(folder) or _DEFAULT))
                break
        else:
            templates, file = tokenizer.chat_template, self._named(self.tokenizer / "tokenizer_config.json")
        if not templates:
            raise ForesightError(f"{self.checkpoint.name} has no chat template. {self.template_advice()}")
        if isinstance(templates, str):
            return templates, file
        if "default" not in templates:
            names = ", ".join(sorted(templates))
            fault = f"the chat templates of {self.checkpoint.name} are {names}; none is named default"
            raise ForesightError(f"{fault}. {self.template_advice()}")
        return templates["default"], file

    def check_json(self) -> None:
        """Refuse a file that is no JSON object, and name it: the library's message does not.

        Raises:
            ForesightError: with the file and the reason.
        """
        for file in (folder / name for folder in self._folders() for name in _JSON):
            if not file.is_file():
                continue
            text = file.read_text(encoding="utf-8", errors="replace")
            try:
                if isinstance(json.loads(text), dict):
                    continue
                reason = "it holds something else"
            except ValueError as error:
                reason = "it is a git-lfs pointer: type git lfs pull in its folder" if is_pointer(text) else str(error)
            raise ForesightError(f"{self._named(file)} of {self.checkpoint.name} is not a JSON object ({reason})")

    def template_advice(self) -> str:
        """Return how to get a chat template with pictures."""
        return f"The published one with pictures is chat_template.json. {self._fetch_advice('chat_template.json')}"

    def _fetch_advice(self, file: str) -> str:
        folder = self.checkpoint.local
        if folder is None:
            return f"Make a local copy, add {file} of {PUBLISHED}, and give model.checkpoint=DIR"
        place = folder / ("processor" if self.checkpoint.subfolder else "")
        return f"To add it: hf download {PUBLISHED} {file} --local-dir {shlex.quote(str(place))}"

    def _folders(self, first: str | None = None) -> list[Path]:
        """Return the folders to search, in order: the network's, then ``first``, then the others beside it."""
        if not self.checkpoint.subfolder:
            return [self.root]
        beside = sorted(BESIDE, key=lambda name: name != first)
        return [folder for folder in (self.network, *(self.root / name for name in beside)) if folder.is_dir()]

    def _where(self) -> str:
        if not self.checkpoint.subfolder:
            return ""
        names = [folder.relative_to(self.root).as_posix() for folder in self._folders()]
        return f" in {', '.join(name for name in names if name != '.')} or beside them"

    def _named(self, file: Path) -> str:
        return file.relative_to(self.root).as_posix()

    @staticmethod
    def _image_settings(folder: Path) -> dict[str, Any] | None:
        """Read the image processor's settings in a folder, ``processor_config.json`` first, as the library does."""
        files = (folder / "processor_config.json", folder / "preprocessor_config.json")
        nested, own = (json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None for file in files)
        settings: dict[str, Any] | None = (nested or {}).get("image_processor")
        return own if settings is None else settings


def copy_advice(files: str) -> str:
    """Return what to do about files that differ between checkpoints."""
    return f"Copy {files} from the checkpoint that it was made from"


def prompt_identity(checkpoint: Checkpoint, *, reach_hub: bool) -> dict[str, str]:
    """Return what identifies the prompt if earlier versions made another one from the same files, so the key differs.

    They took the chat template of the tokenizer before that of the processor, left out the tokens that the tokenizer
    adds to every text, and no hash covers ``additional_chat_templates``. The commit of a hub id determines all files,
    but not which of their templates is used. Earlier versions read no network in a subfolder.

    Args:
        checkpoint: whose files they are.
        reach_hub: whether the small files of a hub id may be fetched; if not, nothing is known about them.
    """
    identity: dict[str, str] = {}  # its keys are those of latents.recipe.PROMPT
    if checkpoint.subfolder or (checkpoint.local is None and not reach_hub):
        return identity
    folder = checkpoint.small_files()
    with suppress(OSError, ValueError, AttributeError, KeyError, TypeError):  # a broken file: check_json() names it
        file = _template_file(folder)
        text = None if file is None else _text(folder / file)
        former = _text(folder / "chat_template.jinja") or _text(folder / "tokenizer_config.json")
        if text and text != former and (file == _DEFAULT or "pad" in (former or "")):  # else it showed no pictures
            identity["chat_template"] = hashlib.sha256(text.encode()).hexdigest()
        if _adds_tokens(folder):
            identity["special_tokens"] = "the tokenizer's own"
    return identity


def _adds_tokens(folder: Path) -> bool:
    """Check whether the tokenizer puts tokens before or after every text, for example one for its beginning."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        return bool(settings.get("add_bos_token") or settings.get("add_eos_token"))
    text = file.read_bytes()
    if b'"TemplateProcessing"' not in text:
        return False
    steps = json.loads(text)["post_processor"]
    steps = steps["processors"] if steps["type"] == "Sequence" else [steps]
    return any("SpecialToken" in part for step in steps for part in step.get("single", ()))


def _template_file(folder: Path) -> str | None:
    """Return the processor's file with the template that the library takes; None if no file has one."""
    settings = folder / "processor_config.json"
    if settings.is_file() and json.loads(settings.read_text(encoding="utf-8")).get("chat_template") is not None:
        return settings.name
    names = ("chat_template.json", "chat_template.jinja", _DEFAULT)
    return next((name for name in names if (folder / name).is_file()), None)


def _text(file: Path) -> str | None:
    """Return the template in a file; None if it has none, or none that is the default."""
    if not file.is_file():
        return None
    if file.suffix == ".jinja":
        return file.read_text(encoding="utf-8")
    template = json.loads(file.read_text(encoding="utf-8")).get("chat_template")
    if isinstance(template, list):
        template = {entry["name"]: entry["template"] for entry in template}
    return template.get("default") if isinstance(template, dict) else template
