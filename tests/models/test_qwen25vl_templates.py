"""Chat templates of checkpoints on the hub: the one that is used, and the message if none works."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.models import open_model
from foresight_cli.models.checkpoint import TINY
from foresight_cli.models.qwen25vl_processor import load_processor
from tests.builders import qwen_model
from tests.conftest import TEMPLATE
from tests.models.qwen_files import CONFIG, DEFAULT, JINJA, JSON, TEXT_ALONE, TOKENIZER, refusal, write_templates
from tests.models.qwen_reference import StillProcessor

pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in.*additional_chat_templates:pytest.PytestUnraisableExceptionWarning"
)  # the library leaves these files open


def marked(name: str) -> str:
    """Return a template with pictures that differs from the others."""
    return f"{name} {TEMPLATE}"


@pytest.mark.parametrize(
    "files",
    [
        [JINJA],
        [JSON],
        [CONFIG],
        [DEFAULT],
        [TOKENIZER],
        [JSON, TOKENIZER],
        [JINJA, TOKENIZER],
        [CONFIG, TOKENIZER],
        [DEFAULT, TOKENIZER],
        [JSON, JINJA],
        [JINJA, DEFAULT],
        [CONFIG, JSON, JINJA, TOKENIZER],
    ],
    ids="+".join,
)
def test_the_template_is_the_one_that_auto_processor_takes(qwen_files, files):
    made = qwen_files({name: marked(name) for name in files})
    processor = load_processor(made)
    assert processor.template == marked(files[0])
    assert processor.template_file == files[0]
    if files != [TOKENIZER]:  # AutoProcessor has none then
        assert processor.template == StillProcessor.from_pretrained(made.name).chat_template


def test_a_list_of_named_templates_has_its_default_taken(qwen_files):
    named = [{"name": "tool_use", "template": TEXT_ALONE}, {"name": "default", "template": TEMPLATE}]
    assert load_processor(qwen_files({TOKENIZER: named})).template == TEMPLATE


@pytest.mark.parametrize("kind", ["image", "video"])
def test_the_prompt_is_that_of_the_template_with_pictures(qwen_files, kind):
    """In published checkpoints the tokenizer's config has text alone, ``chat_template.json`` has pictures."""
    processor = load_processor(qwen_files({TOKENIZER: TEXT_ALONE, JSON: TEMPLATE}))
    text = f"<|im_start|>user\n<|vision_start|><|{kind}_pad|><|vision_end|>Describe.<|im_end|>\n<|im_start|>assistant\n"
    assert processor.prompt_ids(kind, "Describe.") == processor.tokenizer(text)["input_ids"]


ADVICE = (
    "The published one with pictures is chat_template.json. "
    "To add it: hf download Qwen/Qwen2.5-VL-7B-Instruct chat_template.json --local-dir {}"
)


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        (TEXT_ALONE, 'takes text alone, no image (can only concatenate str (not "list") to str)'),
        ("{{ messages[0].content }}", "has 0 places for the image; wanted 1"),
        (TEMPLATE + TEMPLATE, "has 2 places for the image; wanted 1"),
        ("{% if messages[0].content is string %}text{% else %}{{ raise_exception('no pictures') }}{% endif %}",
         "takes text alone, no image (no pictures)"),
        ("{{ raise_exception('only\nassistants') }}", "fails on a message with one image (only)"),
        ("{{ messages.a.b }}", "fails on a message with one image ('list object' has no attribute 'a')"),
        ("{{ messages.append(1) }}",
         "fails on a message with one image (access to attribute 'append' of 'list' object is unsafe.)"),
        ("{% for %}", "fails on a message with one image (Expected an expression, got 'end of statement block')"),
        (TEMPLATE + "{{ strftime_now('%d %b %Y') }}", "writes the date, so that latents would differ from day to day"),
        ("{{ 1 / 0 }}", "fails on a message with one image (division by zero)"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
         "fails on a message with one image (maximum recursion depth exceeded)"),
    ],
)  # fmt: skip
def test_a_template_that_does_not_work_is_one_line(qwen_files, template, fault):
    made = qwen_files({JSON: template})
    reason = refusal(made).replace(" while calling a Python object", "")  # the line where the depth is reached varies
    assert reason == f"the chat template of {made.name}, in chat_template.json, {fault}. {ADVICE.format(made.name)}"


def test_a_template_without_a_place_for_clips_is_refused_before_they_are_read(qwen_files):
    made = qwen_files({JSON: TEMPLATE.replace("{% else %}", "{% elif c.type == 'image' %}")})
    model = open_model(qwen_model(Path(made.name), init="random"))
    model.check_files()
    with pytest.raises(ForesightError) as caught:
        model.check_files(clips=True)
    assert str(caught.value) == (
        f"the chat template of {made.name}, in chat_template.json, has 0 places for the video; wanted 1. "
        f"{ADVICE.format(made.name)}"
    )


def test_a_checkpoint_without_a_template_is_one_line(qwen_files):
    made = qwen_files({})
    assert refusal(made) == f"{made.name} has no chat template. {ADVICE.format(made.name)}"


def test_named_templates_without_a_default_are_one_line(qwen_files):
    made = qwen_files(
        {"additional_chat_templates/tools.jinja": TEMPLATE, "additional_chat_templates/a.jinja": TEMPLATE}
    )
    assert refusal(made) == (
        f"the chat templates of {made.name} are a, tools; none is named default. {ADVICE.format(made.name)}"
    )


def test_a_placeholder_in_the_prompt_is_one_line(qwen_files):
    with pytest.raises(UsageError) as caught:
        load_processor(qwen_files({JSON: TEMPLATE})).prompt_ids("image", "What is <|image_pad|>?")
    assert str(caught.value) == (
        "model.prompt= has <|image_pad|>, which the chat template puts in for the image. Leave it out"
    )


@pytest.mark.parametrize(
    ("templates", "has_its_own"),
    [
        ({JINJA: TEMPLATE}, False),
        ({JSON: TEMPLATE}, False),
        ({TOKENIZER: TEMPLATE}, False),
        ({JSON: TEMPLATE, TOKENIZER: TEXT_ALONE}, False),
        ({JSON: TEMPLATE, JINJA: TEMPLATE}, False),
        ({JSON: marked("other"), JINJA: TEMPLATE}, True),
        ({JSON: marked("other"), TOKENIZER: TEMPLATE}, True),
        ({CONFIG: marked("other"), TOKENIZER: [{"name": "default", "template": TEMPLATE}]}, True),
        ({DEFAULT: TEMPLATE}, True),
        ({JINJA: TEMPLATE, DEFAULT: marked("other")}, False),
    ],
)
def test_latents_of_another_template_than_before_have_another_key(qwen_files, templates, has_its_own):
    """Earlier versions took the tokenizer's template if both it and the processor's show pictures."""
    made = qwen_files(templates)
    identity = open_model(qwen_model(Path(made.name), init="random")).identity(reach_hub=False)
    assert identity.keys() == {"sha256"} | ({"chat_template"} if has_its_own else set())
    if has_its_own:
        assert identity["chat_template"] == hashlib.sha256(load_processor(made).template.encode()).hexdigest()


@pytest.mark.parametrize("also", [[], ["dry_run=true"]], ids=["extract", "dry_run"])
def test_what_loading_would_refuse_is_refused_before_anything_is_made(qwen_files, run, also):
    made = qwen_files({TOKENIZER: TEXT_ALONE})
    random = ("model.init=random", "model.resolution=56")
    result = run("extract", "model=qwen25vl", f"model.checkpoint={made.name}", *random, *also)
    assert result.exit_code == 1
    assert f"foresight extract: the chat template of {made.name}, in {TOKENIZER}, takes text alone" in result.output
    assert not Path("cache").exists()


def test_published_layouts_have_the_latents_of_the_shipped_checkpoint(run):
    """The command of the README on the files of the hub, with and without a template for text, and in a pipeline."""
    small = ("model.dtype=float32", "model.resolution=56", "data.per_category=1", "data.size=56", "layer=4")

    def latents(*settings: str) -> bytes:
        shutil.rmtree("cache", ignore_errors=True)
        result = run("extract", "model=qwen25vl", "cache_dir=cache", *settings, *small)
        assert result.exit_code == 0, result.output
        (shard,) = Path("cache").rglob("*.safetensors")
        return shard.read_bytes()

    shipped = latents("weights=tiny")
    folder = Path(shutil.copytree(TINY / "qwen25vl", "p/text_encoder"))
    assert latents("model.checkpoint=p", "model.subfolder=text_encoder") == shipped
    template = (folder / JINJA).read_text()
    write_templates(folder, {JSON: template})
    assert latents("model.checkpoint=p/text_encoder") == shipped
    write_templates(folder, {TOKENIZER: TEXT_ALONE})
    assert latents("model.checkpoint=p/text_encoder") == shipped
