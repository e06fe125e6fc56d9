"""The page of several analyses side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from markupsafe import escape

from foresight_cli.reporting.compared import Compared
from foresight_cli.reporting.page.inline_svg import Figures
from foresight_cli.reporting.page.render import Pictures, page_environment, shown_figure, whole_page
from foresight_cli.reporting.traced import Numbers


def render_comparison(
    compared: Sequence[Compared],
    pictures: Pictures,
    numbers_kept: Numbers | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Return the HTML of the page: a ranked table, every gate of every analysis, and the reasons.

    ``notes`` are warnings about its figure, one a line.
    """
    kept, figures = numbers_kept or Numbers(escape), Figures()
    environment = page_environment(kept)
    environment.globals |= {"figure": partial(shown_figure, figures, pictures), "more": lambda names: []}
    names = [criterion.name for analysis in compared for criterion in analysis.results.verdict.criteria]
    body = environment.get_template("comparison.html.j2").render(
        compared=compared,
        notes=notes,
        count=len(compared),
        criteria=list(dict.fromkeys(names)),
        tiny=any(analysis.results.weights == "tiny" for analysis in compared),
    )
    return whole_page(f"{len(compared)} analyses side by side", body, figures)
