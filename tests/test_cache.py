"""Tests of ``foresight cache ls`` and ``foresight cache verify``."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from foresight_cli.latents.storage import lock
from tests.conftest import user_env

PIXELS = ("model=pixels", "data.per_category=2", "data.size=32")
EXTRACT = "foresight extract model=pixels layer=final pooling=channel_mean data=shapes data.per_category=2 data.size=32"


def flip(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)


def the_entry() -> Path:
    (entry,) = Path("outputs/cache").glob("*/*/*/*")
    return entry


def on_a_terminal(folder: Path, columns: int, *words: str) -> list[str]:
    """Return the lines that ``foresight`` prints on a terminal with the given number of columns."""
    our_end, their_end = pty.openpty()
    fcntl.ioctl(their_end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {key: value for key, value in user_env(TERM="xterm").items() if key != "COLUMNS"}
    command = [sys.executable, "-m", "foresight_cli", *words]
    with subprocess.Popen(command, cwd=folder, env=env, stdin=their_end, stdout=their_end, stderr=their_end) as process:
        os.close(their_end)
        shown = b""
        try:
            while data := os.read(our_end, 4096):
                shown += data
        except OSError:  # the other end is closed
            pass
    os.close(our_end)
    assert process.returncode == 0, shown
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()


def test_cache_before_anything_is_extracted(run):
    result = run("cache", "ls")
    assert (result.exit_code, result.stderr) == (
        1,
        "foresight cache: no cache at outputs/cache: run foresight extract first, "
        "or give its folder with cache_dir=DIR\n",
    )


# --- ls


def test_ls_in_a_pipe_prints_full_paths_and_the_total(run):
    run("extract", *PIXELS, "pooling=all")
    head, *lines, total = run("cache", "ls").stdout.splitlines()
    assert head.split() == [
        *("key", "model", "label", "layer", "pooling", "data", "rows", "size", "state", "checkpoint", "path")
    ]
    entries = sorted(Path("outputs/cache").glob("*/*/*/*"))
    sizes = [sum(shard.stat().st_size for shard in entry.glob("shard-*")) for entry in entries]
    shown = [f"{size / 1000:.1f}" for size in sizes]
    assert [line.split() for line in lines] == [
        [entry.name, "pixels", "pixels", "final", entry.parent.name, "shapes", "16", size, "kB", "complete", str(entry)]
        for entry, size in zip(entries, shown, strict=True)
    ]
    assert total == f"2 entries, {sum(sizes) / 1000:.1f} kB"
    assert len(list(Path().rglob(".hydra"))) == 1  # listing the cache leaves no folder of a run


def test_ls_counts_layers_and_tells_models_of_one_name_apart(run):
    words = ("model=qwen25vl", "weights=tiny", "data.per_category=1", "data.size=64")
    assert run("extract", *words, "layer.index=[10,2]").exit_code == 0
    assert run("extract", *words, "layer.index=2", "model.tokens=text").exit_code == 0
    head, *lines, _ = run("cache", "ls").stdout.splitlines()
    label, layer = head.index("label"), head.index("layer")
    assert sorted((line[label:layer].strip(), line[layer:].split()[0]) for line in lines) == [
        ("qwen25vl tokens=image", "10"),
        ("qwen25vl tokens=image", "2"),
        ("qwen25vl tokens=text", "2"),
    ]
    assert [line[layer:].split()[0] for line in lines] == ["2", "2", "10"]


def test_ls_of_an_empty_cache(run):
    Path("outputs/cache").mkdir(parents=True)
    assert run("cache", "ls").stdout.splitlines()[1:] == ["0 entries, 0 bytes"]


@pytest.mark.parametrize("columns", [60, 120])
def test_ls_on_a_terminal_is_one_line_for_each_entry(run, tmp_path, columns):
    run("extract", *PIXELS, "pooling=all")
    lines = on_a_terminal(tmp_path, columns, "cache", "ls")
    assert len(lines) == 4
    assert max(map(len, lines)) <= columns
    keys = [entry.name[:8] for entry in sorted(Path("outputs/cache").glob("*/*/*/*"))]
    assert [line.split()[0] for line in lines] == ["key", *keys, "2"]
    assert lines[-1].startswith("2 entries, ")


def test_ls_marks_entries_that_are_incomplete_unreadable_or_being_filled(run):
    run("extract", *PIXELS, "rows_per_shard=4")
    run("extract", *PIXELS, "pooling=flat")
    half, torn = sorted(Path("outputs/cache").glob("*/*/*/*"))
    next(half.glob("shard-00001*")).unlink()
    (torn / "recipe.json").write_text("{")
    assert "  3 of 4 shards  " in run("cache", "ls").stdout
    with lock.locked([half], lambda *_: pytest.fail("no other process holds it")):
        first, second = run("cache", "ls").stdout.splitlines()[1:-1]
    assert "  3 of 4 shards, being filled  " in first
    assert second.split() == [torn.name, "pixels", "final", "flat", "unreadable", str(torn)]


# --- refusals


@pytest.mark.parametrize("word", ["action=verify", "action=foo", "+action=foo", "++action=x", "~action"])
def test_an_action_as_a_setting_is_refused(run, word):
    Path("outputs/cache").mkdir(parents=True)
    result = run("cache", "ls", word)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"foresight cache: {word}: the action is a separate word: "
        "foresight cache ls, foresight cache verify, foresight cache gc\n"
    )


@pytest.mark.parametrize(("action", "word"), [("ls", "--yes"), ("verify", "keys=[abcd]"), ("ls", "older_than=3d")])
def test_settings_of_only_gc_are_refused(run, action, word):
    Path("outputs/cache").mkdir(parents=True)
    result = run("cache", action, word)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "foresight cache: --yes, keys= and older_than= are for foresight cache gc\n"


# --- verify


def test_verify_of_a_whole_cache(run):
    run("extract", *PIXELS, "pooling=all")
    entries = sorted(Path("outputs/cache").glob("*/*/*/*"))
    assert run("cache", "verify").stdout == "".join(f"{entry}: whole\n" for entry in entries)


def test_verify_names_the_shard_with_a_flipped_bit_until_it_is_redone(run):
    run("extract", *PIXELS, "rows_per_shard=4")
    entry = the_entry()
    flip(next(entry.glob("shard-00002*")))
    for _ in range(2):
        result = run("cache", "verify")
        assert result.exit_code == 1
        assert result.stdout == (
            f"{entry}: shard 2 is missing: its bytes had changed on the disk, and it was set aside. "
            f"Type: {EXTRACT} rows_per_shard=4\n"
        )
        assert result.stderr == "foresight cache: 1 of 1 entries are damaged: see the lines above for what to type\n"
    assert "pixels: shard 2 committed, 16 of 16 " in run(*f"{EXTRACT} rows_per_shard=4".split()[1:]).stdout
    result = run("cache", "verify")
    assert (result.exit_code, result.stdout) == (0, f"{entry}: whole\n")


def test_verify_cannot_name_a_command_for_pictures_of_an_unknown_folder(run, tmp_path):
    from PIL import Image

    (tmp_path / "p").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "p/a.png")
    run("extract", "model=pixels", "data=imagefolder", "data.path=p")
    entry = the_entry()
    flip(next(entry.glob("shard-*")))
    missing = f"{entry}: shard 0 is missing: its bytes had changed on the disk, and it was set aside."
    command = "foresight extract model=pixels layer=final pooling=channel_mean data=imagefolder data.path=p"
    assert run("cache", "verify").stdout == f"{missing} Type: {command}\n"
    (entry / ".corrupt-manifest.json").unlink()
    assert run("cache", "verify").stdout == f"{missing} Run the same extract again\n"


def test_verify_of_an_entry_being_filled(run):
    run("extract", *PIXELS, "rows_per_shard=4")
    entry = the_entry()
    (entry / "manifest.json").unlink()
    next(entry.glob("shard-00002*")).unlink()
    result = run("cache", "verify")
    assert (result.exit_code, result.stdout) == (0, f"{entry}: whole so far, 3 of 4 shards\n")
    with lock.locked([entry], lambda *_: pytest.fail("no other process holds it")):
        holder = f"process {os.getpid()} on {os.uname().nodename}"
        assert run("cache", "verify").stdout == f"{entry}: whole so far, 3 of 4 shards; {holder} is filling it\n"


def test_verify_continues_after_a_recipe_that_cannot_be_read(run):
    run("extract", *PIXELS, "pooling=all")
    mean, flat = sorted(Path("outputs/cache").glob("*/*/*/*"))
    (mean / "recipe.json").write_text("{")
    result = run("cache", "verify")
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{mean}: cannot read {mean}/recipe.json: ")
    assert first.endswith(". To delete it: foresight cache gc --yes")
    assert second == f"{flat}: whole"
    (mean / "recipe.json").write_text('{"format": 2}')
    result = run("cache", "verify")
    reason = "not checked: of format 2; this foresight reads format 1"
    assert (result.exit_code, result.stdout) == (0, f"{mean}: {reason}\n{flat}: whole\n")


def test_verify_names_every_fault_of_an_entry(run):
    run("extract", *PIXELS, "rows_per_shard=4")
    entry = the_entry()
    (entry / "samples.json").unlink()
    result = run("cache", "verify")
    assert result.exit_code == 1
    assert result.stdout == (
        f"{entry}: {entry}/samples.json is missing: run the same extract again. Type: {EXTRACT} rows_per_shard=4\n"
    )
    for shard in (0, 3):
        flip(next(entry.glob(f"shard-0000{shard}*")))
    lost = "is missing: its bytes had changed on the disk, and it was set aside"
    assert run("cache", "verify").stdout == (
        f"{entry}: shard 0 {lost}; shard 3 {lost}. Type: {EXTRACT} rows_per_shard=4\n"
    )


def test_a_folder_that_is_not_a_cache_is_not_called_whole(run, tmp_path):
    (tmp_path / "nowhere").mkdir()
    done = run("cache", "verify", "cache_dir=nowhere")
    assert done.output == "nowhere: no entries to check\n"
