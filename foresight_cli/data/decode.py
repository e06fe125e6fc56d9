"""Decode the bytes of an image file to an upright 8-bit RGB image, or give one short reason why it cannot be decoded.

The steps are, in this order: read the first frame or page, in HEIF the primary picture; keep the high byte of 16-bit
samples (``value >> 8``, as Pillow does for 16-bit RGB, so a grey picture gives the same numbers in either layout); lay
alpha over white; apply the EXIF orientation. Colour profiles and gamma are ignored, as in the loaders that models are
trained with.
"""

from __future__ import annotations

import io
import threading
import warnings

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from foresight_cli.config.data import MAX_PIXELS
from foresight_cli.data.dataset import UndecodableImage
from foresight_cli.data.picture_formats import formats, kind_by_content, missing_reader, not_read, register_heif

# ImageOps.exif_transpose does the same, but rewrites the whole EXIF block on its way and fails on a malformed one.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class _PillowSettings:
    """A context in which Pillow's warnings and its limit of pixels are off: :func:`_decode` checks the pixels itself.

    Both are settings of the whole process, so two threads that leave in the wrong order would leave them changed for
    good. Here the first thread in changes them and the last one out restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved = warnings.catch_warnings()
        self._limit: int | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.simplefilter("ignore")
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._saved.__exit__(None, None, None)
                Image.MAX_IMAGE_PIXELS = self._limit


_pillow_settings = _PillowSettings()


def decode_rgb(data: bytes, sample_id: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode ``data``, the bytes of a whole image file: upright, mode RGB, 8 bits a channel, no metadata.

    Safe to call from several threads.

    Args:
        data: the bytes.
        sample_id: the sample, for errors.
        max_pixels: a picture with more is refused before any of them is read.

    Raises:
        UndecodableImage: for ``sample_id``, whatever is wrong with the bytes. No other exception, no warning.
    """
    if not data:
        raise UndecodableImage(sample_id, "the file is empty")
    try:
        with _pillow_settings:
            return _decode(data, max_pixels)
    except Exception as error:  # on broken files Pillow raises OSError, SyntaxError, struct.error, IndexError and more
        raise UndecodableImage(sample_id, _reason(error)) from error


def refuse_large(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture or a frame of more than ``max_pixels`` pixels.

    Raises:
        ValueError: it has more; the text names the setting that allows it.
    """
    if width * height > max_pixels:
        raise ValueError(
            f"{width} x {height} pixels are more than data.max_pixels={max_pixels}. "
            f"To read it, add data.max_pixels={width * height}"
        )


def header_pixels(data: bytes, sample_id: str, max_pixels: int = MAX_PIXELS) -> int:
    """Return width times height of the picture in ``data``, by its header; the pixels are not read.

    Raises:
        UndecodableImage: for ``sample_id``, whatever is wrong with the header.
    """
    if not data:
        raise UndecodableImage(sample_id, "the file is empty")
    try:
        with _pillow_settings, Image.open(io.BytesIO(data), formats=_formats_of(data)) as image:
            refuse_large(*image.size, max_pixels)
            return image.width * image.height
    except Exception as error:
        raise UndecodableImage(sample_id, _reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return not_read()
    if isinstance(error, MemoryError):
        return "not enough memory for its pixels"
    text = " ".join(str(error).split()).rstrip(".")
    if "truncated" in text.lower():
        return "the file is truncated"
    return text[:200] or type(error).__name__


def _formats_of(data: bytes) -> tuple[str, ...]:
    """Return the formats to try: the one that the file's brand names, or all those without brands.

    Raises:
        ValueError: it is of a format that this machine has no reader for.
    """
    kind = kind_by_content(data)
    if kind is None:
        return tuple(other for other in formats() if other not in ("AVIF", "HEIF"))
    if command := missing_reader(kind):
        raise ValueError(f"{kind} is not read on this machine yet: {command}")
    if kind == "HEIF":
        register_heif()
    return (kind,)


def _decode(data: bytes, max_pixels: int) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=_formats_of(data)) as image:
        refuse_large(*image.size, max_pixels)
        image.load()
        if image.format == "PNG":
            _scale_png_transparency(image, depth=data[24])  # IHDR always comes first, its depth at byte 24
        rgb = _over_white(_eight_bits(image))
        turn = _TURNS.get(_orientation(image))
    upright = rgb if turn is None else rgb.transpose(turn)
    upright.info = {}  # a caller's exif_transpose would apply a remaining orientation again
    return upright


def _orientation(image: Image.Image) -> int:
    try:
        # Read after load(): a PNG may have its EXIF after the pixels, and Pillow turns a TIFF while loading it.
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a broken EXIF block does not affect the pixels
        return 1


def _scale_png_transparency(image: Image.Image, *, depth: int) -> None:
    """Scale a PNG's one transparent colour like the loaded pixels, which Pillow does not do."""
    key = image.info.get("transparency")
    if image.mode == "L" and key is not None:
        image.info["transparency"] = key * {2: 85, 4: 17}.get(depth, 1)
    if image.mode == "RGB" and key is not None and depth == 16:
        # Pillow has already dropped the low bytes that tell this colour from its 2^24 neighbours.
        raise ValueError("a 16-bit RGB PNG with a transparent colour; save it with an alpha channel, or with 8 bits")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return ``image``, or an L or LA copy if its channel holds more than 8 bits: Pillow's convert() clips those."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return _from_16_bits(image)
    if image.mode in ("I", "F"):
        raise ValueError("signed, 32-bit or floating-point pixels have no fixed white; save it with 8 or 16 bits")
    return image


def _from_16_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)  # [height, width]
    bits, white_is_zero = 16, False
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2[TiffImagePlugin.BITSPERSAMPLE][0]  # 12-bit samples arrive unscaled
        white_is_zero = image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
    grey = (values >> (bits - 8)).astype(np.uint8)
    picture = Image.fromarray(255 - grey if white_is_zero else grey)
    key = image.info.get("transparency")
    if key is not None:
        picture.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return picture


def _over_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    white = Image.new("RGB", rgba.size, "white")
    white.paste(rgba.convert("RGB"), mask=rgba.getchannel("A"))
    return white
