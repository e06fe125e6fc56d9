"""Broken files are detected before any work, at a bounded cost."""

from __future__ import annotations

import io
import tarfile

import pytest
from PIL import Image

from foresight_cli.config import VideoConfig
from foresight_cli.data import probing
from foresight_cli.data.hf import HFDataset
from foresight_cli.data.imagefolder import ImageFolder
from foresight_cli.data.probing import refuse_undecodable, undecodable
from foresight_cli.data.shapes import Shapes
from foresight_cli.data.video import Video
from foresight_cli.data.webdataset import WebDataset
from foresight_cli.errors import ForesightError
from tests.data.video_files import encode

FORMATS = "AVIF, BMP, GIF, HEIF, JPEG, JPEG2000, PNG, PPM, TIFF, WEBP"
KINDS = f"not an image, or of a kind that is not read (formats: {FORMATS})"


def png(i: int = 0, side: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 50 + i).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def pictures(tmp_path):
    """Six files, of which 1 is no picture, 3 is cut short and 4 is empty."""
    data = [png(i) for i in range(6)]
    data[1], data[3], data[4] = b"text", data[3][: len(data[3]) // 2], b""
    for i, encoded in enumerate(data):
        (tmp_path / f"{i}.png").write_bytes(encoded)
    return tmp_path


def faults(dataset):
    return [(error.sample_id, error.reason) for error in undecodable(dataset)]


def test_headers_and_pixels_are_tried(pictures):
    dataset = ImageFolder(pictures)
    broken = [("1.png", KINDS), ("3.png", "the file is truncated"), ("4.png", "the file is empty")]
    assert faults(dataset) == broken
    with pytest.raises(ForesightError) as caught:
        refuse_undecodable(dataset)
    assert str(caught.value) == (
        f"3 files cannot be decoded, for instance '1.png': {KINDS}. To leave such files out, add data.on_error=skip"
    )


def test_one_broken_file_is_named(pictures):
    for i in (1, 4):
        (pictures / f"{i}.png").unlink()
    with pytest.raises(ForesightError) as caught:
        refuse_undecodable(ImageFolder(pictures))
    assert str(caught.value) == (
        "cannot decode '3.png': the file is truncated. To leave such files out, add data.on_error=skip"
    )


def test_the_cost_is_bounded(pictures, monkeypatch):
    """Pictures have 64 pixels: two are decoded, and the headers of four are read, whichever a seed draws."""
    for i in range(6):
        (pictures / f"{i}.png").write_bytes(png(i))
    dataset = ImageFolder(pictures)
    headers, decoded = [], []
    monkeypatch.setattr(dataset, "header", lambda i: headers.append(i) or 64)
    monkeypatch.setattr(dataset, "first_frame", lambda i: decoded.append(i))
    monkeypatch.setattr(probing, "MOST_FILES", 4)
    assert undecodable(dataset, most_pixels=2 * 64 + 63) == []
    assert len(set(headers)) == len(headers) == 4
    assert len(decoded) == 2
    assert set(decoded) < set(headers)
    again = list(headers)
    headers.clear()
    undecodable(dataset)
    assert sorted(headers) == sorted(again)


def test_rows_of_other_readers(pictures, tmp_path):
    names = [f"{i}.png" for i in range(6)]
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for name in names:
            tar.add(pictures / name, name)
    wanted = [("1", KINDS), ("3", "the file is truncated"), ("4", "the file is empty")]
    assert faults(WebDataset(str(tmp_path / "0.tar"), "png")) == wanted


def test_rows_of_hugging_face(pictures, tmp_path):
    from datasets import Dataset, Features
    from datasets import Image as Picture

    from foresight_cli.config import HFConfig

    rows = [{"bytes": (pictures / f"{i}.png").read_bytes(), "path": None} for i in range(4)] + [None]
    folder = tmp_path / "rows"
    folder.mkdir()
    Dataset.from_dict({"image": rows}, features=Features({"image": Picture()})).to_parquet(str(folder / "a.parquet"))
    dataset = HFDataset(HFConfig("hf", str(folder), "raise"))
    assert faults(dataset) == [
        ("00000001", KINDS),
        ("00000003", "the file is truncated"),
        ("00000004", "the row has no picture"),
    ]


def test_one_frame_of_each_video(tmp_path, monkeypatch):
    """Every file is tried once, however many clips it has; a part that the listing misses is known without decoding."""
    good = encode(tmp_path / "good.mkv", frames=60)
    (tmp_path / "cut.mkv").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    (tmp_path / "text.mp4").write_bytes(b"no video")
    dataset = Video(VideoConfig("video", str(tmp_path), frames=1, fps=8, clips_per_file=None, on_error="raise"))
    assert len(dataset.samples) > 20
    decoded = []
    plain = Video._frames
    monkeypatch.setattr(Video, "_frames", lambda self, i, n: decoded.append((i, n)) or plain(self, i, n))
    broken = undecodable(dataset)
    assert [error.sample_id.partition("#")[0] for error in broken] == ["cut.mkv", "text.mp4"]
    assert {(dataset.samples[i].group, n) for i, n in decoded} == {("cut.mkv", 1), ("good.mkv", 1)}
    assert len(decoded) == 2


def test_data_that_is_in_no_file(tmp_path):
    assert undecodable(Shapes(per_category=1, size=32)) == []


def test_extract_and_dry_run_stop_before_the_model_is_loaded(run, pictures, monkeypatch):
    from foresight_cli.models.pixels import Pixels

    monkeypatch.setattr(Pixels, "load", lambda *_: pytest.fail("the model was loaded"))
    words = ("extract", "model=pixels", "data=imagefolder", f"data.path={pictures}")
    with pytest.MonkeyPatch.context() as patched:  # nothing is cached yet, so no hash is needed
        patched.setattr(ImageFolder, "identity", lambda _: pytest.fail("the pictures were hashed"))
        assert "3 files cannot be decoded" in run(*words).output
    for more in ((), ("dry_run=true",)):
        result = run(*words, *more)
        assert result.exit_code == 1
        assert result.output.splitlines()[-1] == (
            f"foresight extract: 3 files cannot be decoded, for instance '1.png': {KINDS}. To leave such files out, "
            "add data.on_error=skip"
        )
    result = run(*words, "data.on_error=skip", "dry_run=true")
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == f"3 files would be left out, for instance '1.png': {KINDS}"
