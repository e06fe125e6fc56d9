"""What an analysis reads is the same whether all latents fit in memory or only the drawn rows do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from foresight_cli.analysis_inputs import open_inputs
from foresight_cli.config_groups import conf_dir
from foresight_cli.config_reader import analyze_config
from foresight_cli.errors import ForesightError
from foresight_cli.overrides import for_hydra
from tests.made_entries import made

ROWS, COPIES = 800, 60


def spaces():
    """Two spaces whose last rows are copies of the first, each a little changed; and one of them only in the source."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((ROWS, 90)) + 5, rng.standard_normal((ROWS, 70))
    x[-COPIES:] = x[:COPIES] + 0.005 * rng.standard_normal((COPIES, 90))
    y[-COPIES:] = y[:COPIES] + 0.005 * rng.standard_normal((COPIES, 70))
    y[-1] = rng.standard_normal(70)
    return torch.from_numpy(x).float(), torch.from_numpy(y).float()


def opened(root, *, in_memory, monkeypatch, **changes):
    monkeypatch.setattr("foresight_cli.analysis_inputs.IN_MEMORY", 1e9 if in_memory else 0)
    settings = {"max_rows": 200, "controls": "[]", "cache_dir": root, **changes}
    words = ["source=pixels", "target=histogram", *(f"{name}={value}" for name, value in settings.items())]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return open_inputs(analyze_config(compose("analyze", for_hydra("analyze", words))))


@pytest.fixture
def cached(tmp_path):
    x, y = spaces()
    for name, values in (("pixels", x), ("histogram", y)):
        made(tmp_path, f"model={name}", "pooling=flat", "data.per_category=100", "rows_per_shard=70", rows=values)
    return tmp_path


def test_near_duplicates_are_found_among_all_rows(cached, monkeypatch):
    whole, drawn = (opened(cached, in_memory=fits, monkeypatch=monkeypatch) for fits in (True, False))
    assert whole.inputs.rows.duplicates.near == 2 * (COPIES - 1)
    assert drawn.inputs.rows.duplicates == whole.inputs.rows.duplicates
    assert drawn.group_of == whole.group_of
    ids = list(drawn.group_of)
    assert len(ids) == ROWS
    assert all(drawn.group_of[ids[i]] == drawn.group_of[ids[i - COPIES]] for i in range(COPIES - 1))
    assert drawn.group_of[ids[COPIES - 1]] != drawn.group_of[ids[-1]]
    assert len(drawn.inputs.known) in (199, 200)
    assert drawn.inputs.rows.alike.near_in == whole.inputs.rows.alike.near_in == [2 * COPIES, 2 * (COPIES - 1)]
    assert len(whole.inputs.known) == ROWS


def test_the_same_rows_are_drawn(cached, monkeypatch):
    whole, drawn = (opened(cached, in_memory=fits, monkeypatch=monkeypatch) for fits in (True, False))
    ids = [[one.inputs.known.ids[i] for i in one.inputs.rows.score] for one in (whole, drawn)]
    assert ids[0] == ids[1]


def test_latents_that_are_not_finite_are_named(tmp_path, monkeypatch):
    x, y = spaces()
    x[123, 4] = float("inf")
    for name, values in (("pixels", x), ("histogram", y)):
        made(tmp_path, f"model={name}", "pooling=flat", "data.per_category=100", rows=values)
    with pytest.raises(ForesightError, match=r"the latents of 'square-0023' are not finite \(1 such rows in "):
        opened(tmp_path, in_memory=False, monkeypatch=monkeypatch)
