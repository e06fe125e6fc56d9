"""Tests of ``foresight cache gc``: it deletes leftovers, and complete entries only if they are named."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from foresight_cli.cache import run as run_stage
from foresight_cli.cli.overrides import for_hydra
from foresight_cli.errors import UsageError
from foresight_cli.latents import Entry
from tests.conftest import user_env

PIXELS = ("model=pixels", "data.per_category=2", "data.size=32")


KEPT: list[Path] = []


@pytest.fixture
def cache(run, tmp_path_factory) -> Path:
    """Return a cache of two complete entries, extracted once for all tests."""
    if KEPT:
        shutil.copytree(KEPT[0], "outputs/cache")
    else:
        assert run("extract", *PIXELS, "pooling=all").exit_code == 0
        KEPT.append(shutil.copytree("outputs/cache", tmp_path_factory.mktemp("kept") / "cache"))
    return Path("outputs/cache")


def files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != ".lock"}


def size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir()) / 1000


def test_a_whole_cache(cache, run):
    before = files(cache)
    message = "nothing to delete. To delete complete entries, name them: keys=[ab12] or older_than=30d\n"
    assert run("cache", "gc").stdout == message
    assert run("cache", "gc", "--yes").stdout == "deleted 0 things, 0 bytes\n"
    assert files(cache) == before


def test_it_lists_first_and_deletes_with_yes(cache, run):
    mean, flat = sorted(cache.glob("*/*/*/*"))
    whole = files(cache)
    torn = shutil.copytree(mean, mean.parent / ("0" * 16))
    aside = flat / f".corrupt-{next(flat.glob('shard-*')).name}"
    aside.write_bytes(b"1" * 1500)
    before = files(cache)
    lines = [
        f"{torn}: {size(torn):.1f} kB, its recipe was edited",
        f"{aside}: 1.5 kB, set aside: its bytes had changed on the disk",
    ]
    total = size(torn) + 1.5
    listed = run("cache", "gc")
    assert (listed.exit_code, listed.stdout.splitlines()) == (
        0,
        [*lines, f"2 things, {total:.1f} kB can be deleted. Add --yes to delete"],
    )
    assert files(cache) == before
    deleted = run("cache", "gc", "--yes")
    assert deleted.stdout.splitlines() == [*(f"deleted {line}" for line in lines), f"deleted 2 things, {total:.1f} kB"]
    assert files(cache) == whole
    assert run("cache", "verify").exit_code == 0


def test_complete_entries_go_by_key(cache, run):
    mean, flat = sorted(cache.glob("*/*/*/*"))
    words = ("cache", "gc", f"keys=[{flat.name[:4].upper()}]")
    line = f"{flat}: {size(flat):.1f} kB, complete, written less than a day ago"
    assert run(*words).stdout == f"{line}\n1 thing, {size(flat):.1f} kB can be deleted. Add --yes to delete\n"
    assert run(*words, "--yes").stdout == f"deleted {line}\ndeleted 1 thing, {line.split()[1]} kB\n"
    assert list(cache.glob("*/*/*/*")) == [mean]
    result = run(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"foresight cache: no entry's key begins with {flat.name[:4]}. To see them: foresight cache ls\n"
    )


def test_complete_entries_go_by_age(cache, run):
    mean, flat = sorted(cache.glob("*/*/*/*"))
    assert run("cache", "gc", "older_than=1h").stdout == "nothing to delete\n"
    os.utime(flat / "manifest.json", (time.time() - 5 * 86400,) * 2)
    torn = mean.parent / ("0" * 16)
    torn.mkdir()  # a leftover that is not named stays
    for age in ("4d", "96h"):
        assert run("cache", "gc", f"older_than={age}").stdout.splitlines() == [
            f"{flat}: {size(flat):.1f} kB, complete, written 5 days ago",
            f"1 thing, {size(flat):.1f} kB can be deleted. Add --yes to delete",
        ]
    assert run("cache", "gc", "older_than=6d").stdout == "nothing to delete\n"
    assert run("cache", "gc", "older_than=4d", "--yes").exit_code == 0
    assert sorted(cache.glob("*/*/*/*")) == [torn, mean]


def test_a_key_that_hydra_would_read_as_a_number(cache, run):
    (entry, _) = sorted(cache.glob("*/*/*/*"))
    odd = entry.rename(entry.parent / "12e4567800000000")
    for keys in ("keys=[12e4]", "keys=['12e4']"):
        assert run("cache", "gc", keys).stdout.startswith(f"{odd}: ")


@pytest.mark.parametrize(
    "keys", ["12e4", "1e10", "1234", "0012", "00e1", "123456789012", "fade", "FADE,12e4", " 12e4 , 1 "]
)
def test_keys_reach_the_stage_as_they_were_typed(keys):
    (word,) = for_hydra("cache", [f"keys=[{keys}]"])
    override = OverridesParser.create().parse_override(word)
    assert [str(key) for key in override.value()] == [key.strip() for key in keys.split(",")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "keys=[ab1]",
            "keys=[ab1]: give the first 4 to 16 hexadecimal digits of a key. To see them: foresight cache ls",
        ),
        (
            "keys=[abcg]",
            "keys=[abcg]: give the first 4 to 16 hexadecimal digits of a key. To see them: foresight cache ls",
        ),
        ("keys=abcd", "keys=abcd: give a list, for example keys=[ab12,cd34]"),
        ("keys=", "keys=None: give a list, for example keys=[ab12,cd34]"),
        ("older_than=30", "older_than=30: give days or hours, for example 30d or 12h"),
        ("older_than=-3d", "older_than=-3d: give days or hours, for example 30d or 12h"),
        ("older_than=1w", "older_than=1w: give days or hours, for example 30d or 12h"),
    ],
)
def test_a_selection_that_cannot_be_read(words, message):
    key, _, value = words.partition("=")
    plain = {"action": "gc", "cache_dir": "outputs/cache", "keys": [], "older_than": None}
    with pytest.raises(UsageError) as caught:
        run_stage(OmegaConf.create({**plain, key: yaml.safe_load(value)}))
    assert str(caught.value) == message


FILLING = """
import sys
from foresight_cli.cache import run as run_stage
from foresight_cli.errors import UsageError
from foresight_cli.latents import Entry
plain = Entry.put
def slow(self, number, shard):
    if number == 1:
        print("filling", flush=True)
        sys.stdin.readline()
    return plain(self, number, shard)
Entry.put = slow
from foresight_cli.cli import app
app(prog_name="foresight")
"""


def test_an_entry_being_filled_is_left_alone_and_a_killed_one_is_deleted(cache, run, tmp_path):
    words = ("extract", "model=pixels", "pooling=flat", "data.per_category=1", "data.size=48", "rows_per_shard=4")
    extract = subprocess.Popen(
        [sys.executable, "-c", FILLING, *words],
        cwd=tmp_path, env=user_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert extract.stdout is not None
    assert "filling\n" in iter(extract.stdout.readline, "")
    (entry,) = (path for path in cache.glob("*/*/*/*") if not Entry.open(path).complete)
    holder = f"process {extract.pid} on {os.uname().nodename}"
    before = files(cache)
    for yes in ((), ("--yes",)):
        assert run("cache", "gc", *yes).stdout.splitlines()[0] == f"{entry}: left alone, {holder} is filling it"
        assert run("cache", "gc", f"keys=[{entry.name}]", *yes).stdout.splitlines()[0] == (
            f"{entry}: left alone, {holder} is filling it"
        )
    assert files(cache) == before
    extract.send_signal(signal.SIGKILL)
    extract.communicate()
    freed = f"{size(entry):.1f} kB"
    assert run("cache", "gc", "--yes").stdout.splitlines() == [
        f"deleted {entry}: {freed}, incomplete: 1 of 2 shards; the same extract would resume from there",
        f"deleted 1 thing, {freed}",
    ]
    assert not entry.exists()
