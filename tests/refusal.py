"""The message of an error, which has one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from foresight_cli.errors import ForesightError


def refusal(call: Callable[..., Any], *args: Any, kind: type[ForesightError] = ForesightError, **options: Any) -> str:
    """Return the one-line message of the error, of exactly ``kind``, that ``call(*args, **options)`` raises."""
    with pytest.raises(ForesightError) as caught:
        call(*args, **options)
    assert type(caught.value) is kind
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)
