"""Tab completion, requested in the way that bash does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foresight_cli.cli import app


def completed(*words: str) -> list[str]:
    """Return the completions of the last of ``words``, requested like typer's completion script does."""
    env = {"_FORESIGHT_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    return CliRunner().invoke(app, [], prog_name="foresight", env=env).stdout.split()


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        (("extract", "la"), ["layer=4", "layer=8", "layer=16", "layer=24", "layer=all", "layer=final"]),
        (("extract", "model=p"), ["model=pixels", "model=precomputed"]),
        (("extract", "layer=4,"), ["layer=4,8", "layer=4,16", "layer=4,24", "layer=4,all", "layer=4,final"]),
        (("extract", "layer=4,f"), ["layer=4,final"]),
        (("extract", "nope=x"), []),
        (("analyze", "source"), ["source.model=", "source=", "source.layer=", "source.pooling="]),
        (("analyze", "source=q"), ["source=qwen25vl"]),
        (("analyze", "pooling=f"), ["pooling=flat"]),
        (("adapt", "adapter=m"), ["adapter=mlp"]),
        (("cache", "v"), ["verify"]),
    ],
)
def test_completion(words, offers):
    assert completed("foresight", *words) == offers


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        (("extract", "data", "=", ""), ["hf", "imagefolder", "precomputed", "shapes", "video", "webdataset"]),
        (("extract", "model", "=", "q"), ["qwen25vl"]),
        (("extract", "model", "=", "pixels", "layer", "=", "4,f"), ["4,final"]),
    ],
)
def test_completion_where_bash_splits_words_at_the_equals_sign(words, offers):
    assert completed("foresight", *words) == offers


def test_completion_through_the_shell(tmp_path):
    env = {
        **os.environ,
        "_FORESIGHT_COMPLETE": "complete_bash",
        "COMP_WORDS": "foresight extract la",
        "COMP_CWORD": "2",
    }
    result = subprocess.run(
        [Path(sys.executable).with_name("foresight")],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.split() == [f"layer={option}" for option in ("4", "8", "16", "24", "all", "final")]
