"""What the tests share: the command line as a user types it, and small checkpoints with random weights."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from foresight_cli.cli import app

TINY_SHAPES = ("data.per_category=2", "data.size=32")  # 16 pictures of 32 x 32

Run = Callable[..., Result]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """``run("extract", "model=pixels")``: as typed in an empty folder, inside this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    root, handlers, level = logging.getLogger(), list(logging.getLogger().handlers), logging.getLogger().level
    yield lambda *args: CliRunner().invoke(app, list(args))
    for handler in set(root.handlers) - set(handlers):  # Hydra's, for the job that just ended
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def user_env(**changes: str) -> dict[str, str]:
    """This process's environment as a user has it: no pytest, nothing that changes what is printed."""
    odd = ("PYTEST", "HYDRA", "COV_", "FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "COLUMNS", "_FORESIGHT")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(odd)}
    return {**kept, "COLUMNS": "200", **changes}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """``shell("extract", "model=pixels", HYDRA_FULL_ERROR="1")``: the same, as a process of its own."""

    def typed(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "foresight_cli", *args]
        return subprocess.run(
            command, cwd=tmp_path, env=user_env(**env), capture_output=True, text=True, timeout=120, check=False
        )

    return typed


@pytest.fixture(scope="session")
def qwen_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2.5-VL of 28 blocks, 32 wide, with random weights, its tokenizer, template and image processor."""
    from tests_checkpoints import write_qwen

    return write_qwen(tmp_path_factory.mktemp("qwen25vl"))


@pytest.fixture(scope="session")
def ltxv_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An LTX-Video autoencoder with random weights, in the subfolder ``vae``."""
    from tests_checkpoints import write_ltxv

    return write_ltxv(tmp_path_factory.mktemp("ltxv"))
