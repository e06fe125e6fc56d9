"""``model.dtype=auto``, and the check of memory, for amounts of memory that this machine does not have."""

from __future__ import annotations

import json
import logging
import struct
from dataclasses import replace
from math import prod
from pathlib import Path

import hydra
import pytest
import torch
from hydra import initialize_config_dir
from PIL import Image
from safetensors import safe_open

from foresight_cli.catalog.find import find
from foresight_cli.cli.overrides import for_hydra
from foresight_cli.config import ExtractConfig, LocalConfig, RayConfig, SpaceConfig
from foresight_cli.config.reader import extract_config
from foresight_cli.config.tree import conf_dir
from foresight_cli.data.clip import Clip
from foresight_cli.errors import ForesightError
from foresight_cli.extraction import fit, precision
from foresight_cli.extraction.fit import check_fit, check_fit_before_hashing, need_of
from foresight_cli.extraction.precision import with_dtype
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.machine.devices import has_gpu
from foresight_cli.machine.memory import peak_of
from foresight_cli.models import Tap, open_model
from foresight_cli.models.checkpoint import TINY

SMALL = ("data.per_category=1", "data.size=64")
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="of a machine without a GPU")


@pytest.fixture
def config():
    """Make ``config("model=ltxv")`` return the settings of ``foresight extract model=ltxv``."""

    def settings(*words: str) -> ExtractConfig:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return extract_config(hydra.compose("extract", for_hydra("extract", list(words))))

    return settings


def count(*parts: str) -> int:
    """Count the numbers in a file of weights with safetensors."""
    with safe_open(TINY.joinpath(*parts), "pt") as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


def pretend(monkeypatch, *, total: float | None = None, free: float | None = None) -> None:
    """Let the machine appear to have the given bytes of memory."""
    if total is not None:
        monkeypatch.setattr(precision, "total_bytes", lambda: total)
    if free is not None:
        monkeypatch.setattr(fit, "free_bytes", lambda device: free)


@NO_GPU
@pytest.mark.parametrize("words", [("weights=tiny",), ("weights=tiny", "model=ltxv")])
def test_on_a_cpu_auto_is_float32_where_the_weights_fit(config, words):
    assert with_dtype(config(*words)).model.dtype == "float32"


@NO_GPU
@pytest.mark.parametrize(("share", "dtype"), [(0.49, "float32"), (0.51, "bfloat16")])
def test_on_a_cpu_auto_is_bfloat16_where_float32_takes_too_much(config, monkeypatch, caplog, share, dtype):
    weights = count("qwen25vl", "model.safetensors")
    pretend(monkeypatch, total=4 * weights / share)
    with caplog.at_level(logging.INFO):
        assert with_dtype(config("weights=tiny")).model.dtype == dtype
    line = "qwen25vl: computing in bfloat16, since in float32 the weights would take 0.0 GB of 0.0 GB of memory"
    assert caplog.text.count(line) == (dtype == "bfloat16")


@pytest.mark.parametrize(
    ("device", "runner", "dtype"),
    [
        ("cuda:1", LocalConfig("local", 1), "bfloat16"),
        ("cpu", LocalConfig("local", 1), "float32"),
        ("auto", RayConfig("ray", "auto", None, 0.5, 1, 60), "bfloat16"),
        ("auto", RayConfig("ray", "auto", None, 0.0, 1, 60), "float32"),
    ],
)
def test_on_a_gpu_auto_is_bfloat16(config, device, runner, dtype):
    asked = replace(config("weights=tiny"), device=device, runner=runner)
    assert with_dtype(asked).model.dtype == dtype


def test_a_dtype_that_is_named_stays(config, monkeypatch):
    pretend(monkeypatch, total=1)
    assert with_dtype(config("weights=tiny", "model.dtype=float16")).model.dtype == "float16"
    assert with_dtype(config("model=pixels")).model.name == "pixels"


@NO_GPU
def test_without_a_driver_torch_is_not_asked_for_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("asked"))
    monkeypatch.setattr("foresight_cli.machine.devices.GPU_NODES", ("/dev/no-such-node",))
    assert not has_gpu()


def test_analyze_finds_latents_of_any_dtype_by_auto(run, config):
    """``weights=`` does not change the rule for the dtype: both sides follow it."""
    assert run("extract", "weights=tiny", "model.dtype=bfloat16", "layer=4", *SMALL).exit_code == 0
    assert run("extract", "weights=tiny", "model=ltxv", "model.dtype=float16", *SMALL).exit_code == 0
    sides = [
        SpaceConfig(config(*words).model, None, None) for words in (("weights=tiny",), ("weights=tiny", "model=ltxv"))
    ]
    entries = find("outputs/cache", *sides, None)
    assert [entry.recipe.model["dtype"] for entry in (*entries.source, *entries.target)] == ["bfloat16", "float16"]


def test_the_error_for_latents_of_two_dtypes_names_the_setting_to_add(run, config):
    for dtype in ("bfloat16", "float32"):
        run("extract", "weights=tiny", "model=ltxv", f"model.dtype={dtype}", *SMALL)
    space = SpaceConfig(config("weights=tiny", "model=ltxv").model, None, None)
    with pytest.raises(ForesightError, match="with two values of dtype: ") as caught:
        find("outputs/cache", space, space, None)
    assert set(str(caught.value).rpartition("Add ")[2].split(" or ")) == {
        "source.model.dtype=bfloat16",
        "source.model.dtype=float32",
    }


def test_memory_is_that_of_the_weights_and_of_one_sample(config):
    asked = config("weights=tiny", "model.dtype=float32")
    need = need_of(asked, open_model(asked.model))
    assert need is not None
    assert need.weights == 4 * count("qwen25vl", "model.safetensors")
    assert need.bytes == need.weights + need.forward


def test_activations_are_about_what_a_pass_takes(config):
    """Measure the growth of the peak resident memory of a pass from one picture size to a larger one."""

    def both(side: int) -> tuple[int, int]:
        asked = config("weights=tiny", "model=ltxv", f"model.resolution={side}", "model.dtype=float32")
        model = open_model(asked.model)
        model.load("cpu")
        sample = model.prepare(Clip((Image.new("RGB", (64, 64), "red"),)), "x")
        took = peak_of(lambda: model.features([sample], [Tap("final", "channel_mean")]), "cpu")
        return took or 0, need_of(asked, model).forward

    (small, low), (large, high) = both(384), both(896)
    assert 0.25 < (high - low) / (large - small) < 4


def test_activations_of_the_vlm_are_those_of_its_widest_block(config):
    asked = config("weights=tiny", "model.dtype=bfloat16")  # 112 pixels: 16 visual tokens, 64 patches
    tower, decoder = 64 * (8 * 96 + 3 * 192), (16 + 64) * (8 * 64 + 3 * 128)
    sizes = json.loads(TINY.joinpath("qwen25vl/config.json").read_text())
    assert (sizes["text_config"]["hidden_size"], sizes["text_config"]["intermediate_size"]) == (64, 128)
    assert need_of(asked, open_model(asked.model)).forward == 2 * max(tower, decoder)


def test_a_network_that_does_not_fit_is_refused_before_it_is_read(config, monkeypatch):
    asked = config("weights=tiny", "model.dtype=float32", "runner.workers=2")
    weights = count("qwen25vl", "model.safetensors")
    pretend(monkeypatch, free=1_500_000)
    with pytest.raises(ForesightError) as caught:
        check_fit(asked, open_model(asked.model))
    assert str(caught.value).startswith(
        f"tiny:qwen25vl does not fit: it takes {4 * weights / 1e6:.1f} MB for the weights"
    )
    assert str(caught.value).endswith(
        "in each of 2 workers, and cpu has 1.5 MB free. What helps: free memory, fewer workers (runner.workers=1), "
        f"model.dtype=bfloat16 ({2 * weights / 1e6:.1f} MB of weights), or a smaller checkpoint"
    )


def test_dry_run_prints_the_memory_and_refuses_a_network_that_does_not_fit(run, monkeypatch):
    words = ("extract", "weights=tiny", "model.dtype=bfloat16", "dry_run=true", *SMALL)
    assert "MB for the weights in bfloat16 and about" in run(*words).output
    pretend(monkeypatch, free=1000)
    result = run(*words)
    assert result.exit_code == 1
    assert "tiny:qwen25vl does not fit: it takes" in result.output


def test_a_checkpoint_of_72_billion_weights_is_refused_before_it_is_hashed(config, tmp_path):
    """The checkpoint's files are sparse: headers with the published shapes, without bytes on the disk behind them."""
    folder = tmp_path / "72b"
    folder.mkdir()
    for file in TINY.joinpath("qwen25vl").iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    size = 2 * 8192 * 29568 * 300
    header = json.dumps({"w": {"dtype": "BF16", "shape": [300, 8192, 29568], "data_offsets": [0, size]}}).encode()
    with Path(folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)
    asked = with_dtype(config(f"model.checkpoint={folder}", "model.resolution=112", "device=cpu"))
    with pytest.raises(ForesightError, match=r"72b does not fit: it takes 145\.3 GB for the weights in bfloat16"):
        check_fit_before_hashing(asked, open_model(asked.model))


def test_auto_is_in_no_recipe(run, tmp_path):
    assert run("extract", "weights=tiny", "layer=4", *SMALL).exit_code == 0
    (recipe,) = (tmp_path / "outputs/cache/qwen25vl").rglob("recipe.json")
    stored = json.loads(recipe.read_text())
    assert b"auto" not in canonical_json(stored["model"])
