"""Atomic writes on disks that are full or locked."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import subprocess
import sys

import pytest
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, Recipe, Shard

RECIPE = Recipe(model={"name": "m"}, layer="final", pooling="flat", data={"name": "d"}, rows=10, rows_per_shard=4)


def make(number: int) -> Shard:
    return Shard([f"s{number}"], torch.full((1, 3), float(number)), torch.zeros(1, 32, dtype=torch.uint8))


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_files_honour_the_umask(tmp_path, umask):
    kept = os.umask(umask)
    try:
        entry = Entry.create(tmp_path / f"{umask:o}", RECIPE)
        for number in range(3):
            entry.put(number, make(number))
        entry.seal({})
    finally:
        os.umask(kept)
    modes = {path.stat().st_mode & 0o777 for path in entry.path.iterdir()}
    assert modes == {0o666 & ~umask}


FILL = f"""
import resource, signal, sys, torch
from pathlib import Path
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, Recipe, Shard
recipe = Recipe(**{dataclasses.asdict(RECIPE)!r})
entry = Entry.create(Path(sys.argv[1]), recipe)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    entry.put(0, Shard(["a"], torch.zeros(1, 5000), torch.zeros(1, 32, dtype=torch.uint8)))
except ForesightError as error:
    print(error)
print(sorted(p.name for p in entry.path.iterdir()))
"""


def test_a_file_too_large_for_the_disk_is_one_line_and_leaves_nothing(tmp_path):
    result = subprocess.run([sys.executable, "-c", FILL, tmp_path], capture_output=True, text=True, check=True)
    message, left = result.stdout.splitlines()
    assert message.startswith(f"cannot write {tmp_path}/m/layer-final/flat/{RECIPE.key[:16]}/shard-00000-of-00003.")
    assert message.endswith(
        ".safetensors: File too large. Make room or pick another place with cache_dir=DIR; "
        "what is already written is kept, and the same command resumes from there"
    )
    assert left == "['recipe.json']"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_a_full_or_locked_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, number):
    entry = Entry.create(tmp_path, RECIPE)
    entry.put(0, make(0))
    before = sorted(path.name for path in entry.path.iterdir())

    def refuse(fd):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ForesightError) as caught:
        entry.put(1, make(1))
    digest = hashlib.sha256(make(1).to_bytes()).hexdigest()[:16]
    assert str(caught.value) == (
        f"cannot write {entry.path}/shard-00001-of-00003.{digest}.safetensors: {os.strerror(number)}. "
        "Make room or pick another place with cache_dir=DIR; what is already written is kept, "
        "and the same command resumes from there"
    )
    assert sorted(path.name for path in entry.path.iterdir()) == before


def test_a_root_that_is_a_file(tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(ForesightError) as caught:
        Entry.create(tmp_path / "cache", RECIPE)
    folder = tmp_path / "cache" / RECIPE.folder
    assert str(caught.value).startswith(f"cannot write {folder}: Not a directory. Make room")
