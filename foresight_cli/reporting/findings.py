"""``FINDINGS.md``: the results in the shape of the Q1 study, rendered from ``findings.md.j2``."""

from __future__ import annotations

from collections.abc import Sequence

from foresight_cli.reporting.captions import caption
from foresight_cli.reporting.commands import with_commands
from foresight_cli.reporting.context import report_context
from foresight_cli.reporting.figures import Drawn
from foresight_cli.reporting.markdown import Markdown, code_block, code_span, escape, yaml_block
from foresight_cli.reporting.templates import template_environment
from foresight_cli.reporting.traced import Numbers
from foresight_cli.results import AdapterResults, Analysis


def render_findings(
    results: Analysis, adapters: Sequence[AdapterResults], drawn: Drawn, numbers_kept: Numbers | None = None
) -> str:
    """Return the text of ``FINDINGS.md``; ``drawn`` has the names of the figures that are in ``figures/``."""
    kept = numbers_kept or Numbers()
    environment = template_environment(
        escape, kept, yaml=yaml_block, fence=code_block, code=code_span, commands=_with_code
    )
    environment.globals |= {
        "blocks": "blocks.md.j2",
        "figures": lambda names: _embed(names, drawn),
        "others": lambda names: _links(names, drawn),
    }
    context = report_context(results, adapters, drawn, kept)
    return environment.get_template("findings.md.j2").render(context)


def _with_code(text: str) -> Markdown:
    """Return ``text`` with its commands as code, in which no character is escaped."""
    return Markdown("".join(code_span(piece) if command else escape(piece) for piece, command in with_commands(text)))


def _embed(names: Sequence[str], drawn: Drawn) -> Markdown:
    shown = [name for name in names if name in drawn.names]
    return Markdown("".join(f"![{caption(n)}](figures/{n}.png)\n\n*{caption(n)}.*\n\n" for n in shown))


def _links(names: Sequence[str], drawn: Drawn) -> Markdown:
    return Markdown(", ".join(f"[{name}](figures/{name}.png)" for name in names if name in drawn.names))
