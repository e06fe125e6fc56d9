"""Predicted latents looked at: decoded to pictures, measured against the originals, and drawn as one sheet."""

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
