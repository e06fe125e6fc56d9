"""The identity of a checkpoint, and the message for one that is not complete."""

from __future__ import annotations

import shutil

import pytest

from foresight_cli.errors import ForesightError
from foresight_cli.models import LatentModel, open_model
from tests.builders import qwen_model


def opened(checkpoint) -> LatentModel:
    return open_model(qwen_model(checkpoint))


def copied(checkpoint, folder):
    for file in checkpoint.iterdir():
        shutil.copyfile(file, folder / file.name)
    return folder


def test_missing_weight_is_refused_not_filled_at_random(qwen_checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    file = copied(qwen_checkpoint, tmp_path) / "model.safetensors"
    weights = load_file(file)
    del weights["model.layers.20.mlp.up_proj.weight" if "model.layers.20.mlp.up_proj.weight" in weights
                else "model.language_model.layers.20.mlp.up_proj.weight"]  # fmt: skip
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ForesightError) as caught:
        opened(tmp_path).load("cpu")
    assert str(caught.value) == (
        f"the checkpoint {tmp_path} lacks 1 weights of Qwen2.5-VL, for instance "
        "model.language_model.layers.20.mlp.up_proj.weight: it is incomplete, or of another kind of model"
    )


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("model.safetensors", "it has no weights (model.safetensors)"),
    ],
)
def test_missing_file_is_one_line(qwen_checkpoint, tmp_path, file, says):
    (copied(qwen_checkpoint, tmp_path) / file).unlink()
    with pytest.raises(ForesightError) as caught:
        opened(tmp_path).load("cpu")
    assert str(caught.value).startswith(f"cannot read the checkpoint {tmp_path}: {says}")
    assert len(str(caught.value).splitlines()) == 1


def test_identity_is_the_hash_of_the_files_and_not_their_place(qwen_checkpoint, tmp_path):
    moved = opened(copied(qwen_checkpoint, tmp_path))
    assert moved.identity(reach_hub=False) == opened(qwen_checkpoint).identity(reach_hub=False)
    assert moved.recipe("4") == opened(qwen_checkpoint).recipe("4")
    (tmp_path / "chat_template.jinja").write_text("other")
    assert moved.identity(reach_hub=False) != opened(qwen_checkpoint).identity(reach_hub=False)
