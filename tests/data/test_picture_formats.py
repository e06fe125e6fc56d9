"""Formats that phones and browsers write, against Pillow and pillow-heif."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import ExifTags, Image, features

from foresight_cli.data import UndecodableImage, picture_formats
from foresight_cli.data.decode import decode_rgb
from foresight_cli.data.imagefolder import ImageFolder
from foresight_cli.data.picture_formats import kind_by_content
from foresight_cli.errors import ForesightError

pillow_heif = pytest.importorskip("pillow_heif")
CORNERS = np.zeros((32, 48, 3), np.uint8)
CORNERS[:16, :24], CORNERS[:16, 24:], CORNERS[16:, :24] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
TURNED = {  # the corners of the stored picture by EXIF's definition, in numpy
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


@pytest.fixture(scope="module", autouse=True)
def _writer():
    picture_formats.register_heif()


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(seed=0, size=(21, 34)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def test_every_suffix_is_read_and_gives_the_pixels_of_pillow(tmp_path):
    """Files of each suffix, in lower and upper case, written by Pillow in the format of the suffix."""
    modes = {".pbm": "1", ".pgm": "L"}
    expected = {}
    for kind, of_kind in picture_formats.SUFFIXES.items():
        for suffix in of_kind:
            for name in (f"a{suffix}", f"B{suffix.upper()}"):
                picture = noise().convert(modes.get(suffix, "RGB"))
                options = {"save_all": True, "append_images": [noise(1)]} if suffix == ".mpo" else {}
                (tmp_path / name).write_bytes(encoded(picture, "MPO" if suffix == ".mpo" else kind, **options))
                with Image.open(tmp_path / name) as image:
                    expected[name] = np.asarray(image.convert("RGB"))
    dataset = ImageFolder(tmp_path)
    assert [sample.id for sample in dataset.samples] == sorted(expected)
    for index, sample in enumerate(dataset.samples):
        np.testing.assert_array_equal(dataset.image(index), expected[sample.id], err_msg=sample.id)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(kind, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encoded(Image.fromarray(CORNERS), kind, exif=exif.tobytes(), quality=100)
    wanted = TURNED[orientation](CORNERS)
    got = np.asarray(decode_rgb(data, "x"), dtype=int)
    assert got.shape == wanted.shape
    inner = np.s_[4:-4:8, 4:-4:8]  # away from the edges, where compression rings
    assert np.abs(got[inner] - wanted[inner]).max() < 40


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_of_several_pictures_the_first_is_read(kind):
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(np.asarray(decode_rgb(data, "x"), dtype=int) - (255, 0, 0)).max() < 6


def test_a_heif_file_names_its_primary_picture():
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], "HEIF", save_all=True, append_images=frames[1:], primary_index=2)
    assert np.abs(np.asarray(decode_rgb(data, "x"), dtype=int) - (0, 0, 255)).max() < 6


def test_a_jpeg_of_several_pictures_as_phones_write_it():
    """Pillow calls it MPO, whatever its suffix."""
    data = encoded(noise(), "MPO", save_all=True, append_images=[noise(1)])
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "MPO"
    first = encoded(noise(), "JPEG")
    np.testing.assert_array_equal(decode_rgb(data, "x"), Image.open(io.BytesIO(first)))


def test_alpha_is_laid_over_white():
    clear = Image.fromarray(np.dstack([CORNERS, np.zeros((32, 48), np.uint8)]), "RGBA")
    for kind in ("HEIF", "AVIF", "JPEG2000"):
        assert np.asarray(decode_rgb(encoded(clear, kind), "x")).min() == 255, kind


def test_jpeg_2000_keeps_every_bit_and_the_high_byte_of_sixteen():
    np.testing.assert_array_equal(decode_rgb(encoded(noise(), "JPEG2000"), "x"), noise())
    deep = np.random.default_rng(0).integers(0, 65536, (9, 9), dtype=np.uint16)
    got = np.asarray(decode_rgb(encoded(Image.fromarray(deep), "JPEG2000"), "x"))
    np.testing.assert_array_equal(got, np.repeat((deep >> 8).astype(np.uint8)[:, :, None], 3, axis=2))


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "JPEG2000"])
def test_a_file_cut_short_is_refused(kind):
    data = encoded(noise(size=(64, 64)), kind)
    for keep in (0.3, 0.6, 0.9):
        with pytest.raises(UndecodableImage):
            decode_rgb(data[: int(len(data) * keep)], "x")


def test_the_brand_tells_the_kind():
    assert kind_by_content(encoded(noise(), "AVIF")) == "AVIF"
    assert kind_by_content(encoded(noise(), "HEIF")) == "HEIF"
    assert kind_by_content(b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiafMA1B") == "AVIF"
    assert kind_by_content(b"\0\0\0\x18ftypisom\0\0\0\0mp42") is None
    assert kind_by_content(encoded(noise(), "PNG")) is None
    assert kind_by_content(encoded(noise(), "JPEG2000")) == "JPEG2000"


@pytest.fixture
def _without(monkeypatch):
    """A machine without pillow-heif, whose Pillow was built without AVIF and JPEG 2000."""
    for cached in (picture_formats.missing_reader, picture_formats.formats, picture_formats.suffixes):
        cached.cache_clear()
    check = features.check
    monkeypatch.setattr(picture_formats, "find_spec", lambda name: None)
    monkeypatch.setattr(features, "check", lambda name: name not in ("avif", "jpg_2000") and check(name))
    yield
    for cached in (picture_formats.missing_reader, picture_formats.formats, picture_formats.suffixes):
        cached.cache_clear()


@pytest.mark.usefixtures("_without")
def test_without_a_reader_files_are_left_alone_and_the_command_is_named(run, tmp_path):
    (tmp_path / "p").mkdir()
    pictures = {
        "a.png": "PNG",
        "b.HEIC": "HEIF",
        "c.heif": "HEIF",
        "d.avif": "AVIF",
        "e.png": "HEIF",
        "f.jpg": "JPEG2000",
    }
    for name, kind in pictures.items():
        (tmp_path / "p" / name).write_bytes(encoded(noise(), kind))
    done = run("extract", "model=pixels", "data=imagefolder", "data.path=p", "data.on_error=skip")
    assert done.exit_code == 0, done.output
    heif = "pip install 'foresight-latents[heif]'"
    advice = f"; for .avif type pip install --upgrade pillow; for .heic and .heif type {heif})\n"
    assert "3 files left alone: 1 .avif, 1 .heic, 1 .heif (data=imagefolder reads .apng, .bmp, " in done.output
    assert advice in done.output
    assert (
        f"2 samples left out, for instance 'e.png': HEIF is not read on this machine yet: {heif}. All: " in done.output
    )
    (manifest,) = tmp_path.glob("outputs/cache/pixels/*/*/*/manifest.json")
    reason = "JPEG2000 is not read on this machine yet: pip install --upgrade pillow"
    assert json.loads(manifest.read_bytes())["skipped"][1] == ["f.jpg", reason]


@pytest.mark.usefixtures("_without")
def test_a_folder_of_such_files_alone_names_them_and_the_command(tmp_path):
    (tmp_path / "a.HEIC").write_bytes(b"")
    with pytest.raises(ForesightError) as caught:
        ImageFolder(tmp_path)
    assert str(caught.value) == (
        f"no images in {tmp_path}; the suffixes read are {', '.join(picture_formats.suffixes())}; it holds 1 .heic; "
        "for .heic type pip install 'foresight-latents[heif]'"
    )


def test_heif_is_imported_once_such_a_picture_is_met(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(noise(), "PNG"))
    (tmp_path / "b.heic").write_bytes(encoded(noise(), "HEIF"))
    code = (
        "import sys; from foresight_cli.data.imagefolder import ImageFolder as I; d = I(sys.argv[1]);"
        "print([(d.image(i).size, 'pillow_heif' in sys.modules) for i in range(2)])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[((34, 21), False), ((34, 21), True)]\n"
