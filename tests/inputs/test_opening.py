"""Tests of the inputs of an analysis: they are the same if all latents fit in memory or only the drawn rows do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from foresight_cli.cli.overrides import for_hydra
from foresight_cli.config.reader import analyze_config
from foresight_cli.config.tree import conf_dir
from foresight_cli.errors import ForesightError
from foresight_cli.inputs.opening import open_inputs
from tests.made_entries import made

ROWS, COPIES = 800, 60
WORDS = ("pooling=flat", "data.per_category=100", "rows_per_shard=70")


def spaces(copies=COPIES, columns=90):
    """Return two spaces whose last rows are slightly changed copies of the first; the very last only in the source."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((ROWS, columns)) + 5, rng.standard_normal((ROWS, 70))
    x[-copies:] = x[:copies] + 0.001 * rng.standard_normal((copies, columns))
    y[-copies:] = y[:copies] + 0.001 * rng.standard_normal((copies, 70))
    y[-1] = rng.standard_normal(70)
    return torch.from_numpy(x).float(), torch.from_numpy(y).float()


def cached(root, x, y):
    for name, values in (("pixels", x), ("histogram", y)):
        made(root, f"model={name}", *WORDS, rows=values)
    return root


def opened(root, *, in_memory, monkeypatch, **changes):
    monkeypatch.setattr("foresight_cli.inputs.opening.IN_MEMORY_GB", 1 if in_memory else 0)
    settings = {"max_rows": 200, "controls": "[]", "cache_dir": root, **changes}
    words = ["source=pixels", "target=histogram", *(f"{name}={value}" for name, value in settings.items())]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return open_inputs(analyze_config(compose("analyze", for_hydra("analyze", words))))


def both(root, monkeypatch, **changes):
    return [opened(root, in_memory=fits, monkeypatch=monkeypatch, **changes) for fits in (True, False)]


@pytest.mark.parametrize(("copies", "columns"), [(COPIES, 90), (COPIES, 64), (COPIES, 8), (COPIES, 4), (3, 90)])
def test_near_duplicates_are_found_among_all_rows(tmp_path, monkeypatch, copies, columns):
    whole, drawn = both(cached(tmp_path, *spaces(copies, columns)), monkeypatch)
    assert whole.joined.rows.duplicates.near == 2 * (copies - 1)
    assert drawn.joined.rows.duplicates == whole.joined.rows.duplicates
    assert drawn.group_of == whole.group_of
    ids = list(drawn.group_of)
    assert len(ids) == ROWS
    assert all(drawn.group_of[ids[i]] == drawn.group_of[ids[i - copies]] for i in range(copies - 1))
    assert drawn.group_of[ids[copies - 1]] != drawn.group_of[ids[-1]]
    assert len(drawn.joined.samples) in (199, 200)
    assert drawn.joined.rows.alike.near_in == whole.joined.rows.alike.near_in == [2 * copies, 2 * (copies - 1)]
    assert len(whole.joined.samples) == ROWS


@pytest.mark.parametrize("poolings", [1, 2])
def test_the_same_rows_are_drawn_and_set_aside(tmp_path, monkeypatch, poolings):
    x, y = spaces()
    cached(tmp_path, x, y)
    if poolings == 2:
        made(tmp_path, "model=pixels", "pooling=channel_mean", *WORDS[1:], rows=x[:, :40].contiguous())
    chosen = []
    for joined in (read.joined for read in both(tmp_path, monkeypatch)):
        assert len(joined.sources) == poolings
        rows, ids = joined.rows, joined.samples.ids
        chosen.append(([ids[i] for i in rows.score], [ids[i] for i in rows.select]))
    assert chosen[0] == chosen[1]
    assert bool(chosen[0][1]) == (poolings == 2)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(("row", "named"), [(0, "circle-0000"), (123, "square-0023")])
def test_latents_that_are_not_finite_are_named(tmp_path, monkeypatch, row, named, in_memory):
    x, y = spaces()
    x[row, 4] = float("inf")
    cached(tmp_path, x, y)
    with pytest.raises(ForesightError, match=rf"the source's latents of '{named}' are not finite \(1 such rows in "):
        opened(tmp_path, in_memory=in_memory, monkeypatch=monkeypatch)
