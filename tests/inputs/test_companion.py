"""Tests of the companion set: the entries that can be used, and the commands that make it."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from foresight_cli.catalog.find import Found
from foresight_cli.config import ImageFolderConfig
from foresight_cli.inputs.companion import companion
from foresight_cli.latents import Entry, join, load
from foresight_cli.suggest.missing_evidence import NO_COMPANION, companion_commands
from tests.builders import folder_of_pictures, one_commit
from tests.made_entries import made

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PAIR = (0, 1)


@pytest.fixture
def data(tmp_path) -> str:
    """Return the user's pictures, which have no attributes."""
    config: ImageFolderConfig = folder_of_pictures(tmp_path / "photos", {f"{i}.png": (32, 32) for i in range(3)})
    return f"data.path={config.path}"


@pytest.fixture
def entries(tmp_path, data) -> Found:
    """Return two sources and a target on the user's pictures."""
    own_data = ("data=imagefolder", data)
    return Found(
        [
            made(tmp_path, "model=qwen25vl", "weights=tiny", "layer=4", *own_data),
            made(tmp_path, "model=qwen25vl", "weights=tiny", "layer=8", *own_data),
        ],
        [made(tmp_path, "model=ltxv", "weights=tiny", "pooling=flat", *own_data)],
    )


def drawn(cache, *settings: str, layer: int = 8) -> tuple[Path, Path]:
    """Return the entries of both models on drawn shapes."""
    return (
        made(cache, "model=qwen25vl", "weights=tiny", f"layer={layer}", "data.size=32", *settings).path,
        made(cache, "model=ltxv", "weights=tiny", "pooling=flat", "data.size=32", *settings).path,
    )


def of(entries: Found, pair: tuple[int, int]) -> tuple[Entry, Entry]:
    """Return two entries by their places among all sources and targets."""
    both = [*entries.source, *entries.target]
    return both[pair[0]], both[pair[1]]


def paths(pair: tuple[Entry, Entry] | None) -> tuple[Path, ...] | None:
    return pair and tuple(entry.path for entry in pair)


# --- the entries that can be used


def test_the_pair_that_was_asked_for_is_found_with_its_attributes(tmp_path, entries):
    want = drawn(tmp_path, "data.per_category=2")
    pair = companion(*of(entries, (1, 2)), str(tmp_path))
    assert paths(pair) == want
    source, target = join(*map(load, pair))
    assert source.attributes.keys() == {"x", "y", "size", "hue"}
    assert len(source) == 16
    assert not any(column.isnan().any() for column in target.attributes.values())
    assert load(entries.source[1]).attributes == {}  # the reason why the set is needed
    assert companion(*of(entries, (0, 2)), str(tmp_path)) is None  # layer 4 is not cached
    assert paths(companion(*of(entries, (2, 1)), str(tmp_path))) == want[::-1]


def test_both_sides_have_to_be_of_the_same_drawings(tmp_path, entries):
    made(tmp_path, "model=qwen25vl", "weights=tiny", "layer=8", "data.per_category=2", "data.size=32")
    made(tmp_path, "model=ltxv", "weights=tiny", "pooling=flat", "data.per_category=2", "data.size=32", "data.seed=1")
    assert companion(*of(entries, (1, 2)), str(tmp_path)) is None


@pytest.mark.parametrize(
    "other",
    [("model.prompt=Name.",), ("model.init=random",), ("pooling=flat",), ("model.tokens=all",)],
)
def test_other_settings_do_not_serve(tmp_path, entries, other):
    made(tmp_path, "model=qwen25vl", "weights=tiny", "layer=8", "data.per_category=2", "data.size=32", *other)
    made(tmp_path, "model=ltxv", "weights=tiny", "pooling=flat", "data.per_category=2", "data.size=32")
    assert companion(*of(entries, (1, 2)), str(tmp_path)) is None


def test_the_drawings_of_the_study_do_not_serve(tmp_path, entries):
    for model in ("model=qwen25vl layer=8", "model=ltxv pooling=flat"):
        made(tmp_path, *model.split(), "weights=tiny", "data.variant=q1", "data.per_category=1")
    assert companion(*of(entries, (1, 2)), str(tmp_path)) is None


def test_a_killed_run_does_not_serve(tmp_path, entries):
    made(tmp_path, "model=qwen25vl", "weights=tiny", "layer=8", "data.per_category=2", "data.size=32")
    unsealed = ("model=ltxv", "weights=tiny", "pooling=flat", "data.per_category=2", "data.size=32")
    made(tmp_path, *unsealed, sealed=False)
    assert companion(*of(entries, (1, 2)), str(tmp_path)) is None


def test_the_most_drawings_are_taken_in_shards_of_any_size(tmp_path, entries):
    drawn(tmp_path, "data.per_category=2")
    want = drawn(tmp_path, "data.per_category=3", "rows_per_shard=5")
    made(tmp_path, "model=qwen25vl", "weights=tiny", "layer=8", "data.per_category=4", "data.size=32")  # on one side
    assert paths(companion(*of(entries, (1, 2)), str(tmp_path))) == want


# --- the commands


def test_the_commands_name_the_models_as_they_are_cached(tmp_path, entries):
    assert companion_commands(*of(entries, (1, 2)), str(tmp_path)) == [
        "foresight extract model=qwen25vl weights=tiny layer=8 pooling=channel_mean "
        f"{shlex.quote(f'cache_dir={tmp_path}')} data=shapes",
        "foresight extract model=ltxv weights=tiny layer=final pooling=flat "
        f"{shlex.quote(f'cache_dir={tmp_path}')} data=shapes",
    ]


def test_a_hub_checkpoint_is_named_with_its_revision(tmp_path, monkeypatch, data):
    one_commit(monkeypatch, COMMIT)
    own_data = ("data=imagefolder", data, "rows_per_shard=100")
    prompt = "model.prompt='data=x, is this?'"
    entries = Found(
        [made(tmp_path / "c", "layer=4", prompt, *own_data)],
        [made(tmp_path / "c", "model=ltxv", "data.on_error=skip", *own_data)],
    )
    commands = companion_commands(*of(entries, PAIR), f"{tmp_path}/c") or []
    cache_dir = f"cache_dir={tmp_path}/c"
    assert [shlex.split(command) for command in commands] == [
        [
            *("foresight", "extract", "model=qwen25vl", f"model.revision={COMMIT}", prompt, "layer=4"),
            *("pooling=channel_mean", "rows_per_shard=100", cache_dir, "data=shapes"),
        ],
        [
            *("foresight", "extract", "model=ltxv", f"model.revision={COMMIT}", "layer=final"),
            *("pooling=channel_mean", "rows_per_shard=100", cache_dir, "data=shapes"),
        ],
    ]
    want = [made(tmp_path / "c", *shlex.split(command)[2:]).path for command in commands]
    assert paths(companion(*of(entries, PAIR), f"{tmp_path}/c")) == tuple(want)


def test_the_commands_run_as_printed_and_make_the_companion_set(run, tmp_path, data):
    """Through the command line, on real latents: 512 drawings with known attributes."""
    for model in ("model=pixels model.resolution=4 pooling=flat", "model=histogram model.bins=3"):
        assert run("extract", *model.split(), "data=imagefolder", data).exit_code == 0
    (source,), (target,) = (map(Entry.open, tmp_path.glob(f"outputs/cache/{m}/*/*/*")) for m in ("pixels", "histogram"))
    entries = Found([source], [target])
    assert companion(*of(entries, PAIR), "outputs/cache") is None
    for command in companion_commands(*of(entries, PAIR), "outputs/cache"):
        assert run(*shlex.split(command)[1:]).exit_code == 0
    x, y = join(*map(load, companion(*of(entries, PAIR), "outputs/cache")))
    assert (x.values.shape, y.values.shape) == ((512, 3 * 4 * 4), (512, 27))
    assert all(column.isfinite().all() for column in x.attributes.values())


def test_latents_of_a_file_have_no_companion(tmp_path, data):
    np.savez(tmp_path / "a.npz", ids=[f"{i}.png" for i in range(3)], values=np.ones((3, 2)))
    own_data = ("data=imagefolder", data)
    entries = Found(
        [made(tmp_path, "model=precomputed", f"model.path={tmp_path}/a.npz", *own_data)],
        [made(tmp_path, "model=pixels", *own_data)],
    )
    assert companion_commands(*of(entries, PAIR), str(tmp_path)) is None
    assert companion_commands(*of(entries, PAIR[::-1]), str(tmp_path)) is None
    assert companion(*of(entries, PAIR), str(tmp_path)) is None
    assert NO_COMPANION == (
        "latents read from a file cannot be computed for drawn shapes: add columns such as x and y to attributes.csv "
        "or to the file of latents"
    )
