"""The environment of every template: text is escaped, and a number goes through a filter, so that all are traced."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from foresight_cli.reporting.traced import Numbers
from foresight_cli.results import numbers

FOLDERS = [Path(__file__).parent, Path(__file__).parent / "page"]


def template_environment(escape: Callable[[str], str], kept: Numbers, **filters: Callable[..., Any]) -> Environment:
    """Return an environment for templates of Markdown or HTML.

    Args:
        escape: returns text as markup; it leaves markup as it is.
        kept: its filters format and record every number.
        filters: further filters, by name.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDERS),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=partial(_only_text, escape),
        autoescape=True,  # leaves what `escape` returns, and the text of macros
    )
    environment.filters |= kept.filters() | filters
    return environment


def _only_text(escape: Callable[[str], str], value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return numbers.NOT_MEASURED
    if isinstance(value, str):
        return escape(value)
    raise TypeError(f"{value!r} is not text: a number goes through a filter of Numbers")
