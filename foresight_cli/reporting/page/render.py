"""The page of one analysis, from its results, its figures and the adapters trained for it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment
from markupsafe import Markup, escape
from PIL import Image

from foresight_cli.reporting.captions import caption
from foresight_cli.reporting.commands import with_commands
from foresight_cli.reporting.context import report_context
from foresight_cli.reporting.figures import Drawn
from foresight_cli.reporting.markdown import shortened
from foresight_cli.reporting.page.inline_svg import Figures
from foresight_cli.reporting.templates import template_environment
from foresight_cli.reporting.traced import Numbers
from foresight_cli.results import AdapterResults, Analysis


@dataclass(frozen=True)
class Pictures:
    """The pictures of the page.

    Attributes:
        svg: figures, by name.
        titles: the finding that each figure states, by name.
        decoded: previews as WebP, by the name of the adapter.
    """

    svg: Mapping[str, bytes] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    decoded: Mapping[str, bytes] = field(default_factory=dict)


def render_page(
    results: Analysis,
    adapters: Sequence[AdapterResults],
    drawn: Drawn,
    pictures: Pictures,
    numbers_kept: Numbers | None = None,
) -> str:
    """Return the text of ``report.html``, with the figures that ``pictures`` has."""
    kept = numbers_kept or Numbers(escape)
    figures = Figures()
    environment = page_environment(kept)
    environment.globals |= {
        "blocks": "blocks.html.j2",
        "figure": partial(shown_figure, figures, pictures),
        "more": lambda names: [name for name in names if name in pictures.svg],
        "decoded": {name: _data_uri(data) for name, data in pictures.decoded.items()},
    }
    context = report_context(results, adapters, drawn, kept)
    body = environment.get_template("body.html.j2").render(context)
    return whole_page(f"{results.source_label} → {results.target_label}: {results.verdict.line}", body, figures)


def whole_page(title: str, body: str, figures: Figures) -> str:
    """Return a complete page around ``body``, with its style and the letters of its figures."""
    light, dark = figures.palette()
    environment = page_environment(Numbers(escape))
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    return environment.get_template("page.html.j2").render(
        title=title, body=Markup(body), sprite=figures.sprite(), style=Markup(style), light=light, dark=dark
    )


def page_environment(kept: Numbers) -> Environment:
    """Return a template environment that escapes all text and takes numbers only through a filter of ``kept``."""
    return template_environment(escape, kept, yaml=_yaml, commands=_with_code)


def shown_figure(figures: Figures, pictures: Pictures, name: str) -> dict[str, Any] | None:
    """Return a figure for the template macro ``shown``; None if it was not drawn."""
    if name not in pictures.svg:
        return None
    title = pictures.titles.get(name) or caption(name)
    return {"name": name, "svg": figures.inline(name, pictures.svg[name], title), "caption": caption(name)}


def as_webp(path: Path, quality: int = 88) -> bytes:
    """Return a picture as WebP: a tenth of its PNG's size, so that the page is small enough to be sent.

    Raises:
        OSError: ``path`` cannot be read, or is not a picture.
    """
    with Image.open(path) as picture:
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, "WEBP", quality=quality, method=6)
    return buffer.getvalue()


def _data_uri(data: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"


def _yaml(value: Any) -> str:
    return str(yaml.safe_dump(shortened(value), sort_keys=False, allow_unicode=True, width=10_000))


def _with_code(text: str) -> Markup:
    """Return ``text`` with its commands as code."""
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if command else piece for piece, command in with_commands(text)
    )
