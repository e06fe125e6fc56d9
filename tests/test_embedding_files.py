"""Embedding files of other programs on the command line: columns are recognised, or a message asks for their names."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foresight_cli.latents import load
from tests.builders import folder_of_pictures

N = 160
IDS = [f"clip-{i:03d}" for i in range(N)]
A = np.random.default_rng(0).normal(size=(N, 6)).astype(np.float32)
B = (A @ np.random.default_rng(1).normal(size=(6, 9)) + 3).astype(np.float32)
PAIR = ("source=precomputed", "source.model.path=a.npz", "target=precomputed", "target.model.path=b.npz")


def extract(run, path, *more):
    result = run("extract", "model=precomputed", f"model.path={path}", *more)
    assert result.exit_code == 0, result.output
    return result.output


def says(run, *args):
    result = run(*args)
    assert result.exit_code == 1, result.output
    return result.output.splitlines()[-1]


def save(path, values, ids=IDS, **columns):
    np.savez(path, ids=ids, values=values, **columns)


def entries(tmp_path):
    return sorted((tmp_path / "outputs/cache/precomputed/layer-final/channel_mean").iterdir())


def parquet(path, columns):
    pq.write_table(pa.table(columns), path)


def test_columns_are_found_and_named(run, tmp_path):
    parquet("e.parquet", {"id": ["a", "b"], "embedding": [[1.0, 2.0], [3.0, 4.0]], "url": ["u", "v"]})
    output = extract(run, "e.parquet")
    assert "e.parquet: values are embedding; left alone: url" in output.splitlines()
    held = load(entries(tmp_path)[0])
    assert (held.ids, held.values.tolist()) == (["a", "b"], [[1, 2], [3, 4]])


def test_the_data_has_the_columns_of_its_file(run, tmp_path):
    """``data.id=`` and ``data.values=`` follow the model's only where the file is the model's."""
    parquet("a.parquet", {"sha": ["p", "q"], "text_emb": [[1.0], [2.0]], "img_emb": [[3.0], [4.0]]})
    save("b.npz", B[:2], ids=["q", "p"], x=[5.0, 6.0])
    names = ("model.id=sha", "model.values=img_emb")
    output = extract(run, "a.parquet", *names)
    assert "a.parquet: values are img_emb; ids are sha; left alone: text_emb" in output.splitlines()
    assert load(entries(tmp_path)[0]).ids == ["p", "q"]
    extract(run, "a.parquet", *names, "data=precomputed", "data.path=b.npz")
    held = [load(entry) for entry in entries(tmp_path)]
    (joined,) = [latents for latents in held if latents.ids == ["q", "p"]]
    assert (joined.values.tolist(), joined.attributes["x"].tolist()) == ([[4], [3]], [5, 6])
    again = extract(run, "a.parquet", *names, "data=precomputed", "data.path=a.parquet")
    assert "precomputed: 1 of 1 layers x poolings already in the cache" in again.splitlines()
    assert says(run, "extract", "model=precomputed", "model.path=a.parquet", "model.id=sha") == (
        "foresight extract: a.parquet: which column holds the values? Add model.values=img_emb or model.values=text_emb"
    )


def test_a_column_to_be_named_is_asked_for_by_the_side_that_it_is_of(run):
    save("a.npz", A)
    extract(run, "a.npz")
    np.savez("b.npz", ids=IDS, embedding=A, emb=B)
    assert says(run, "analyze", *PAIR) == (
        "foresight analyze: b.npz: which column holds the values? Add target.model.values=emb or "
        "target.model.values=embedding"
    )
    assert says(run, "analyze", *PAIR, "target.model.values=emb", "target.layer=final") == (
        "foresight analyze: target=precomputed layer=final pooling=all: no such latents in the cache. Type: foresight "
        "extract model=precomputed model.path=b.npz model.values=emb layer=final pooling=all "
        "data=precomputed data.path=a.npz data.values=null"
    )


def test_ids_of_another_column_are_reported(run, tmp_path):
    folder_of_pictures(tmp_path / "photos", {f"{i:02d}.png": (8, 8) for i in range(30)})
    captions = ["00.png", "00.png"]  # the same twice: no ids
    np.savez("e.npz", key=["0", "1"], image_path=["00.png", "01.png"], caption=captions, emb=np.ones((2, 3)))
    data = ("data=imagefolder", "data.path=photos")
    assert says(run, "extract", "model=precomputed", "model.path=e.npz", *data) == (
        "foresight extract: e.npz: no row for 30 of 30 samples, such as '00.png'; its ids are like '0'. Rows "
        "are matched to the data by id: each sample must have one. Its ids may be in another column: add "
        "model.id=image_path"
    )


def test_parts_are_one_file_on_the_command_line(run, tmp_path):
    (tmp_path / "emb").mkdir()
    for part in range(11):
        save(f"emb/part-{part}.npz", A[2 * part : 2 * part + 2], ids=IDS[2 * part : 2 * part + 2])
    save("whole.npz", A[:22], ids=IDS[:22])
    output = extract(run, "emb")
    assert "emb: 11 files, part-0.npz to part-10.npz" in output.splitlines()
    assert load(entries(tmp_path)[0]).values.numpy().tobytes() == A[:22].tobytes()
    for path in ("emb/*.npz", "whole.npz", "'emb/part-{0..10}.npz'"):
        assert "precomputed: 1 of 1 layers x poolings already in the cache" in extract(run, path).splitlines()
    (entry,) = entries(tmp_path)
    manifest = json.loads((entry / "manifest.json").read_bytes())
    assert manifest["provenance"]["model"]["path"] == str(tmp_path / "emb")


def test_pictures_without_a_row_and_rows_that_are_no_numbers_are_left_out(run, tmp_path):
    folder_of_pictures(tmp_path / "photos", {f"{i}.png": (8, 8) for i in range(4)})
    np.savez("e.npz", ids=[f"{i}.png" for i in (3, 2, 0, 9)], values=[[3.0], [np.nan], [0.5], [9.0]])
    output = extract(run, "e.npz", "data=imagefolder", "data.path=photos", "data.on_error=skip")
    assert "1 of 4 samples left out: no row in e.npz" in output.splitlines()
    assert "1 of the 4 rows of e.npz match no sample of the data and were skipped" in output.splitlines()
    (entry,) = entries(tmp_path)
    held = load(entry)
    assert (held.ids, held.values.tolist()) == (["0.png", "3.png"], [[0.5], [3]])
    skipped = json.loads((entry / "manifest.json").read_bytes())["skipped"]
    assert skipped == [["1.png", "no row in e.npz"], ["2.png", "not all values are finite in float32"]]


def test_a_row_that_is_no_number_ends_or_is_left_out_as_asked(run, tmp_path):
    values = A.copy()
    values[5] = np.inf
    save("a.npz", values)
    assert says(run, "extract", "model=precomputed", "model.path=a.npz") == (
        "foresight extract: a.npz: the values of 'clip-005' are not all finite in float32. To leave such rows out, add "
        "data.on_error=skip"
    )
    extract(run, "a.npz", "data.on_error=skip")
    (entry,) = entries(tmp_path)
    assert load(entry).ids == IDS[:5] + IDS[6:]
