import io
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from foresight_cli.data.dataset import UndecodableImage
from foresight_cli.data.decode import decode_rgb

HELP = "To leave such files out, add data.on_error=skip"
FORMATS = "AVIF, BMP, GIF, HEIF, JPEG, JPEG2000, PNG, PPM, TIFF, WEBP"
NOT_AN_IMAGE = f"not an image, or of a kind that is not read (formats: {FORMATS})"


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def reason(data, *limit):
    with pytest.raises(UndecodableImage) as caught:
        decode_rgb(data, "a/b.png", *limit)
    assert str(caught.value) == f"cannot decode 'a/b.png': {caught.value.reason}. {HELP}"
    assert caught.value.sample_id == "a/b.png"
    return caught.value.reason


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10), (10, 20_000)])
def test_extreme_sizes(size):
    assert decode_rgb(encoded(Image.new("RGB", size, (1, 2, 3)), "PNG"), "x").size == size


def test_other_bytes_are_refused():
    assert reason(b"") == "the file is empty"
    assert reason(b"\0") == NOT_AN_IMAGE
    assert reason(b"id,x\na.png,1\n" * 100) == NOT_AN_IMAGE
    assert reason(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n") == NOT_AN_IMAGE
    assert reason(b"P5\n2 2\n70000\n12345678") == "maxval must be greater than 0 and less than 65536"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "BMP", "PPM", "WEBP"])
def test_a_truncated_file_is_refused(kind):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    expected = {"WEBP": "could not create decoder object"}.get(
        kind, "the file is truncated"
    )  # libwebp gives no other reason
    assert reason(data[: len(data) // 2]) == expected


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "BMP", "PPM", "WEBP"])
def test_damaged_bytes_give_a_picture_or_a_short_reason(kind):
    rng = np.random.default_rng(2)
    whole = encoded(Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)), kind)
    reasons = []
    for _ in range(150):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(0, len(data), 4)] = rng.integers(0, 256, 4)
        try:
            decode_rgb(data[: rng.integers(1, len(data) + 1)].tobytes(), "x")
        except UndecodableImage as error:
            reasons.append(error.reason)
    assert len(reasons) > 10
    assert all(0 < len(text) <= 200 and "\n" not in text for text in reasons)


def test_a_picture_with_too_many_pixels_is_refused_with_the_setting_that_lets_it_in():
    data = encoded(Image.new("RGB", (30, 10)), "PNG")
    for limit in (299, 100):
        assert reason(data, limit) == (
            f"30 x 10 pixels are more than data.max_pixels={limit}. To read it, add data.max_pixels=300"
        )
    assert decode_rgb(data, "x", max_pixels=300).size == (30, 10)


@pytest.mark.filterwarnings("error")
def test_the_limit_is_ours_and_that_of_pillow_is_restored(monkeypatch):
    """Pillow warns above its limit and fails above twice that; both are off while a picture is decoded."""
    data = encoded(Image.new("RGB", (30, 10)), "PNG")
    for limit in (299, 100):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert decode_rgb(data, "x").size == (30, 10)
        assert limit == Image.MAX_IMAGE_PIXELS


def test_lack_of_memory_is_a_reason(monkeypatch):
    def convert(*_):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", convert)
    assert reason(encoded(Image.new("RGB", (2, 2)), "BMP")) == "not enough memory for its pixels"


def test_threads_leave_the_warning_filters_as_they_were():
    before = list(warnings.filters)
    gate = threading.Barrier(4)
    data = encoded(Image.effect_noise((200, 200), 50), "PNG")

    def many(worker):
        gate.wait()
        return [decode_rgb(data, "x").size for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        assert all(sizes == [(200, 200)] * 20 for sizes in pool.map(many, range(4)))
    assert warnings.filters == before
