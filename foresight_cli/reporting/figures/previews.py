"""``previews.png``: original, reconstruction and prediction side by side; ``previews.gif`` plays clips."""

from __future__ import annotations

import io
import logging
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foresight_cli.evaluation.likeness import Likeness
from foresight_cli.evaluation.previews import Preview, Previews
from foresight_cli.latents.storage.atomic import write_atomic
from foresight_cli.results.numbers import fixed

if TYPE_CHECKING:
    import torch
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

HEADINGS = ("original", "autoencoder's reconstruction", "adapter's prediction, decoded")
NAMED = 36  # characters that fit under a picture
PLAYED_DPI = 80  # of the GIF: only 600 px wide, because it holds every frame
HELD = 1000  # milliseconds that the last frame of a clip is shown
SPEED = 8.0  # frames per second of a clip without a frame rate
SHORTEST = 20  # milliseconds: browsers play faster GIFs at a tenth of the speed


def write_previews(previews: Previews, folder: Path) -> list[Path]:
    """Draw ``previews`` into ``folder``: ``previews.png``, and ``previews.gif`` if there is a clip among them.

    The same previews give the same bytes. Of a clip, the PNG has the middle frame.

    Returns:
        The files written.

    Raises:
        ForesightError: the folder cannot be written to.
    """
    from foresight_cli.reporting.figures.fonts import lay_out, no_font
    from foresight_cli.reporting.figures.style import DPI, style

    written = [folder / "previews.png"]
    with style():
        figure, axes = _figure(previews)
        if lost := lay_out(figure):  # once, for both
            log.warning("warning: %s", no_font(lost))
        figure.set_layout_engine("none")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        write_atomic(written[0], buffer.getvalue())
        if any(len(sample.original) > 1 for sample in previews.samples):
            written.append(folder / "previews.gif")
            write_atomic(written[1], _played(previews, figure, axes))
    return written


def title_of(previews: Previews) -> str:
    """Return the result as a title: the PSNR of the predictions, and that of the reconstructions, which bounds it."""
    made = _range([sample.to_original.psnr for sample in previews.samples])
    bound = _range([sample.ceiling.psnr for sample in previews.samples])
    return (
        f"The adapter's latents decode to pictures with a PSNR of {made}; the autoencoder's own reconstructions of "
        f"the same samples reach {bound}"
    )


def _range(values: list[float]) -> str:
    low, high = _decibels(min(values)), _decibels(max(values))
    return f"{low} dB" if low == high else f"{low} to {high} dB"


def _decibels(value: float) -> str:
    return fixed(value, 1) if isfinite(value) else "\N{INFINITY}"


def caption(measured: Likeness, to: str = "original") -> str:
    """Return PSNR and SSIM as a text.

    >>> caption(Likeness(21.346, 0.8123)), caption(Likeness(21.346, None), "reconstruction")
    ('to the original: 21.3 dB, SSIM 0.81', 'to the reconstruction: 21.3 dB')
    """
    ssim = "" if measured.ssim is None else f", SSIM {fixed(measured.ssim, 2)}"
    return f"to the {to}: {_decibels(measured.psnr)} dB{ssim}"


def _end(name: str) -> str:
    """Return the end of a name: it differs between the files of a folder and between the clips of a film."""
    from foresight_cli.reporting.figures.labels import clean

    name = clean(name)
    return name if len(name) <= NAMED else f"…{name[1 - NAMED :]}"


def _columns(sample: Preview) -> tuple[tuple[torch.Tensor, str], ...]:
    """Return the pictures of a row of the sheet, each with the lines under it."""
    from foresight_cli.reporting.figures.labels import shorten

    return (
        (sample.original, f"{shorten(sample.label, NAMED)}\n{_end(sample.id)}"),
        (sample.reconstruction, caption(sample.ceiling)),
        (sample.prediction, f"{caption(sample.to_original)}\n{caption(sample.to_reconstruction, 'reconstruction')}"),
    )


def _figure(previews: Previews) -> tuple[Figure, list[list[Axes]]]:
    """Return the sheet, and the axes of each sample's three pictures."""
    from foresight_cli.reporting.figures.style import new_figure

    rows = len(previews.samples)
    figure = new_figure(title_of(previews), 0.65 + 2.86 * rows, square=True)
    grid: list[list[Axes]] = figure.subplots(rows, len(HEADINGS), squeeze=False).tolist()
    for sample, line in zip(previews.samples, grid, strict=True):
        for ax, (pictures, text) in zip(line, _columns(sample), strict=True):
            ax.imshow(_bytes(pictures[len(pictures) // 2]), interpolation="antialiased")
            ax.set(xticks=[], yticks=[])
            ax.set_xlabel(text, loc="left", fontsize=7.5, linespacing=1.35)
            ax.spines[:].set(visible=True, color="#CCCCCC", linewidth=0.6)
    for ax, heading in zip(grid[0], HEADINGS, strict=True):
        ax.set_title(heading, color="#333333")
    return figure, grid


def _played(previews: Previews, figure: Figure, axes: list[list[Axes]]) -> bytes:
    """Return the sheet as a GIF: its pictures play at the clips' speed; shorter clips stop at their last frame."""
    from PIL import Image

    for ax in (ax for line in axes for ax in line):
        ax.images[0].set_visible(False)  # its edge would be visible around the other frames
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=PLAYED_DPI)
    sheet = Image.open(drawn).convert("RGB")
    boxes = [[_box(ax, sheet.size) for ax in line] for line in axes]
    count = max(len(sample.original) for sample in previews.samples)
    frames = []
    for time in range(count):
        frame = sheet.copy()
        for sample, line in zip(previews.samples, boxes, strict=True):
            for (pictures, _), (left, top, width, height) in zip(_columns(sample), line, strict=True):
                picture = Image.fromarray(_bytes(pictures[min(time, len(pictures) - 1)]))
                kind = Image.Resampling.LANCZOS if picture.width > width else Image.Resampling.NEAREST
                frame.paste(picture.resize((width, height), kind), (left, top))
        frames.append(frame)
    step = max(SHORTEST, round(1000 / (previews.samples[0].fps or SPEED)))
    buffer = io.BytesIO()
    waits = [step] * (count - 1) + [HELD]
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:], duration=waits, loop=0)
    return buffer.getvalue()


def _box(ax: Axes, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, width and height in pixels of the area inside the frame of ``ax``, on a sheet of that size."""
    box, (across, down) = ax.get_position(), size
    left, top = round(box.x0 * across) + 1, round((1 - box.y1) * down) + 1
    return left, top, round(box.x1 * across) - 1 - left, round((1 - box.y0) * down) - 1 - top


def _bytes(pixels: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Convert ``[H, W, 3]`` in [0, 1] to 8 bits."""
    return np.round(pixels.numpy() * 255).astype(np.uint8)
