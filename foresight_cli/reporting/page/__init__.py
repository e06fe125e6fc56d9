"""``report.html``: the whole report in one file that needs no network and no script."""

from foresight_cli.reporting.page.comparison import render_comparison
from foresight_cli.reporting.page.render import Pictures, as_webp, render_page

__all__ = ["Pictures", "as_webp", "render_comparison", "render_page"]
