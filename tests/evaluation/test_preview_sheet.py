"""Tests of the sheet and its GIF: every picture in its place, correct numbers, the same bytes each time."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from foresight_cli.errors import ForesightError
from foresight_cli.evaluation.likeness import Likeness
from foresight_cli.evaluation.previews import Preview, Previews, preview
from foresight_cli.reporting.figures.previews import PLAYED_DPI, _figure, title_of, write_previews
from foresight_cli.reporting.figures.style import DPI, style
from tests.evaluation.conftest import predictions

RED, GREEN, BLUE, WHITE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 1.0)


def flat(*colours, side: int = 16) -> torch.Tensor:
    """Return a frame of each colour."""
    return torch.tensor(colours)[:, None, None, :].expand(-1, side, side, 3)


def sample(name="best", original=(RED,), reconstruction=(GREEN,), prediction=(BLUE,), fps=None, **changes) -> Preview:
    values = {
        "id": f"{name}-0001",
        "label": f"{name}: held-out R² 0.93",
        "ceiling": Likeness(31.24, 0.915),
        "to_original": Likeness(25.0, 0.8),
        "to_reconstruction": Likeness(28.06, 0.9),
    }
    pictures = (flat(*colours) for colours in (original, reconstruction, prediction))
    shown = dict(zip(("original", "reconstruction", "prediction"), pictures, strict=True))
    return Preview(fps=fps, **shown, **{**values, **changes})


def sheet(*samples: Preview) -> Previews:
    return Previews("ltxv", samples)


def centres(image: Image.Image, rows: int) -> list[list[tuple[int, ...]]]:
    """Return the colour near the middle of each picture of the sheet, row by row."""
    pixels = np.asarray(image.convert("RGB")).astype(int)
    height, width = pixels.shape[:2]
    columns = [round(width * share) for share in (1 / 6, 1 / 2, 5 / 6)]
    paper = 0.13 * height if rows == 1 else 0.08 * height  # under the title
    colours = []
    for row in range(rows):
        y = round(paper + (height - paper) * (row + 0.45) / rows)
        colours.append([tuple(int(v) for v in pixels[y, x]) for x in columns])
    return colours


def near(colours, *wanted) -> None:
    """Check that colours are about the wanted ones: a GIF has a palette of 256 colours."""
    flat_colours, flat_wanted = np.array(colours).reshape(-1, 3), 255 * np.array(wanted).reshape(-1, 3)
    np.testing.assert_allclose(flat_colours, flat_wanted, rtol=0, atol=6)


def test_rows_are_samples_and_columns_are_original_reconstruction_and_prediction(tmp_path):
    files = write_previews(sheet(sample("best"), sample("worst", (BLUE,), (RED,), (GREEN,))), tmp_path)
    assert files == [tmp_path / "previews.png"]
    with Image.open(files[0]) as image:
        assert image.width == 900
        assert centres(image, 2) == [
            [(255, 0, 0), (0, 255, 0), (0, 0, 255)],
            [(0, 0, 255), (255, 0, 0), (0, 255, 0)],
        ]


@pytest.mark.parametrize(("rows", "most"), [(1, 450), (2, 800), (3, 1140)])
def test_no_paper_is_left_over(tmp_path, rows, most):
    (file,) = write_previews(sheet(*[sample(str(row)) for row in range(rows)]), tmp_path)
    with Image.open(file) as image:
        assert image.height < most
        inked = (np.asarray(image.convert("L")) < 250).any(axis=1).nonzero()[0]
        assert inked[0] < 30
        assert image.height - inked[-1] < 45


def words(made: Previews) -> list[str]:
    """Return all text of the sheet except the headings, row by row."""
    with style():
        _, axes = _figure(made)
        return [ax.get_xlabel() for line in axes for ax in line]


def test_what_is_written():
    made = sheet(sample(), sample("worst", ceiling=Likeness(math.inf, None), to_original=Likeness(9.96, -0.004)))
    assert words(made) == [
        "best: held-out R² 0.93\nbest-0001",
        "to the original: 31.2 dB, SSIM 0.92",
        "to the original: 25.0 dB, SSIM 0.80\nto the reconstruction: 28.1 dB, SSIM 0.90",
        "worst: held-out R² 0.93\nworst-0001",
        "to the original: \N{INFINITY} dB",
        "to the original: 10.0 dB, SSIM 0.00\nto the reconstruction: 28.1 dB, SSIM 0.90",
    ]
    with style():
        figure, axes = _figure(made)
        assert [ax.get_title(loc="left") for ax in axes[0]] == [
            "original",
            "autoencoder's reconstruction",
            "adapter's prediction, decoded",
        ]
        assert " ".join(figure.get_suptitle().split()) == title_of(made)


def test_the_title_is_the_finding():
    assert title_of(sheet(sample(), sample(to_original=Likeness(21.04, 0.5)))) == (
        "The adapter's latents decode to pictures with a PSNR of 21.0 to 25.0 dB; the autoencoder's own "
        "reconstructions of the same samples reach 31.2 dB"
    )


def test_of_long_names_the_end_is_shown():
    shown = [sample(id=name) for name in ("a/very/long/folder/" * 4 + "x.png", "b" * 36, "b" * 37, "line\nbreak")]
    assert [text.splitlines()[1] for text in words(sheet(*shown))[::3]] == [
        "…ong/folder/a/very/long/folder/x.png",
        "b" * 36,
        "…" + "b" * 35,
        "line break",
    ]


@pytest.mark.parametrize("dpi", [DPI, PLAYED_DPI])
def test_lines_end_within_their_column(dpi):
    widest = sample(
        "median", id="0" * 60, label="median: held-out R² -1,234.56", to_reconstruction=Likeness(100, -0.01)
    )
    with style():
        figure, (axes,) = _figure(sheet(widest))
        figure.set_dpi(dpi)
        figure.draw_without_rendering()
        ends = [ax.xaxis.label.get_window_extent().x1 for ax in axes]
        assert ends[0] < axes[1].get_window_extent().x0
        assert ends[1] < axes[2].get_window_extent().x0
        assert ends[2] < figure.bbox.width


def test_bytes_are_the_same_every_time(tmp_path):
    made = sheet(sample(fps=8.0, original=(RED, BLUE), reconstruction=(GREEN, RED), prediction=(BLUE, RED)))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    for first, second in zip(*(write_previews(made, tmp_path / name) for name in ("one", "two")), strict=True):
        assert first.read_bytes() == second.read_bytes()


# --- clips


THREE = {"original": (RED, GREEN, BLUE), "reconstruction": (GREEN, BLUE, RED), "prediction": (BLUE, RED, GREEN)}


def test_clips_are_played_and_their_middle_frame_is_shown(tmp_path):
    png, gif = write_previews(sheet(sample(fps=8.0, **THREE), sample("worst", fps=8.0)), tmp_path)
    assert (png.name, gif.name) == ("previews.png", "previews.gif")
    with Image.open(png) as image:
        assert centres(image, 2)[0] == [(0, 255, 0), (0, 0, 255), (255, 0, 0)]
    with Image.open(gif) as film:
        assert (film.n_frames, film.info["loop"], film.width) == (3, 0, 600)
        waits = []
        for time, wanted in enumerate(zip(*THREE.values(), strict=True)):
            film.seek(time)
            waits.append(film.info["duration"])
            near(centres(film, 2)[0], *wanted)
            near(centres(film, 2)[1], RED, GREEN, BLUE)  # the shorter one stops at its last frame
        assert waits == [120, 120, 1000]  # GIF counts in hundredths of a second


@pytest.mark.parametrize(("fps", "wait"), [(25.0, 40), (240.0, 20), (0.5, 2000), (None, 120)])
def test_the_films_speed(tmp_path, fps, wait):
    _, gif = write_previews(sheet(sample(fps=fps, **THREE)), tmp_path)
    with Image.open(gif) as film:
        assert film.info["duration"] == wait


def test_pictures_cover_those_of_the_sheet(tmp_path):
    """No part of the middle frame is visible around the others."""
    still = dict.fromkeys(THREE, (WHITE, RED, WHITE))
    _, gif = write_previews(sheet(sample(fps=8.0, **still)), tmp_path)
    with Image.open(gif) as film:
        for time, red in ((0, 0), (1, 3 * 150 * 150), (2, 0)):
            film.seek(time)
            pixels = np.asarray(film.convert("RGB")).astype(int)
            count = int(((pixels[..., 0] > 200) & (pixels[..., 1] < 100)).sum())
            assert count == 0 if red == 0 else count > red


@pytest.mark.parametrize("kind", ["stills", "films"])
def test_real_samples(kind, request, tmp_path):
    entry, dataset = request.getfixturevalue(kind)
    ids = [s.id for s in dataset.samples][:3]
    _, predicted = predictions(entry, ids)
    made = preview(entry, predicted, ids, ["best", "median", "worst"], dataset, "cpu")
    files = write_previews(made, tmp_path)
    assert [file.name for file in files] == {"stills": ["previews.png"], "films": ["previews.png", "previews.gif"]}[
        kind
    ]
    for file in files:
        with Image.open(io.BytesIO(file.read_bytes())) as image:
            assert getattr(image, "n_frames", 1) == (9 if file.suffix == ".gif" else 1)
        assert file.stat().st_size < 2_000_000
    middle = made.samples[0].original[len(made.samples[0].original) // 2].mean(dim=(0, 1)) * 255
    with Image.open(files[0]) as image:
        pixels = np.asarray(image.convert("RGB"))
        left, top = 12, round(0.09 * image.height)
        np.testing.assert_allclose(pixels[top : top + 260, left : left + 276].mean(axis=(0, 1)), middle, rtol=0, atol=6)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ForesightError) as caught:
        write_previews(sheet(sample()), tmp_path / "gone")
    assert str(caught.value).startswith(f"cannot write {tmp_path / 'gone/previews.png'}: No such file or directory. ")
