"""The picture formats that this machine reads, by their names in Pillow, and their suffixes."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from threading import Lock

# Named, because Pillow goes by content: a PostScript file called cat.png would otherwise start Ghostscript.
SUFFIXES = {
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "JPEG": (".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"),  # MPO: several JPEGs in one file, from phones
    "JPEG2000": (".j2k", ".jp2", ".jpf", ".jpx"),
    "PNG": (".apng", ".png"),
    "PPM": (".pbm", ".pgm", ".pnm", ".ppm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "HEIF": (".heic", ".heif", ".hif"),
    "AVIF": (".avif",),
}
"""The suffixes of each format. HEIF is before AVIF, whose reader does not pass on a HEIF file of the brand "mif1"."""

HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")

STARTS = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")
"""The first bytes of formats that they identify; WebP, HEIF and AVIF are identified by later bytes."""
JPEG2000_STARTS = (b"\0\0\0\x0cjP", b"\xffO\xffQ")
"""The first bytes of a JPEG 2000 file, and of a bare codestream."""

_register = Lock()


@cache
def missing_reader(kind: str) -> str | None:
    """Return what to install to read pictures of the format ``kind``; None if nothing is missing.

    For HEIF, only the presence of the package is checked: it is imported when the first such picture is read.
    """
    if kind == "HEIF" and find_spec("pillow_heif") is None:
        return "pip install 'foresight-latents[heif]'"
    if kind in ("AVIF", "JPEG2000"):
        from PIL import features

        name = {"AVIF": "avif", "JPEG2000": "jpg_2000"}[kind]
        # An older Pillow does not know the name, and warns.
        if name not in {*features.modules, *features.codecs} or not features.check(name):
            return "pip install --upgrade pillow"
    return None


@cache
def formats() -> tuple[str, ...]:
    """Return the formats that this machine reads."""
    return tuple(kind for kind in SUFFIXES if missing_reader(kind) is None)


@cache
def suffixes() -> tuple[str, ...]:
    """Return the suffixes of the pictures that this machine reads, in order."""
    return tuple(sorted(suffix for kind in formats() for suffix in SUFFIXES[kind]))


def remedy(suffix: str) -> str | None:
    """Return what to install to read files of ``suffix``; None if they are read already, or if nothing helps."""
    return next((missing_reader(kind) for kind, of_kind in SUFFIXES.items() if suffix in of_kind), None)


def kind_by_content(data: bytes) -> str | None:
    """Return HEIF, AVIF or JPEG2000, which not every machine reads, if the bytes of a file name it; else None.

    Source: ISO/IEC 14496-12, 4.3 (the brands of an ftyp box).
    """
    if data.startswith(JPEG2000_STARTS):
        return "JPEG2000"
    if data[4:8] != b"ftyp":
        return None
    size = int.from_bytes(data[:4], "big")
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, min(size, 256), 4))}
    if brands.intersection(AVIF_BRANDS):  # its major brand may be "mif1", like that of a HEIF file
        return "AVIF"
    return "HEIF" if data[8:12] in HEIF_BRANDS else None


def not_read() -> str:
    """Return why bytes that no reader of this machine takes for a picture are left out."""
    return f"not an image, or of a kind that is not read (formats: {', '.join(sorted(formats()))})"


def looks_like_a_picture(data: bytes) -> bool:
    """Check whether the first bytes of a file are those of a picture."""
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return webp or data.startswith(STARTS) or kind_by_content(data) is not None


def register_heif() -> None:
    """Make Pillow read HEIF; called at the first such picture only, since it loads a large library."""
    from PIL import Image

    with _register:
        if "HEIF" not in Image.OPEN:
            import pillow_heif

            pillow_heif.register_heif_opener()
