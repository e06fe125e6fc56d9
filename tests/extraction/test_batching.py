"""Batches of similar samples, and a batch size that fits into memory."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from foresight_cli.errors import ForesightError
from foresight_cli.extraction import batching
from foresight_cli.extraction.batching import PADDING, BatchSize, batches
from foresight_cli.models import Prepared


def sample(name: str, *shape: int, length: int = 1) -> Prepared:
    return Prepared(name, {}, shape, length)


def names(prepared: list[Prepared], size: int, *, pads: bool) -> list[str]:
    return ["".join(prepared[row].sample_id for row in rows) for rows in batches(prepared, size, pads=pads)]


def test_samples_of_one_shape_share_a_batch_in_order():
    prepared = [sample(name, 1 if name in "aceg" else 2) for name in "abcdefg"]
    assert names(prepared, 3, pads=False) == ["ace", "g", "bdf"]


def test_leftovers_are_padded_with_samples_of_similar_length():
    lengths = {"a": 10, "b": 10, "c": 11, "d": 20, "e": 11, "f": 21, "g": 40}
    prepared = [sample(name, length, length=length) for name, length in lengths.items()]
    assert names(prepared, 2, pads=True) == ["ab", "ce", "df", "g"]  # 20 and 21 are close enough, 21 and 40 are not
    assert names(prepared, 2, pads=False) == ["ab", "ce", "d", "f", "g"]


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=60), size=st.integers(1, 16), pads=st.booleans())
def test_each_sample_once_and_little_padding(lengths, size, pads):
    prepared = [sample(str(i), length, length=length) for i, length in enumerate(lengths)]
    made = list(batches(prepared, size, pads=pads))
    assert sorted(row for rows in made for row in rows) == list(range(len(lengths)))
    for rows in made:
        assert 1 <= len(rows) <= size
        within = [lengths[row] for row in rows]
        assert max(within) <= PADDING * min(within) if pads else len(set(within)) == 1


# --- memory


def forward_of(most: int):
    """Return a network that runs out of memory with more than ``most`` samples."""
    seen: list[int] = []

    def forward(batch):
        seen.append(len(batch))
        if len(batch) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return [p.sample_id for p in batch]

    return forward, seen


def test_out_of_memory_halves_the_batch_and_loses_nothing(caplog):
    forward, seen = forward_of(most=3)
    size = BatchSize(16, "cpu")
    batch = [sample(str(i)) for i in range(11)]
    with caplog.at_level("WARNING"):
        done = list(size.run(forward, batch))
    assert [(start, len(part)) for start, part in done] == [(0, 2), (2, 2), (4, 2), (6, 2), (8, 2), (10, 1)]
    assert [name for _, part in done for name in part] == [str(i) for i in range(11)]
    assert seen == [11, 5, 2, 2, 2, 2, 2, 1]
    assert size.size == 2  # for the rest of the run too
    assert caplog.messages == [
        "out of memory with 11 samples per pass: continuing with 5",
        "out of memory with 5 samples per pass: continuing with 2",
    ]


@pytest.mark.parametrize("asked", [4, None])
def test_one_sample_that_does_not_fit_is_named(asked):
    forward, _ = forward_of(most=0)
    size, big = BatchSize(asked, "cpu"), sample("big.png")
    with pytest.raises(ForesightError) as caught:
        list(size.run(forward, [big])) if asked else size.measure(forward, big)
    assert str(caught.value) == (
        "not enough memory on cpu for 'big.png' alone. Try model.dtype=bfloat16, a smaller model.resolution, or "
        "another device"
    )


def test_other_errors_are_not_taken_for_a_want_of_memory():
    def forward(batch):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match=r"^shape mismatch$"):
        list(BatchSize(4, "cpu").run(forward, [sample("a")]))


def test_real_memory_exhaustion_is_recognized():
    """Torch's allocator hits a real limit, in a separate process."""
    code = (
        "import resource, torch\n"
        "from foresight_cli.extraction.batching import BatchSize\n"
        "from foresight_cli.models import Prepared\n"
        "taken = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (taken + (600 << 20),) * 2)\n"
        "forward = lambda batch: torch.zeros(len(batch), 100 << 20, dtype=torch.uint8).shape[0]\n"
        "size = BatchSize(16, 'cpu')\n"
        "print([n for _, n in size.run(forward, [Prepared(str(i), {}, ()) for i in range(8)])], size.size)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[4, 4] 4\n"


@pytest.mark.parametrize(
    ("free", "took", "sharing", "size"),
    [
        (16 << 30, 1 << 20, 1, 16),  # more than enough
        (10 << 30, 1 << 30, 1, 4),  # six would fit: a power of two
        (11 << 30, 1 << 30, 3, 2),
        (1 << 30, 4 << 30, 1, 1),  # not even one fits: it is tried
        (1 << 30, None, 1, 16),  # unknown
    ],
)
def test_size_from_the_free_memory(monkeypatch, free, took, sharing, size):
    monkeypatch.setattr(batching, "free_bytes", lambda device: free)
    monkeypatch.setattr(batching, "peak_of", lambda work, device: (work(), took)[1])
    ran = []
    batch_size = BatchSize(None, "cpu", sharing=sharing)
    for _ in range(3):  # measured once
        batch_size.measure(lambda batch: ran.append(len(batch)), sample("largest"))
    assert (batch_size.size, ran) == (size, [1])


def test_a_size_from_the_user_is_not_measured(monkeypatch):
    monkeypatch.setattr(batching, "free_bytes", lambda device: pytest.fail("measured"))
    size = BatchSize(100, "cpu")
    size.measure(lambda batch: pytest.fail("run"), sample("a"))
    assert size.size == 100
