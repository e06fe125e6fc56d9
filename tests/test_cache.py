"""``foresight cache ls`` and ``foresight cache verify``."""

from __future__ import annotations

from pathlib import Path

PIXELS = ("model=pixels", "data.per_category=2", "data.size=32")


def test_cache_before_anything_is_extracted(run):
    result = run("cache", "ls")
    assert (result.exit_code, result.stderr) == (
        1,
        "foresight cache: no cache at outputs/cache: run foresight extract first, "
        "or say where it is with cache_dir=DIR\n",
    )


def test_cache_ls_and_verify(run):
    run("extract", *PIXELS, "pooling=all")
    listed = run("cache", "ls")
    entries = sorted(Path("outputs/cache").glob("*/*/*/*"))
    assert [line.split() for line in listed.stdout.splitlines()[1:]] == [
        ["pixels", "final", entry.parent.name, "shapes", "16", "0.0", "MB", "complete", entry.name] for entry in entries
    ]
    assert run("cache", "verify").stdout == "".join(f"{entry}: whole\n" for entry in entries)
    assert len(list(Path().rglob(".hydra"))) == 1  # looking at the cache leaves no folder behind


def test_cache_verify_names_the_shard_with_a_flipped_bit(run):
    run("extract", *PIXELS, "rows_per_shard=4")
    (entry,) = Path("outputs/cache").glob("*/*/*/*")
    shard = sorted(entry.glob("shard-00002*"))[0]
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    result = run("cache", "verify")
    assert result.exit_code == 1
    assert result.stdout == (
        f"{entry}: {shard} does not match its hash: its bytes changed on the disk. It was moved aside; "
        "run the same extract again to redo shard 2 alone\n"
    )
    assert result.stderr == (
        "foresight cache: 1 of 1 entries are damaged: run their extract again to redo those shards\n"
    )
    assert "3 of 4 shards" in run("cache", "ls").stdout
    assert "pixels: shard 2 committed, 4 of 4 images" in run("extract", *PIXELS, "rows_per_shard=4").stdout
    assert run("cache", "verify").stdout == f"{entry}: whole\n"


def test_cache_verify_goes_on_after_a_recipe_that_cannot_be_read(run):
    run("extract", *PIXELS, "pooling=all")
    mean, flat = sorted(Path("outputs/cache").glob("*/*/*/*"))
    (mean / "recipe.json").write_text("{")
    result = run("cache", "verify")
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{mean}: cannot read {mean}/recipe.json: ")
    assert second == f"{flat}: whole"
    listed = run("cache", "ls")
    assert listed.exit_code == 0
    assert "unreadable" in listed.stdout
