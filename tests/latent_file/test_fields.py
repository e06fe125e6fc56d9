"""Roles of columns, in files of embeddings that other programs write."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file import Undecided, open_latent_file

LISTS = [[1.0, 2.0], [3.0, 4.0]]


def written(path, columns):
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        np.savez(path, **{name: np.array(column) for name, column in columns.items()})
    return path


def message(path, **named):
    with pytest.raises(ForesightError) as caught:
        open_latent_file(path, **named)
    return str(caught.value).replace(f"{path}: ", "")


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
@pytest.mark.parametrize(
    ("columns", "ids", "note"),
    [
        ({"id": ["a", "b"], "embedding": LISTS, "url": ["u", "v"]}, ["a", "b"],
         "values are embedding; left alone: url"),
        ({"values": LISTS, "ids": [7, 8], "caption": ["a dog", "a cat"]}, ["7", "8"], "left alone: caption"),
        ({"key": ["0", "1"], "img_emb": LISTS, "url": ["u", "v"], "width": [3, 4]}, ["0", "1"],
         "values are img_emb; ids are key; left alone: url"),
        ({"image_path": ["a.jpg", "b.jpg"], "caption": ["x", "y"], "whatever": LISTS}, ["a.jpg", "b.jpg"],
         "values are whatever; ids are image_path; left alone: caption"),
        ({"url": ["u", "v"], "vec": LISTS, "tokens": [[1, 2, 3], [4, 5, 6]]}, ["u", "v"],
         "values are vec; ids are url; left alone: tokens"),
        ({"id": ["a", "b"], "features": LISTS, "embedding": ["text", "of it"]}, ["a", "b"],
         "values are features; left alone: embedding"),
        ({"id": ["a", "b"], "image_clip_emb_b_32": LISTS, "box": LISTS}, ["a", "b"],
         "values are image_clip_emb_b_32; left alone: box"),
        ({"id": ["a", "b"], "features": LISTS, "box": [[0.0], [1.0]]}, ["a", "b"],
         "values are features; left alone: box"),
    ],
)  # fmt: skip
def test_columns_with_usual_names(tmp_path, suffix, columns, ids, note):
    path = written(tmp_path / f"e.{suffix}", columns)
    file = open_latent_file(path)
    np.testing.assert_array_equal(file.values, LISTS)
    assert file.table.ids == ids
    assert file.notes == (f"{path}: {note}",)
    assert sorted(file.table.attributes) == [name for name in columns if name == "width"]


def test_ids_and_labels_that_were_saved_as_bytes(tmp_path):
    np.savez(tmp_path / "e.npz", key=np.array(["é", "b"]).astype("O"), ids=np.char.encode(["é", "b"]), emb=LISTS)
    assert open_latent_file(tmp_path / "e.npz").table.ids == ["\u00e9", "b"]
    table = {"id": pa.array([b"a", b"b"]), "label": pa.array([b"cat", None]), "emb": LISTS}
    table = open_latent_file(written(tmp_path / "e.parquet", table)).table
    assert (table.ids, table.labels) == (["a", "b"], ["cat", None])


def test_vectors_of_whole_numbers_are_preferred_by_name(tmp_path):
    """Cohere's int8 embeddings are chosen as values, not the boxes of floats beside them."""
    path = written(tmp_path / "e.npz", {"id": ["a", "b"], "embedding": [[1, 2], [3, 4]], "box": LISTS})
    assert message(path).startswith("values are int64: wanted floats of 16, 32 or 64 bits. Type: python -c ")


def test_columns_that_the_user_names(tmp_path):
    columns = {"id": ["a", "b"], "sha": ["p", "q"], "img_emb": LISTS, "text_emb": [[5.0], [6.0]], "values": LISTS}
    path = written(tmp_path / "e.parquet", columns)
    file = open_latent_file(path, id="sha", values="text_emb")
    assert (file.table.ids, file.values.tolist()) == (["p", "q"], [[5], [6]])
    assert file.notes == (f"{path}: values are text_emb; ids are sha; left alone: id, img_emb, values",)
    assert file.other_ids == ("id",)


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_columns_of_one_number_each(tmp_path, suffix):
    values = np.random.default_rng(0).normal(size=(3, 12)).astype(np.float32)
    columns = {"id": ["a", "b", "c"], **{f"emb_{i}": values[:, i] for i in reversed(range(12))}, "x": [1, 2, 3]}
    path = written(tmp_path / f"e.{suffix}", columns)
    file = open_latent_file(path, values="emb_*")
    np.testing.assert_array_equal(file.values, values)  # emb_2 before emb_10
    assert (file.dtype, file.notes) == ("float32", (f"{path}: values are emb_0 to emb_11",))
    assert list(file.table.attributes) == ["x"]
    assert message(path) == (
        "no column of vectors among ['emb_0', 'emb_1', 'emb_2', 'emb_3', 'emb_4', 'emb_5', 'emb_6', 'emb_7', 'emb_8', "
        "'emb_9', 'emb_10', 'emb_11', ...]. Add \"model.values='emb_*'\", columns of one number each"
    )


def test_numbers_as_names_of_columns(tmp_path):
    values = np.arange(24.0).reshape(2, 12)
    path = written(tmp_path / "e.parquet", {"id": ["a", "b"]} | {str(i): values[:, i] for i in range(12)})
    assert message(path).endswith("Add \"model.values='[0-9]*'\", columns of one number each")
    np.testing.assert_array_equal(open_latent_file(path, values="[0-9]*").values, values)
    mixed = written(tmp_path / "f.parquet", {"id": ["a", "b"], "e0": [1.0, 2.0], "e1": [1, 2]})
    assert message(mixed, values="e*") == "the values' column 'e1' holds int64: wanted floats"


def test_a_text_index_of_pandas_is_the_ids(tmp_path):
    path = written(tmp_path / "e.parquet", {"emb": LISTS, "url": ["u", "v"], "__index_level_0__": ["a", "b"]})
    assert open_latent_file(path).table.ids == ["a", "b"]
    path = written(tmp_path / "f.parquet", {"emb": LISTS, "url": ["u", "v"], "__index_level_0__": [1, 2]})
    assert open_latent_file(path).table.ids == ["u", "v"]


@pytest.mark.parametrize("suffix", ["parquet", "npz"])
def test_two_that_could_be_meant_are_the_users_to_choose_from(tmp_path, suffix):
    path = written(tmp_path / f"e.{suffix}", {"id": ["a", "b"], "img_emb": LISTS, "embedding": LISTS})
    assert message(path) == "which column holds the values? Add model.values=embedding or model.values=img_emb"
    assert message(path, at="data").endswith("Add data.values=embedding or data.values=img_emb")
    path = written(tmp_path / f"f.{suffix}", {"path": ["a", "b"], "filename": ["c", "d"], "embedding": LISTS})
    assert message(path) == "which column holds the ids? Add model.id=path or model.id=filename"
    path = written(tmp_path / f"g.{suffix}", {"my name": ["a", "b"], "it's": ["c", "d"], "embedding": LISTS})
    assert message(path) == (
        "no ids among ['embedding', \"it's\", 'my name']: latents are matched by id, never by position. Name their "
        "column: \"model.id='my name'\" or 'model.id='\"'\"'it\\'\"'\"'s'\"'\"''"
    )
    assert open_latent_file(path, id="it's").table.ids == ["c", "d"]


def test_columns_that_are_named_and_missing(tmp_path):
    path = written(tmp_path / "e.npz", {"id": ["a", "b"], "emb": LISTS})
    assert message(path, id="key") == "no column 'key' for model.id= among ['emb', 'id']"
    assert message(path, values="img*") == "no column 'img*' for model.values= among ['emb']"
    np.save(tmp_path / "x.npy", np.array(LISTS))
    (tmp_path / "x.csv").write_text("id\na\nb\n")
    assert message(tmp_path / "x.npy", values="emb") == f"{tmp_path}/x.npy is one array: leave model.values=emb out"


def test_an_undecided_column_is_reported_for_its_setting(tmp_path):
    path = written(tmp_path / "e.npz", {"id": ["a", "b"], "emb": LISTS, "vec": LISTS, "embedding": LISTS})
    with pytest.raises(Undecided) as caught:
        open_latent_file(path)
    assert str(caught.value.of("source.model")).endswith("Add source.model.values=emb or source.model.values=embedding")


def test_columns_of_a_csv_beside_an_array(tmp_path):
    np.save(tmp_path / "x.npy", np.array(LISTS))
    (tmp_path / "x.csv").write_text("image_id,caption,url,size,label\na,7,u,1.5,cat\nb,two dogs and a cat,v,,\n")
    file = open_latent_file(tmp_path / "x.npy", id=None)
    assert (file.table.ids, file.table.labels) == (["a", "b"], ["cat", None])
    assert message(tmp_path / "x.npy", id="nothing").endswith(
        "no column 'nothing' for model.id= among ['caption', 'image_id', 'label', 'size', 'url']"
    )
    assert open_latent_file(tmp_path / "x.npy", id="url").table.ids == ["u", "v"]


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, lambda inner: pa.list_(inner, 3)])
def test_lists_of_lists_are_tokens_and_grids(tmp_path, kind):
    values = np.random.default_rng(0).normal(size=(4, 2, 3))
    lists = pa.array(values.tolist(), pa.list_(kind(pa.float64())))
    path = written(tmp_path / "e.parquet", {"id": list("abcd"), "emb": lists})
    file = open_latent_file(path)
    assert (file.shape, file.dtype) == ((4, 2, 3), "float64")
    np.testing.assert_array_equal(file.values, values)


def test_an_extension_type_is_read_as_its_storage_type(tmp_path):
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    path = written(
        tmp_path / "e.parquet", {"id": list("abc"), "t": pa.FixedShapeTensorArray.from_numpy_ndarray(values)}
    )
    np.testing.assert_array_equal(open_latent_file(path).values, values)
