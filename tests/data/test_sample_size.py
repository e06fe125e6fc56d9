"""Every stage reports too few groups before any work."""

from __future__ import annotations

import pytest
from PIL import Image

from foresight_cli.config.verdict import LEAST_GROUPS
from foresight_cli.data.sample_size import shortage
from foresight_cli.errors import ForesightError
from foresight_cli.inputs.adapter_split import refuse_small_split, split_rows

NEEDED = "at least 20 are needed to analyze or adapt, and 100 for a verdict."


@pytest.mark.parametrize(
    ("groups", "samples", "data", "message"),
    [
        (7, 128, "video", f"128 clips, but only 7 groups: {NEEDED} Clips of one file are one group: add more files"),
        (1, 1000, "video", f"1,000 clips, but only 1 group: {NEEDED} Clips of one file are one group: add more files"),
        (3, 3, "video", f"only 3 clips: {NEEDED} Add more clips"),
        (19, 19, "imagefolder", f"only 19 pictures: {NEEDED} Add more pictures"),
        (19, 20, "hf", f"20 pictures, but only 19 groups: {NEEDED} Add samples of other groups"),
        (1, 1, "precomputed", f"only 1 row: {NEEDED} Add more rows"),
        (20, 20, "webdataset", None),
        (20, 4000, "video", None),
    ],
)
def test_the_message_for_too_few_groups(groups, samples, data, message):
    assert LEAST_GROUPS == 20
    assert shortage(groups, samples, data) == message


@pytest.fixture
def folder(tmp_path):
    """Make a folder with 24 pictures in 3 groups."""
    (tmp_path / "p").mkdir()
    for i in range(24):
        Image.new("RGB", (8, 8), (10 * i, 5 * i, i)).save(tmp_path / f"p/{i:02d}.png")
    rows = "".join(f"{i:02d}.png,{i % 3}\n" for i in range(24))
    (tmp_path / "p/attributes.csv").write_text("id,group\n" + rows)
    return tmp_path / "p"


def test_every_stage_reports_it_before_its_work(run, folder, tmp_path):
    data = ("data=imagefolder", f"data.path={folder}")
    message = f"24 pictures, but only 3 groups: {NEEDED} Add samples of other groups"
    for model in ("pixels", "histogram"):
        words = ("extract", f"model={model}", *data)
        planned = run(*words, "dry_run=true")
        assert planned.output.splitlines()[0] == f"warning: {message}"
        result = run(*words)
        assert result.exit_code == 0, result.output
        assert result.output.splitlines()[0] == f"warning: {message}"
    sides = ("source=pixels", "target=histogram")
    for stage in (("analyze", *sides), ("analyze", *sides, *data), ("adapt", *sides, *data)):
        result = run(*stage)
        assert (result.exit_code, result.output.splitlines()[-1]) == (1, f"foresight {stage[0]}: {message}")
    result = run("analyze", *sides, *data, "extract=true", "cache_dir=other")
    assert (result.exit_code, result.output.splitlines()[-1]) == (1, f"foresight analyze: {message}")
    assert not (tmp_path / "other").exists()
    made = sorted(path.name for path in (tmp_path / "outputs/cache").iterdir())
    assert made == ["histogram", "pixels"]  # the control random_network was not started
    assert len(list((tmp_path / "outputs/cache/pixels").glob("*/*/*"))) == 1


def test_samples_that_were_left_out_do_not_count(run, tmp_path):
    (tmp_path / "p").mkdir()
    for i in range(20):
        Image.new("RGB", (8, 8), (10 * i, 5 * i, i)).save(tmp_path / f"p/{i:02d}.png")
    (tmp_path / "p/00.png").write_bytes(b"no picture")
    data = ("data=imagefolder", f"data.path={tmp_path / 'p'}", "data.on_error=skip")
    for model in ("pixels", "histogram"):
        assert run("extract", f"model={model}", *data).exit_code == 0
    result = run("analyze", "source=pixels", "target=histogram")
    assert result.output.splitlines()[-1] == f"foresight analyze: only 19 pictures: {NEEDED} Add more pictures"


@pytest.mark.parametrize(
    ("sizes", "split", "fault"),
    [
        ([1] * 240, (0.99, 0.005, 0.005), "leaves 1 validation rows of 240"),
        ([1] * 20, (0.8, 0.1, 0.1), "leaves 2 validation rows of 20"),
        ([1] * 20, (0.05, 0.5, 0.45), "leaves 1 training rows of 20"),
        ([2] * 20, (0.8, 0.1, 0.1), None),  # any two groups have four rows
        ([9, *[1] * 19], (0.8, 0.1, 0.1), None),  # depends on the draw, which is made after duplicates are found
        ([1] * 20, (0.6, 0.2, 0.2), None),
    ],
)
def test_a_split_that_is_too_small_is_refused_before_anything_is_read(sizes, split, fault):
    groups = [f"g{i}" for i, size in enumerate(sizes) for _ in range(size)]
    if fault is None:
        refuse_small_split(groups, split)
        return
    with pytest.raises(ForesightError) as caught:
        refuse_small_split(groups, split)
    assert str(caught.value) == f"split={list(split)} {fault}: wanted 3 or more, so give it a larger share"
    with pytest.raises(ForesightError, match=fault):  # the draw itself gives the same message
        split_rows(groups, split, seed=0)
