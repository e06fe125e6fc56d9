"""A shard's bytes: the same every time and everywhere, and read back exactly."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foresight_cli.errors import ForesightError
from foresight_cli.latents import Shard

BUILD = """
import hashlib, torch
from foresight_cli.latents import Shard
latents = torch.arange(12, dtype=torch.float32).view(3, 4) / 7
pixels = torch.arange(96, dtype=torch.uint8).view(3, 32)
shard = Shard(["a", "b/ü.png", "c"], latents, pixels, [("d", "truncated")])
"""


def built() -> Shard:
    scope: dict = {}
    exec(BUILD, scope)
    return scope["shard"]


def test_golden_bytes():
    """Changed bytes here are a changed cache format: new latents would not match an old cache."""
    data = built().to_bytes()
    assert len(data) == 452
    assert hashlib.sha256(data).hexdigest() == "fc07f50dadd99ee8a3174340ea0e26373cd86be138004750a2c1e6648bdd9a30"


def test_bytes_are_the_same_in_another_process():
    code = BUILD + "print(hashlib.sha256(shard.to_bytes()).hexdigest())"
    want = hashlib.sha256(built().to_bytes()).hexdigest()
    env = {"PYTHONHASHSEED": "1"}
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == want


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@settings(deadline=None, max_examples=20)
@given(ids=st.lists(st.text(), max_size=5), skipped=st.lists(st.tuples(st.text(), st.text()), max_size=2))
def test_round_trip_keeps_every_bit(dtype, ids, skipped):
    generator = torch.Generator().manual_seed(len(ids))
    latents = torch.randn(len(ids), 3, generator=generator).to(dtype)
    pixels = torch.randint(0, 256, (len(ids), 32), dtype=torch.uint8, generator=generator)
    back = Shard.from_bytes(Shard(ids, latents, pixels, skipped).to_bytes())
    assert list(back.ids) == ids
    assert list(back.skipped) == skipped
    assert back.latents.dtype == dtype
    assert torch.equal(back.latents, latents)
    assert torch.equal(back.pixels, pixels)


def test_a_view_is_written_as_its_values():
    grid = torch.arange(24, dtype=torch.float32).view(4, 6)
    pixels = torch.zeros(6, 32, dtype=torch.uint8)
    ids = list("abcdef")
    assert Shard(ids, grid.T, pixels).to_bytes() == Shard(ids, grid.T.clone(), pixels).to_bytes()


@pytest.mark.parametrize(
    ("ids", "latents", "pixels"),
    [("ab", (1, 3), (2, 32)), ("ab", (2, 3), (1, 32)), ("ab", (2, 3), (2, 31)), ("ab", (2,), (2, 32))],
)
def test_refuses_rows_that_do_not_match(ids, latents, pixels):
    with pytest.raises(ForesightError) as caught:
        Shard(list(ids), torch.zeros(latents), torch.zeros(pixels, dtype=torch.uint8))
    assert str(caught.value) == (
        f"a shard of 2 ids with latents {list(latents)} and hashes {list(pixels)}; wanted [2, d] and [2, 32]"
    )


@pytest.mark.parametrize("data", [b"", b"x" * 100, built().to_bytes()[:-1], built().to_bytes()[:50]])
def test_refuses_bytes_that_are_not_a_shard(data):
    with pytest.raises(ForesightError, match=r"^not a shard of latents: "):
        Shard.from_bytes(data)


def test_refuses_other_tensors():
    from safetensors.torch import save

    with pytest.raises(ForesightError) as caught:
        Shard.from_bytes(save({"x": torch.zeros(1)}))
    assert str(caught.value) == "not a shard of latents: 'samples'"
