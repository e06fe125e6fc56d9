"""The cache key: the same on every machine, different for every difference, and refused where JSON is not exact."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foresight_cli.errors import ForesightError
from foresight_cli.latents.recipe import Recipe, canonical_json

RECIPE = Recipe(
    model={"name": "qwen25vl", "checkpoint": "local", "sha256": "ab" * 32, "resolution": None, "prompt": "Décris."},
    layer="4",
    pooling="flat",
    data={"name": "shapes", "seed": 0, "noise": 0.1},
    rows=100,
    rows_per_shard=32,
)

exact = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_golden_key():
    """A changed key here is a changed cache format: every user's cache would be computed again."""
    assert RECIPE.canonical() == (
        b'{"data":{"name":"shapes","noise":0.1,"seed":0},"format":1,"layer":"4","model":{"checkpoint":"local",'
        b'"name":"qwen25vl","prompt":"D\\u00e9cris.","resolution":null,"sha256":"' + b"ab" * 32 + b'"},'
        b'"pooling":"flat","rows":100,"rows_per_shard":32}'
    )
    assert RECIPE.key == "9f02ae19629e55829f7beedd12a6299f88aa9e4bf3937a95efb1b2df4cefce11"
    assert RECIPE.folder == PurePosixPath("qwen25vl/layer-4/flat") / RECIPE.key[:16]


def test_key_is_the_hash_of_recipe_json():
    assert RECIPE.key == hashlib.sha256(RECIPE.canonical()).hexdigest()


@given(exact)
def test_canonical_json_is_exact(value):
    assert json.loads(canonical_json(value)) == value
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


@given(st.dictionaries(st.text(), exact, min_size=2, max_size=5))
def test_order_of_keys_does_not_matter(value):
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


@given(exact, exact)
def test_different_values_have_different_bytes(a, b):
    assert (canonical_json(a) == canonical_json(b)) == (repr(_sorted(a)) == repr(_sorted(b)))


def _sorted(value):
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a": float("nan")}, "recipe.a: nan cannot be written in JSON"),
        ({"a": [1, float("inf")]}, "recipe.a[1]: inf cannot be written in JSON"),
        ({"a": -float("inf")}, "recipe.a: -inf cannot be written in JSON"),
        ({"a": {1: 2}}, "recipe.a: the key 1 is not text"),
        ({"a": (1, 2)}, "recipe.a: (1, 2) of type tuple cannot be written in JSON exactly"),
        ({"a": {3}}, "recipe.a: {3} of type set cannot be written in JSON exactly"),
        ({"a": b"x"}, "recipe.a: b'x' of type bytes cannot be written in JSON exactly"),
    ],
)
def test_refuses_what_json_cannot_hold(value, says):
    with pytest.raises(ForesightError) as caught:
        canonical_json(value)
    assert str(caught.value) == says


@pytest.mark.parametrize(
    "change",
    [
        {"layer": "8"},
        {"layer": "final"},
        {"pooling": "channel_mean"},
        {"rows": 101},
        {"rows_per_shard": 33},
        {"model": {**RECIPE.model, "prompt": "Describe."}},
        {"model": {**RECIPE.model, "resolution": 112}},
        {"model": {**RECIPE.model, "sha256": "ac" * 32}},
        {"model": {**RECIPE.model, "tokens": None}},
        {"data": {**RECIPE.data, "seed": 1}},
        {"data": {**RECIPE.data, "seed": False}},
        {"data": {**RECIPE.data, "seed": 0.0}},
        {"data": {**RECIPE.data, "seed": "0"}},
        {"data": {**RECIPE.data, "noise": 0.1 + 2**-55}},
    ],
)
def test_any_difference_is_another_key(change):
    assert dataclasses.replace(RECIPE, **change).key != RECIPE.key


def test_key_is_the_same_in_another_process_with_another_hash_seed():
    code = f"from foresight_cli.latents.recipe import Recipe; print(Recipe(**{dataclasses.asdict(RECIPE)!r}).key)"
    for seed in "12":
        env = {"PYTHONHASHSEED": seed, "LC_ALL": "C"}
        result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        assert result.stdout.strip() == RECIPE.key


def test_round_trip():
    assert Recipe.from_dict(json.loads(RECIPE.canonical())) == RECIPE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "a recipe of format 2; this foresight reads format 1"),
        ({"format": None}, "a recipe of format None; this foresight reads format 1"),
        ({"colour": 1}, "not a recipe: got an unexpected keyword argument 'colour'"),
    ],
)
def test_refuses_another_format(change, says):
    with pytest.raises(ForesightError) as caught:
        Recipe.from_dict({**RECIPE.to_dict(), **change})
    assert str(caught.value) == says


def test_refuses_a_missing_field():
    values = RECIPE.to_dict()
    del values["rows"]
    with pytest.raises(ForesightError) as caught:
        Recipe.from_dict(values)
    assert str(caught.value) == "not a recipe: missing 1 required positional argument: 'rows'"


@given(rows=st.integers(1, 500), rows_per_shard=st.integers(1, 600))
def test_slices_cover_every_row_once_and_in_order(rows, rows_per_shard):
    recipe = dataclasses.replace(RECIPE, rows=rows, rows_per_shard=rows_per_shard)
    slices = [recipe.slice(i) for i in range(recipe.shards)]
    assert [row for part in slices for row in part] == list(range(rows))
    assert all(0 < len(part) <= rows_per_shard for part in slices)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rows", -1),
        ("rows", 1e18),
        ("rows", "9"),
        ("rows", True),
        ("rows", 10**18),
        ("rows_per_shard", 0),
        ("layer", "../../etc"),
        ("layer", ".."),
        ("pooling", "a/b"),
        ("pooling", 3),
        ("model", {"name": "../x"}),
        ("model", {}),
        ("model", "m"),
    ],
)
def test_a_recipe_that_foresight_did_not_write(field, value):
    with pytest.raises(ForesightError) as caught:
        Recipe.from_dict(RECIPE.to_dict() | {field: value})
    assert len(str(caught.value).splitlines()) == 1


def test_too_many_shards():
    says = r"1000000 shards; at most 99999 are possible: use rows_per_shard=101 or more$"
    with pytest.raises(ForesightError, match=says):
        Recipe.from_dict(RECIPE.to_dict() | {"rows": 10_000_000, "rows_per_shard": 10})
