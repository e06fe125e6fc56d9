"""Loading an entry, and joining two by sample id."""

from __future__ import annotations

import dataclasses
import random

import pytest
import torch

from foresight_cli.data import Sample
from foresight_cli.errors import ForesightError
from foresight_cli.latents import CorruptShard, Entry, Latents, Recipe, Shard, join, load
from foresight_cli.latents.samples import write_samples

RECIPE = Recipe(model={"name": "m"}, layer="final", pooling="flat", data={"name": "d"}, rows=5, rows_per_shard=2)
SAMPLES = [Sample(f"s{i}", "even" if i % 2 == 0 else None, f"g{i // 2}", {"x": i / 4} if i else {}) for i in range(5)]


def entry_of(root, skip: str = "") -> Entry:
    entry = Entry.create(root, RECIPE)
    for number in range(RECIPE.shards):
        ids = [SAMPLES[row].id for row in RECIPE.slice(number) if SAMPLES[row].id not in skip.split()]
        values = torch.tensor([[float(i[1:]), 10.0] for i in ids]) if ids else torch.empty(0, 0)
        entry.put(number, Shard(ids, values, torch.zeros(len(ids), 32, dtype=torch.uint8)))
    entry.seal({"data": {"name": "d"}, "versions": {}})
    write_samples(entry.path, SAMPLES)
    return entry


def space(ids: str, picture: int = 0) -> Latents:
    names = ids.split()
    return Latents(
        ids=names,
        values=torch.tensor([[float(ord(name))] for name in names]),
        labels=[None] * len(names),
        groups=names,
        attributes={"x": torch.tensor([float(ord(name)) for name in names], dtype=torch.float64)},
        pixels=torch.full((len(names), 32), picture, dtype=torch.uint8),
    )


@pytest.mark.parametrize("by", [lambda entry: entry, lambda entry: entry.path, lambda entry: str(entry.path)])
def test_load(tmp_path, by):
    latents = load(by(entry_of(tmp_path)))
    assert latents.ids == [f"s{i}" for i in range(5)]
    assert torch.equal(latents.values, torch.tensor([[float(i), 10.0] for i in range(5)]))
    assert latents.labels == ["even", None, "even", None, "even"]
    assert latents.groups == ["g0", "g0", "g1", "g1", "g2"]
    assert latents.attributes["x"][1:].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert latents.attributes["x"].isnan().tolist() == [True, False, False, False, False]
    assert len(latents) == 5


@pytest.mark.parametrize(("skip", "left"), [("s1", [0, 2, 3, 4]), ("s2 s3", [0, 1, 4]), ("s0 s1", [2, 3, 4])])
def test_skipped_samples_keep_labels_in_step(tmp_path, skip, left):
    latents = load(entry_of(tmp_path, skip))
    assert latents.ids == [f"s{i}" for i in left]
    assert latents.values[:, 0].tolist() == left
    assert latents.labels == [SAMPLES[i].label for i in left]
    assert latents.groups == [SAMPLES[i].group for i in left]


def test_nothing_left(tmp_path):
    entry = entry_of(tmp_path, "s0 s1 s2 s3 s4")
    with pytest.raises(ForesightError) as caught:
        load(entry)
    assert str(caught.value) == f"{entry.path} holds no rows: every sample was skipped"


def test_incomplete_entry(tmp_path):
    entry = Entry.create(tmp_path, RECIPE)
    with pytest.raises(ForesightError) as caught:
        load(entry)
    assert str(caught.value) == f"{entry.path} is not complete: run the same extract again"


def test_damaged_shard(tmp_path):
    entry = entry_of(tmp_path)
    path = entry.shard_files()[2]
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(CorruptShard):
        load(entry)


def test_sample_without_a_row_in_the_table(tmp_path):
    entry = entry_of(tmp_path)
    write_samples(entry.path, SAMPLES[:-1])
    with pytest.raises(ForesightError) as caught:
        load(entry)
    assert str(caught.value) == f"{entry.path}/samples.json does not name 's4': run the same extract again"


def test_take_keeps_every_column_in_step():
    taken = space("a b c d").take([2, 0])
    assert taken.ids == ["c", "a"]
    assert taken.values[:, 0].tolist() == [ord("c"), ord("a")]
    assert taken.groups == ["c", "a"]
    assert taken.attributes["x"].tolist() == [ord("c"), ord("a")]


def test_join_matches_by_id_in_the_first_ones_order():
    names = [f"{chr(97 + i)}" for i in range(20)]
    shuffled = random.Random(1).sample(names, 20)
    first, second, third = join(space(" ".join(names)), space(" ".join(shuffled)), space(" ".join(reversed(names))))
    assert first.ids == second.ids == third.ids == names
    assert torch.equal(first.values, second.values)
    assert torch.equal(first.values, third.values)


SAYS = "the two spaces hold different samples: {}. Extract both models on the same data"


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ("a c d", "1 are not in the second, for instance 'b'"),
        ("a b c d e", "1 are not in the first, for instance 'e'"),
        ("a b c e", "1 are not in the second, for instance 'd'"),
        ("w x y z v", "4 are not in the second, for instance 'a', 'b', 'c'"),
    ],
)
def test_join_refuses_other_samples(second, says):
    with pytest.raises(ForesightError) as caught:
        join(space("a b c d"), space(second))
    assert str(caught.value) == SAYS.format(says)


def test_join_refuses_other_pictures_behind_one_id():
    other = space("b a c")
    other.pixels[1] = 7  # the picture of "a"
    other.pixels[2, 31] = 1  # one bit of that of "c"
    with pytest.raises(ForesightError) as caught:
        join(space("a b c"), other)
    assert str(caught.value) == (
        "the sample 'a' is not the same picture in both spaces (2 such). Extract both models on the same data"
    )


def test_latents_cannot_be_changed_by_accident():
    with pytest.raises(dataclasses.FrozenInstanceError):
        space("a").ids = []  # type: ignore[misc]


def test_join_refuses_different_groups():
    first, other = space("a b c"), space("a b c")
    relabelled = dataclasses.replace(other, groups=["clip", "clip", "c"])
    with pytest.raises(ForesightError) as caught:
        join(first, relabelled)
    assert str(caught.value) == (
        "labels, groups or attributes changed between the two extractions. Type both extract commands again: "
        "the latents are kept"
    )
