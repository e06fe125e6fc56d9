"""Whole sessions: every command that a stage prints is typed as it was printed, and ends with status 0."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.suggest.printed_lines import Session


@pytest.fixture
def session(run) -> Session:
    """A user in an empty folder."""
    return Session(run)


@pytest.fixture
def without_figures(monkeypatch) -> None:
    """Reports that draw nothing: figures are most of their time, and print no command."""
    monkeypatch.setattr("foresight_cli.report.draw_figures", lambda *_: iter(()))


@pytest.fixture
def latents(tmp_path) -> Callable[..., None]:
    """Writes files of latents of the same 40 samples, each a noisy linear image of the same factors."""

    def write(*names: str, ids=None, width: int = 6) -> None:
        factors = np.random.default_rng(0).normal(size=(40, 4))
        for number, name in enumerate(names):
            rng = np.random.default_rng(number + 1)
            values = factors @ rng.normal(size=(4, width)) + 0.1 * rng.normal(size=(40, width))
            own = np.array(ids or [f"s{i}" for i in range(40)])
            np.savez(tmp_path / name, ids=own, values=values.astype(np.float32))

    return write


def test_two_files_of_latents(session, latents, without_figures):
    latents("a.npz", "b.npz")
    assert "Next: extract the other file's rows of the same ids, with data=precomputed data.path=a.npz\n" in (
        session.type("foresight extract model=precomputed model.path=a.npz")
    )
    session.follow(["foresight extract model=precomputed model.path=b.npz"])
    stages = [line.split()[1] for line in session.typed]
    assert stages == ["extract", "extract", "analyze", "report", "adapt"]
