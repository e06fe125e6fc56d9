"""Labels of models, from their users or from their files; no key depends on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foresight_cli.latents.labels import label_of, labels_of_both, told_apart

QWEN = {"name": "qwen25vl", "checkpoint": "Qwen/Qwen2.5-VL-7B-Instruct"}


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        (QWEN, "qwen25vl"),
        ({**QWEN, "checkpoint": "tiny:qwen25vl"}, "qwen25vl"),
        ({**QWEN, "checkpoint": "Qwen/Qwen2.5-VL-3B-Instruct"}, "Qwen2.5-VL-3B-Instruct"),
        ({**QWEN, "checkpoint": "/models/my qwen/"}, "my qwen"),
        (
            {**QWEN, "checkpoint": "/c/hub/models--Qwen--Qwen2.5-VL-3B-Instruct/snapshots/0a1b"},
            "Qwen2.5-VL-3B-Instruct",
        ),
        ({"name": "vision", "checkpoint": "vit", "init": "random"}, "vit init=random"),
        ({"name": "vision", "checkpoint": "vit", "label": "mine"}, "mine"),
        ({"name": "precomputed", "path": "f/effnet.lite.npz"}, "effnet.lite"),
        ({"name": "precomputed", "path": "f/embeddings"}, "embeddings"),
        ({"name": "precomputed", "path": "f/clip/img_emb_*.npy"}, "clip"),
        ({"name": "precomputed", "path": "*.npy"}, "precomputed"),
        ({"name": "pixels", "resolution": 8}, "pixels"),
    ],
)
def test_a_model_is_called_by_its_file_or_folder(settings, label):
    assert label_of(settings) == label


def test_equal_labels_are_extended():
    vit = {"name": "vision", "checkpoint": "a/vit", "tokens": "cls", "dtype": "float32"}
    assert labels_of_both(vit, {**vit, "tokens": "patch"}) == ("vit tokens=cls", "vit tokens=patch")
    assert labels_of_both(vit, {**vit, "checkpoint": "b/vit"}) == ("a/vit", "b/vit")
    assert labels_of_both({**vit, "label": "x"}, {**vit, "label": "x", "dtype": "float16"}) == (
        *("x dtype=float32", "x dtype=float16"),
    )
    assert labels_of_both(vit, vit) == ("vit", "vit")
    many = [{**vit, "tokens": tokens, "dtype": dtype} for tokens in ("cls", "all") for dtype in ("float32", "float16")]
    assert told_apart(many)[0] == "vit tokens=cls dtype=float32"
    assert len(set(told_apart(many))) == 4


def test_a_label_is_kept_in_the_cache_and_changes_no_key(run):
    np.savez("a.npz", ids=[f"s{i}" for i in range(4)], values=np.random.default_rng(0).normal(size=(4, 3)))
    words = ("extract", "model=precomputed", "model.path=a.npz")
    shown = []
    for label in ("model.label=null", "model.label=eff net", "model.label=null", "model.label=2024"):
        assert run(*words, label).exit_code == 0
        head, line, _ = run("cache", "ls").stdout.splitlines()
        shown.append(line[head.index("label") : head.index("layer")].strip())
    assert shown == ["a", "eff net", "eff net", "2024"]
    assert len(list(Path("outputs/cache").glob("*/*/*/*"))) == 1
    assert run("cache", "verify").stdout.endswith(": whole\n")


@pytest.mark.parametrize("label", ["", " a", "a\nb", "x" * 61])
def test_a_label_is_one_short_line(run, label):
    done = run("extract", "model=pixels", f"model.label={label}")
    assert done.exit_code == 2
    assert done.output.splitlines()[-1].endswith(": it must be a name of 1 to 60 characters on one line")
