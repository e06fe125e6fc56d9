"""Files beside the weights of Qwen2.5-VL, in the variants that people have, and the messages about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from foresight_cli.errors import ForesightError
from foresight_cli.models.checkpoint import Checkpoint
from foresight_cli.models.qwen25vl_processor import load_processor

JSON, JINJA, CONFIG = "chat_template.json", "chat_template.jinja", "processor_config.json"
TOKENIZER, PREPROCESSOR = "tokenizer_config.json", "preprocessor_config.json"
DEFAULT = "additional_chat_templates/default.jinja"
TEXT_ALONE = "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{%- endfor %}"
"""A template like that in ``tokenizer_config.json`` of the published checkpoints: it adds ``content`` to a string."""


def write_templates(folder: Path, templates: dict[str, Any]) -> None:
    """Put chat templates into files of these names, in place of the present one."""
    (folder / JINJA).unlink(missing_ok=True)
    for name, template in templates.items():
        if name.endswith(".json"):
            change(folder / name, {"chat_template": template})
        else:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(template)


def change(file: Path, settings: dict[str, Any]) -> None:
    """Set keys of a JSON file, and of the objects in it."""
    content = json.loads(file.read_text()) if file.exists() else {}
    for key, value in settings.items():
        content[key] = {**content.get(key, {}), **value} if isinstance(value, dict) and key != "size" else value
    file.write_text(json.dumps(content))


def refusal(checkpoint: Checkpoint) -> str:
    """Return the message of the check before any weight is read."""
    with pytest.raises(ForesightError) as caught:
        load_processor(checkpoint).prompt_ids("image", "Describe.")
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)
