"""A LoRA beside a model, alone, or not merged into its weights: refused, whether or not peft is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from foresight_cli.errors import ForesightError
from foresight_cli.models import LatentModel, open_model
from tests.builders import qwen_model
from tests.models.published import rewrite, tiny

MERGE = (
    "merge it into its model first (peft: PeftModel.from_pretrained(model, LORA_DIR).merge_and_unload()"
    ".save_pretrained(NEW_DIR))"
)
ADAPTER = {
    "peft_type": "LORA",
    "base_model_name_or_path": "q",
    "r": 4,
    "lora_alpha": 8,
    "target_modules": ["q_proj"],
    "task_type": "CAUSAL_LM",
}


@pytest.fixture
def folder(tmp_path) -> Path:
    return tiny(tmp_path / "q")


def write_lora(folder: Path) -> None:
    torch.manual_seed(0)
    lora = {}
    for block in range(28):
        name = f"base_model.model.model.language_model.layers.{block}.self_attn.q_proj.lora_"
        lora[name + "A.weight"], lora[name + "B.weight"] = torch.randn(4, 64), torch.randn(64, 4)
    save_file(lora, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps(ADAPTER))


def refusals(model: LatentModel) -> set[str]:
    messages = set()
    for step in (lambda: model.identity(reach_hub=True), model.check_weights, lambda: model.load("cpu")):
        with pytest.raises(ForesightError) as caught:
            step()
        messages.add(str(caught.value))
    return messages


def test_a_lora_beside_a_whole_model(folder):
    """Without peft it was left out; with peft transformers applied it: latents 46 % apart, under one key."""
    write_lora(folder)
    assert refusals(open_model(qwen_model(folder))) == {
        f"{folder} has a LoRA beside the model (adapter_config.json), which would be left out: {MERGE}, or move its "
        "files to another folder to measure the model without it"
    }


@pytest.mark.parametrize(
    "name",
    ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin", "pytorch_lora_weights.safetensors"],
)
def test_any_file_of_it_is_enough(folder, name):
    (folder / name).write_bytes(b"{}")
    (message,) = refusals(open_model(qwen_model(folder)))
    assert message.startswith(f"{folder} has a LoRA beside the model ({name}), which would be left out: merge it into")


def test_a_lora_in_the_subfolder_of_the_network(tmp_path):
    (tmp_path / "p").mkdir()
    write_lora(tiny(tmp_path / "p/text_encoder"))
    (message,) = refusals(open_model(qwen_model(tmp_path / "p", subfolder="text_encoder")))
    assert message.startswith(
        f"{tmp_path / 'p'} has a LoRA beside the model (adapter_config.json), which would be left"
    )


def test_a_lora_alone(tmp_path):
    write_lora(tmp_path)
    assert refusals(open_model(qwen_model(tmp_path))) == {
        f"{tmp_path} holds a LoRA alone (adapter_config.json), without its model: {MERGE}"
    }


def test_a_lora_that_was_saved_unmerged(folder):
    """The names are those of ``get_peft_model(...).base_model.model.state_dict()``."""
    query = "model.layers.3.self_attn.q_proj"

    def unmerged(weights):
        weights[f"{query}.base_layer.weight"] = weights.pop(f"{query}.weight")
        weights[f"{query}.base_layer.bias"] = weights.pop(f"{query}.bias")
        return weights | {
            f"{query}.lora_A.default.weight": torch.ones(4, 64),
            f"{query}.lora_B.default.weight": torch.ones(64, 4),
        }

    rewrite(folder / "model.safetensors", unmerged)
    model = open_model(qwen_model(folder))
    for step in (model.check_weights, lambda: model.load("cpu")):
        with pytest.raises(ForesightError) as caught:
            step()
        assert str(caught.value) == (
            f"the checkpoint {folder} holds a LoRA that is not merged (4 weights that Qwen2.5-VL has no place for, for "
            f"instance {query}.base_layer.bias in model.safetensors): {MERGE}"
        )


def test_random_weights_take_no_notice(folder):
    plain = open_model(qwen_model(folder, init="random")).identity(reach_hub=True)
    write_lora(folder)
    open_model(qwen_model(folder, init="random")).check_weights()
    (folder / "adapter_config.json").unlink()
    assert open_model(qwen_model(folder, init="random")).identity(reach_hub=True) == plain
