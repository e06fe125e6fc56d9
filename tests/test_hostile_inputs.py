"""Hostile pictures: a table of the files in a folder, and the results."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from foresight_cli.config import ImageFolderConfig
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.run import extract
from foresight_cli.latents import load
from tests.builders import only, pixels, qwen


def picture(*size: int) -> Callable[[Path], object]:
    return lambda path: Image.effect_noise(size, 50).convert("RGB").save(path)


def bomb(path: Path) -> None:
    """100,000 x 100,000 pixels in a file of a hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


def loop(path: Path) -> None:
    path.mkdir()
    picture(8, 8)(path / "a.png")
    (path / "again").symlink_to(path, target_is_directory=True)
    (path / "up").symlink_to(path.parent, target_is_directory=True)


def cut(path: Path) -> None:
    picture(64, 64)(path)
    path.write_bytes(path.read_bytes()[:-100])


def deep(path: Path) -> None:
    path.parent.mkdir(parents=True)
    picture(8, 8)(path)


@dataclass
class Case:
    """The name and content of a file, and the line that names it; None if it is read like any other."""

    name: str
    make: Callable[[Path], object]
    refused: str | None = None
    id: str | None = None


NOT_AN_IMAGE = (
    "not an image, or of a kind that is not read (formats: AVIF, BMP, GIF, HEIF, JPEG, JPEG2000, PNG, PPM, TIFF, WEBP)"
)
DEEP = "/".join(["folder"] * 200) + "/a.png"
CASES = {
    "one pixel": Case("a.png", picture(1, 1)),
    "20,000 x 10": Case("a.png", picture(20_000, 10)),
    "10 x 20,000": Case("a.png", picture(10, 20_000)),
    "a deep path": Case(DEEP, deep),
    "unicode": Case("日本 é 🙂.png", picture(8, 8)),
    "a newline": Case("a\nb.png", picture(8, 8)),
    "a name of 250 letters": Case("x" * 246 + ".png", picture(8, 8)),
    "quotes and markup": Case("'\"<script>$(rm) %s {x}.png", picture(8, 8)),
    "folders that link to themselves": Case("loop", loop, id="loop/a.png"),
    "a bomb": Case(
        "a.png",
        bomb,
        "100000 x 100000 pixels are more than data.max_pixels=89478485. To read it, add data.max_pixels=10000000000",
    ),
    "no bytes": Case("a.png", lambda path: path.write_bytes(b""), "the file is empty"),
    "text": Case("a.png", lambda path: path.write_text("hello"), NOT_AN_IMAGE),
    "a cut file": Case("a.png", cut, "the file is truncated"),
    "a program": Case(
        "a.png",
        lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        NOT_AN_IMAGE,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("model", ["pixels", "qwen25vl"])
def test_what_comes_of_it(tmp_path, qwen_checkpoint, model, case):
    folder = tmp_path / "p"
    folder.mkdir()
    picture(30, 20)(folder / "zz.png")
    case.make(folder / case.name)
    data = ImageFolderConfig(name="imagefolder", path=str(folder), on_error="raise")
    config = (
        pixels(tmp_path / "c", data=data) if model == "pixels" else qwen(tmp_path / "c", qwen_checkpoint, data=data)
    )
    if case.refused is None:
        latents = load(only(extract(config)))
        assert latents.ids == sorted([case.id or case.name, "zz.png"])
        assert latents.values.isfinite().all()
        return
    with pytest.raises(ForesightError) as caught:
        extract(config)
    assert str(caught.value) == (
        f"cannot decode '{case.name}': {case.refused}. To leave such files out, add data.on_error=skip"
    )
    skipping = ImageFolderConfig(name="imagefolder", path=str(folder), on_error="skip")
    entry = only(extract(pixels(tmp_path / "d", data=skipping)))
    assert entry.manifest()["skipped"] == [[case.name, case.refused]]
    assert load(entry).ids == ["zz.png"]


def test_at_native_size_a_strip_is_refused_and_named(tmp_path, qwen_checkpoint):
    (tmp_path / "p").mkdir()
    picture(20_000, 10)(tmp_path / "p/strip.png")
    data = ImageFolderConfig(name="imagefolder", path=str(tmp_path / "p"), on_error="raise")
    with pytest.raises(ForesightError) as caught:
        extract(qwen(tmp_path / "c", qwen_checkpoint, data=data, resolution=None))
    assert str(caught.value) == (
        "cannot prepare 'strip.png': 20000 x 10 pixels: absolute aspect ratio must be smaller than 200, got 2000.0. To "
        "resize every picture to a square, add model.resolution=252. To leave such pictures out, add data.on_error=skip"
    )


def test_one_pixel_at_native_size(tmp_path, qwen_checkpoint):
    (tmp_path / "p").mkdir()
    picture(1, 1)(tmp_path / "p/dot.png")
    data = ImageFolderConfig(name="imagefolder", path=str(tmp_path / "p"), on_error="raise")
    entry = only(extract(qwen(tmp_path / "c", qwen_checkpoint, data=data, resolution=None)))
    assert load(entry).values.shape == (1, 32)
