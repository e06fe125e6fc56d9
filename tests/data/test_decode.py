import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from foresight_cli.data.dataset import UndecodableImage
from foresight_cli.data.decode import decode_rgb

RAMP = np.array([[0, 1, 255, 256, 1000], [32767, 32768, 65000, 65279, 65535]], dtype=np.uint16)
HELP = "To leave such files out, add data.on_error=skip"
NOT_AN_IMAGE = "not an image, or of a kind that is not read (formats: BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP)"
NO_WHITE = "signed, 32-bit or floating-point pixels have no fixed white; save it with 8 or 16 bits"


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(values, depth, colour_type, extra=b""):
    """Write a PNG by hand. ``values``: [height, width, channels], already packed into bytes if depth < 8."""
    height, width = values.shape[:2]
    if depth < 8:
        width *= 8 // depth
    rows = b"".join(b"\0" + row.astype(">u2" if depth == 16 else np.uint8).tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def tiff(values, bits, *, photometric, sample_format=1, order="<", packed=None):
    """Write an uncompressed TIFF by hand. ``values``: [height, width, channels]."""
    height, width, channels = values.shape
    data = packed or values.astype(values.dtype.newbyteorder(order)).tobytes()
    shorts = struct.pack(f"{order}{2 * channels}H", *[bits] * channels, *[sample_format] * channels)
    tags = [(256, 1, width), (257, 1, height), (258, channels, 0), (259, 1, 1), (262, 1, photometric), (273, 1, 0)]
    tags += [(277, 1, channels), (278, 1, height), (279, 1, len(data)), (339, channels, 0)]
    after = 8 + 2 + 12 * len(tags) + 4
    where = {258: after, 339: after + 2 * channels, 273: after + len(shorts)}
    entries = b""
    for tag, count, value in tags:
        kind = 3 if tag in (258, 339) else 4
        if kind == 3 and count == 1:
            entries += struct.pack(f"{order}HHIHH", tag, 3, 1, bits if tag == 258 else sample_format, 0)
        else:
            entries += struct.pack(f"{order}HHII", tag, kind, count, where.get(tag, value))
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(f"{order}IH", 8, len(tags)) + entries + struct.pack(f"{order}I", 0)
    return head + shorts + data


def pixels(data):
    image = decode_rgb(data, "x")
    assert type(image) is Image.Image
    assert image.mode == "RGB"
    assert image.info == {}
    return np.asarray(image)


def grey(values):
    return np.repeat(np.asarray(values, dtype=np.uint8)[..., None], 3, axis=2)


def over_white(colour, alpha):
    """Blend over white without Pillow: round(alpha * colour + (1 - alpha) * 255), halves up."""
    mixed = (colour.astype(float) * alpha + 255.0 * (255 - alpha.astype(float))) / 255
    return np.floor(mixed + 0.5).astype(np.uint8)


def reason(data):
    with pytest.raises(UndecodableImage) as caught:
        decode_rgb(data, "a/b.png")
    assert str(caught.value) == f"cannot decode 'a/b.png': {caught.value.reason}. {HELP}"
    assert caught.value.sample_id == "a/b.png"
    return caught.value.reason


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (7, 11, 4), dtype=np.uint8)


LOSSLESS = [("PNG", {}), ("BMP", {}), ("PPM", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})]


@pytest.mark.parametrize(("kind", "options"), [*LOSSLESS, ("WEBP", {"lossless": True})])
def test_lossless_formats_keep_every_value(colours, kind, options):
    rgb = colours[..., :3]
    np.testing.assert_array_equal(pixels(encoded(Image.fromarray(rgb), kind, **options)), rgb)


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 95, "subsampling": 0}), ("WEBP", {"quality": 95})])
def test_lossy_formats_come_close(kind, options):
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    rgb = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], np.uint8(128)), axis=2)
    assert np.abs(pixels(encoded(Image.fromarray(rgb), kind, **options)).astype(int) - rgb).mean() < 2


def test_rgba_is_laid_over_white(colours):
    expected = over_white(colours[..., :3], colours[..., 3:])
    np.testing.assert_array_equal(pixels(encoded(Image.fromarray(colours), "PNG")), expected)


def test_grey_with_alpha_is_laid_over_white(colours):
    data = encoded(Image.fromarray(colours[..., :2], "LA"), "PNG")
    np.testing.assert_array_equal(pixels(data), grey(over_white(colours[..., 0], colours[..., 1])))


def test_palette():
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    assert pixels(encoded(image, "PNG")).tolist() == [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]]
    one_clear = encoded(image, "PNG", transparency=1)
    assert pixels(one_clear).tolist() == [[[10, 20, 30], [255, 255, 255], [70, 80, 90]]]
    alphas = np.array([[255], [0], [51]], dtype=np.uint8)
    expected = over_white(np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]]), alphas)
    assert pixels(encoded(image, "PNG", transparency=bytes([255, 0, 51]))).tolist() == [expected.tolist()]


def test_one_bit():
    image = Image.fromarray(np.array([[True, False, True]]))
    for kind in ("PNG", "TIFF", "BMP"):
        assert pixels(encoded(image, kind)).tolist() == grey([[255, 0, 255]]).tolist()


@pytest.mark.parametrize(
    ("depth", "packed", "levels"),
    [(1, 0b10110001, [255, 0, 255, 255, 0, 0, 0, 255]), (2, 0b00011011, [0, 85, 170, 255]), (4, 0x1F, [17, 255])],
)
def test_grey_png_below_8_bits_and_its_transparent_colour(depth, packed, levels):
    row = np.array([[packed]], dtype=np.uint8)
    assert pixels(png(row, depth, 0)).tolist() == grey([levels]).tolist()
    clear = chunk(b"tRNS", struct.pack(">H", 1))  # level 1 of 2 ** depth - 1
    unit = 255 // (2**depth - 1)
    assert pixels(png(row, depth, 0, clear)).tolist() == grey([[255 if v == unit else v for v in levels]]).tolist()


def test_transparent_colour_of_8_bit_rgb():
    clear = chunk(b"tRNS", struct.pack(">3H", 10, 20, 30))
    values = np.array([[[10, 20, 30], [10, 20, 31]]])
    assert pixels(png(values, 8, 2, clear)).tolist() == [[[255, 255, 255], [10, 20, 31]]]


# value >> 8 is the reference: the high byte, computed by numpy and not by Pillow.
@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_grey(order):
    expected = grey(RAMP >> 8)
    np.testing.assert_array_equal(pixels(png(RAMP[..., None], 16, 0)), expected)
    np.testing.assert_array_equal(pixels(tiff(RAMP[..., None], 16, photometric=1, order=order)), expected)
    np.testing.assert_array_equal(pixels(encoded(Image.fromarray(RAMP), "TIFF", compression="tiff_lzw")), expected)
    np.testing.assert_array_equal(pixels(b"P5\n5 2\n65535\n" + RAMP.astype(">u2").tobytes()), expected)


def test_16_bit_grey_where_zero_is_white():
    np.testing.assert_array_equal(pixels(tiff(RAMP[..., None], 16, photometric=0)), 255 - grey(RAMP >> 8))


def test_16_bit_grey_with_a_transparent_value_compares_all_16_bits():
    values = np.array([[[1000], [1001]]])
    clear = chunk(b"tRNS", struct.pack(">H", 1000))
    assert pixels(png(values, 16, 0, clear)).tolist() == grey([[255, 1001 >> 8]]).tolist()


def test_12_bit_grey_tiff():
    values = np.array([[[0xABC], [0xFFF]]], dtype=np.uint16)
    data = tiff(values, 12, photometric=1, packed=bytes([0xAB, 0xCF, 0xFF]))
    assert pixels(data).tolist() == grey([[0xAB, 0xFF]]).tolist()


def test_grey_pgm_with_an_odd_maximum_is_scaled_to_it():
    assert pixels(b"P5\n3 1\n1000\n" + struct.pack(">3H", 0, 500, 1000)).tolist() == grey([[0, 128, 255]]).tolist()
    assert pixels(b"P2\n2 1\n4095\n0 4095\n").tolist() == grey([[0, 255]]).tolist()


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_rgb(order):
    rgb = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=2)
    np.testing.assert_array_equal(pixels(png(rgb, 16, 2)), rgb >> 8)
    np.testing.assert_array_equal(pixels(tiff(rgb, 16, photometric=2, order=order)), rgb >> 8)


def test_16_bit_alpha():
    rgba = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1], RAMP], axis=2)
    eight = (rgba >> 8).astype(np.uint8)
    np.testing.assert_array_equal(pixels(png(rgba, 16, 6)), over_white(eight[..., :3], eight[..., 3:]))
    grey_alpha = np.stack([RAMP[::-1], RAMP], axis=2)
    expected = grey(over_white(eight[::-1][..., 0], eight[..., 0]))
    np.testing.assert_array_equal(pixels(png(grey_alpha, 16, 4)), expected)


def test_16_bit_rgb_with_a_transparent_colour_is_refused():
    clear = chunk(b"tRNS", struct.pack(">3H", 300, 300, 300))
    data = png(np.full((1, 1, 3), 300), 16, 2, clear)
    assert reason(data) == ("a 16-bit RGB PNG with a transparent colour; save it with an alpha channel, or with 8 bits")


@pytest.mark.parametrize(
    ("dtype", "bits", "sample_format"), [("i2", 16, 2), ("i4", 32, 2), ("u4", 32, 1), ("f4", 32, 3)]
)
def test_pixels_without_a_fixed_white_are_refused(dtype, bits, sample_format):
    assert reason(tiff(np.ones((1, 1, 1), dtype), bits, photometric=1, sample_format=sample_format)) == NO_WHITE


def test_cmyk(colours):
    cmyk = colours.astype(float)
    expected = (255 - cmyk[..., :3]) * (255 - cmyk[..., 3:]) / 255  # one ink at a time; no colour profile
    tif = pixels(encoded(Image.fromarray(colours, "CMYK"), "TIFF"))
    assert np.abs(tif - expected).max() <= 1
    flat = np.broadcast_to(np.array([200, 40, 90, 30], dtype=np.uint8), (16, 16, 4))
    jpeg = pixels(encoded(Image.fromarray(np.ascontiguousarray(flat), "CMYK"), "JPEG", quality=100))
    expected = (255 - flat[0, 0, :3].astype(float)) * (255 - 30) / 255
    assert np.abs(jpeg - expected).max() <= 4


# EXIF 2.3, tag 274: is the picture mirrored left to right, mirrored top to bottom, after its axes are swapped?
TURNS = {
    1: (0, 0, 0),
    2: (1, 0, 0),
    3: (1, 1, 0),
    4: (0, 1, 0),
    5: (0, 0, 1),
    6: (1, 0, 1),
    7: (1, 1, 1),
    8: (0, 1, 1),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_once(orientation, kind):
    corners = np.zeros((16, 32, 3), dtype=np.uint8)
    corners[:8, :16], corners[:8, 16:], corners[8:, :16] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[274] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    got = decode_rgb(encoded(Image.fromarray(corners), kind, exif=exif, **options), "x")
    left_right, top_bottom, swapped = TURNS[orientation]
    expected = corners.transpose(1, 0, 2) if swapped else corners
    expected = expected[:: -1 if top_bottom else 1, :: -1 if left_right else 1]
    assert np.abs(np.asarray(got).astype(int) - expected).max() <= 3
    assert ImageOps.exif_transpose(got).tobytes() == got.tobytes()


def test_orientation_of_16_bit_grey():
    exif = Image.Exif()
    exif[274] = 6
    assert pixels(encoded(Image.fromarray(RAMP), "PNG", exif=exif)).tolist() == grey(np.rot90(RAMP >> 8, -1)).tolist()


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12"]
)
def test_broken_exif_leaves_the_pixels(exif):
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    assert np.abs(pixels(encoded(image, "JPEG", exif=exif, quality=100)).astype(int) - (200, 100, 50)).max() <= 3


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert pixels(data).tolist() == np.asarray(frames[0]).tolist()


def test_gif_transparency():
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    assert pixels(encoded(image, "GIF", transparency=1)).tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_multi_picture_jpeg_gives_its_first_picture():
    first, second = Image.new("RGB", (8, 8), (200, 100, 50)), Image.new("RGB", (8, 8), "blue")
    data = encoded(first, "MPO", save_all=True, append_images=[second], quality=100)
    assert np.abs(pixels(data).astype(int) - (200, 100, 50)).max() <= 3
