"""Paths that users type: a home folder is found, and an impossible path is a one-line error."""

from __future__ import annotations

import pytest


def test_a_home_folder_is_found(run, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home/照片/k").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "home/照片/k/a.png")
    words = ("model=histogram", "data=imagefolder", "data.path=~/照片", "cache_dir=~/cache", "hydra.run.dir=~/run")
    result = run("extract", *words)
    assert result.exit_code == 0, result.output
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["cache", "run", "照片"]


LONG = "x" * 5000
PATH_LINES = [
    *(f"extract data={data} data.path" for data in ("imagefolder", "video", "webdataset", "hf")),
    *(f"extract model={model} model.checkpoint" for model in ("vision", "ltxv", "qwen25vl", "autoencoder")),
    *("extract model=precomputed model.path", "report run", "report outputs_dir", "adapt unfinished_dir"),
]


@pytest.mark.parametrize("line", PATH_LINES)
def test_an_impossible_path_is_one_line(run, line):
    *words, key = line.split()
    for text, status in ((LONG, 2), ("", 2), ("~nosuchuser/x", 1)):
        result = run(*words, f"{key}={text}")
        assert result.stderr.startswith(f"foresight {words[0]}: "), result.output
        assert len(result.stderr.splitlines()) == 1
        assert result.exit_code == status
        if text == LONG:
            assert result.stderr == f"foresight {words[0]}: {key}={'x' * 50}...: File name too long\n"


@pytest.mark.parametrize("words", ["extract model=pixels", "analyze", "cache ls"])
def test_a_cache_that_no_disk_can_hold_is_one_line(run, words):
    result = run(*words.split(), f"cache_dir={LONG}")
    line = f"foresight {words.split()[0]}: cache_dir={'x' * 50}...: File name too long\n"
    assert (result.exit_code, result.stderr) == (2, line)
