"""Previews of predicted latents: decoded to pictures, compared with the originals, and drawn on one sheet."""

from foresight_cli.previews.likeness import Likeness, likeness
from foresight_cli.previews.samples import Preview, Previews, best_median_worst, decodable, preview
from foresight_cli.previews.sheet import write_previews

__all__ = [
    "Likeness",
    "Preview",
    "Previews",
    "best_median_worst",
    "decodable",
    "likeness",
    "preview",
    "write_previews",
]
