"""Messages of unusable files of latents, and phrases that many of them share."""

from __future__ import annotations

from pathlib import Path

import pytest

from foresight_cli.errors import ForesightError
from foresight_cli.latent_file import Undecided, open_latent_file

FLOATS = "wanted floats of 16, 32 or 64 bits"
SHAPES = "wanted [n, d], [n, tokens, d], [n, C, H, W] or [n, C, T, H, W]"


def refusal(path: Path | str) -> str:
    """Return the one-line message."""
    with pytest.raises(ForesightError) as caught:
        open_latent_file(path).sha256  # noqa: B018 (the values are read for it)
    assert type(caught.value) in (ForesightError, Undecided)
    return str(caught.value)


def first_sentence(path: Path | str) -> str:
    """Return the message without the advised command, which tests/latent_file/test_conversions.py runs."""
    return refusal(path).partition(". Type: ")[0]
