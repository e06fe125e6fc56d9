"""Fixtures of all tests: the command line as a user types it, and small checkpoints with random weights."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from foresight_cli.cli import app

os.environ.setdefault("OMP_NUM_THREADS", "1")  # with small networks, several threads only wait for each other

Run = Callable[..., Result]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session", autouse=True)
def _user_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remember the hashes of files in a folder of the tests, not of the user."""
    fonts = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matplotlib"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MPLCONFIGDIR", os.environ.get("MPLCONFIGDIR") or str(fonts))  # finding all fonts takes seconds
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@contextmanager
def commands_in(folder: Path) -> Iterator[Run]:
    """Make ``run("extract", "model=pixels")`` run the command in ``folder``, inside this process."""
    root, handlers, level = logging.getLogger(), list(logging.getLogger().handlers), logging.getLogger().level
    with chdir(folder), pytest.MonkeyPatch.context() as patched:
        patched.delenv("HYDRA_FULL_ERROR", raising=False)
        yield lambda *args: CliRunner().invoke(app, list(args))
    for handler in set(root.handlers) - set(handlers):  # those that Hydra added for the job
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run commands in an empty folder, inside this process."""
    with commands_in(tmp_path) as run_command:
        yield run_command


@pytest.fixture(scope="session")
def two_spaces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of two small spaces of 240 drawings, which only copies are made of."""
    folder = tmp_path_factory.mktemp("two_spaces")
    with commands_in(folder) as run_command:
        for words in (("model=pixels", "pooling=all"), ("model=histogram",)):
            result = run_command("extract", *words, "data.per_category=30", "data.size=64")
            assert result.exit_code == 0, result.output
    return folder / "outputs/cache"


@pytest.fixture
def cached(run: Run, two_spaces: Path, tmp_path: Path) -> Run:
    """Run commands, inside this process, in a folder whose cache holds ``two_spaces``."""
    shutil.copytree(two_spaces, tmp_path / "outputs/cache")
    return run


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a report of this process draw no figures: drawing them all takes 7 s, and is tested elsewhere."""
    monkeypatch.setattr("foresight_cli.report.draw_figures", lambda *_: iter(()))


def user_env(**changes: str) -> dict[str, str]:
    """Return the environment without variables of pytest, make and others that change the output."""
    odd = ("PYTEST", "HYDRA", "COV_", "FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "COLUMNS", "_FORESIGHT", "MAKE")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(odd)}
    return {**kept, "COLUMNS": "200", **changes}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Make ``shell("extract", "model=pixels", HYDRA_FULL_ERROR="1")`` run the command in a separate process."""

    def typed(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "foresight_cli", *args]
        return subprocess.run(
            command, cwd=tmp_path, env=user_env(**env), capture_output=True, text=True, timeout=120, check=False
        )

    return typed


SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
WORDS = ("[UNK]", "user", "assistant", "Describe", "What", "is", "this", ".")
TEMPLATE = """{% for m in messages %}<|im_start|>{{ m.role }}
{% for c in m.content %}{% if c.type == 'text' %}{{ c.text }}{% else %}\
<|vision_start|><|{{ c.type }}_pad|><|vision_end|>{% endif %}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


@pytest.fixture(scope="session")
def qwen_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2.5-VL of 28 blocks, 32 wide, with random weights, and its tokenizer, template and image processor."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    folder = tmp_path_factory.mktemp("qwen25vl")
    vocabulary = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", pad_token=SPECIAL[0], additional_special_tokens=list(SPECIAL[1:])
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(vocabulary),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 28,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
        },
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": 32,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        image_token_id=vocabulary["<|image_pad|>"],
        video_token_id=vocabulary["<|video_pad|>"],
        vision_start_token_id=vocabulary["<|vision_start|>"],
        vision_end_token_id=vocabulary["<|vision_end|>"],
    )
    torch.manual_seed(0)
    network = Qwen2_5_VLForConditionalGeneration(config)
    for weight in network.parameters():  # wider than the default init, so that every block changes the stream
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
        else:
            torch.nn.init.normal_(weight, mean=1, std=0.2)
    network.save_pretrained(folder)
    Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 224 * 224}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def ltxv_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An LTX-Video autoencoder with random weights, in the subfolder ``vae``."""
    import torch
    from diffusers import AutoencoderKLLTXVideo

    folder = tmp_path_factory.mktemp("ltxv")
    torch.manual_seed(0)
    vae = AutoencoderKLLTXVideo(
        block_out_channels=(8, 16, 16, 16),
        decoder_block_out_channels=(8, 16, 16, 16),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
    )
    vae.latents_mean.normal_()
    vae.latents_std.uniform_(0.5, 2)
    vae.save_pretrained(folder / "vae")
    return folder
