"""A folder of videos as a dataset: ids, labels, groups, attributes, identity, and an extraction over it."""

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from fractions import Fraction

import pytest

from foresight_cli.config import VideoConfig
from foresight_cli.data import open_dataset
from foresight_cli.data.dataset import Dataset, Sample
from foresight_cli.data.video import DECODING, Video
from foresight_cli.data.video_container import Clock
from foresight_cli.errors import ForesightError, UsageError
from foresight_cli.latents import load
from tests.data.video_files import encode, number_of, real_videos, video

READ = ".3g2, .3gp, .avi, .flv, .m2ts, .m4v, .mkv, .mov, .mp4, .mts, .ts, .webm"


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """50 frames at 25 a second: the last begins at 1.96 s, so there is one clip of 9 at 8 a second, and 16 times."""
    return encode(tmp_path_factory.mktemp("film") / "film.mp4", frames=50, codec_options={"g": "20"})


@pytest.fixture
def films(tmp_path, film):
    for name in ("dogs/rex.mp4", "dogs/puppies/1.MOV", "b.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(film, tmp_path / name)
    return tmp_path


def refusal(folder, **options):
    with pytest.raises(ForesightError) as caught:
        video(folder, **options)
    assert type(caught.value) is ForesightError
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- listing


def test_ids_labels_and_groups(films):
    dataset: Dataset = video(films, fps=16)
    assert list(dataset.samples) == [
        Sample("b.mp4#0000", None, "b.mp4"),
        Sample("b.mp4#0001", None, "b.mp4"),
        Sample("b.mp4#0002", None, "b.mp4"),
        Sample("dogs/puppies/1.MOV#0000", "dogs", "dogs/puppies/1.MOV"),
        Sample("dogs/puppies/1.MOV#0001", "dogs", "dogs/puppies/1.MOV"),
        Sample("dogs/puppies/1.MOV#0002", "dogs", "dogs/puppies/1.MOV"),
        Sample("dogs/rex.mp4#0000", "dogs", "dogs/rex.mp4"),
        Sample("dogs/rex.mp4#0001", "dogs", "dogs/rex.mp4"),
        Sample("dogs/rex.mp4#0002", "dogs", "dogs/rex.mp4"),
    ]


@pytest.mark.parametrize(
    ("frames", "fps", "clips"),
    [(9, 8, 1), (9, 25, 5), (17, 25, 2), (49, 25, 1), (57, 25, 0), (1, 0.5, 1), (1, 240, 471)],
)
def test_how_many_clips_a_file_has(tmp_path, film, frames, fps, clips):
    """The number of whole clips in the times k / fps up to 1.96 s."""
    shutil.copy(film, tmp_path / "a.mp4")
    times = int(Fraction(49, 25) * Fraction(fps)) + 1
    assert times // frames == clips
    dataset = video(tmp_path, frames, fps)
    assert len(dataset.samples) == max(clips, 1)  # a file without a clip has one sample that cannot be decoded


def test_clips_follow_each_other(tmp_path, film):
    shutil.copy(film, tmp_path / "a.mp4")
    dataset = video(tmp_path, fps=25)
    shown = [number_of(frame) for i in range(5) for frame in dataset.clip(i).frames]
    assert shown == list(range(45))
    assert number_of(dataset.clip(-1).frames[0]) == 36
    assert dataset.clip(0).fps == 25.0
    with pytest.raises(IndexError):
        dataset.clip(5)


def test_at_most_so_many_clips_of_a_file(films):
    dataset = video(films, fps=25, clips_per_file=2)
    assert [sample.id for sample in dataset.samples][:3] == ["b.mp4#0000", "b.mp4#0001", "dogs/puppies/1.MOV#0000"]
    assert len(dataset.samples) == 6
    assert [number_of(frame) for frame in dataset.clip(1).frames] == list(range(9, 18))


def test_listing_stops_where_enough_is_known(tmp_path, film, monkeypatch):
    shutil.copy(film, tmp_path / "a.mp4")
    packets = []
    due = Clock.packet
    monkeypatch.setattr(Clock, "packet", lambda clock, packet: packets.append(0) or due(clock, packet))
    assert len(video(tmp_path, fps=25, clips_per_file=1).samples) == 1
    assert len(packets) < 15
    packets.clear()
    assert len(video(tmp_path, fps=25).samples) == 5
    assert len(packets) == 51  # and the empty packet at the end


def test_names_and_links_are_those_of_image_folders(films):
    shutil.copy(films / "b.mp4", films / ".hidden.mp4")
    (films / "cats").symlink_to(films / "dogs/puppies")
    (films / "notes.txt").write_text("no film")
    os.mkfifo(films / "pipe.mp4")
    assert {sample.group for sample in video(films).samples} == {"b.mp4", "dogs/puppies/1.MOV", "dogs/rex.mp4"}


def test_no_videos(tmp_path):
    assert refusal(tmp_path) == f"no videos in {tmp_path}; the suffixes read are {READ}"
    assert refusal(tmp_path / "x") == f"no folder '{tmp_path}/x'; data.path= wants a folder of videos"
    (tmp_path / "a.mp4").touch()
    assert refusal(tmp_path / "a.mp4") == f"'{tmp_path}/a.mp4' is a file; data.path= wants a folder of videos"


def test_without_pyav(films, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert refusal(films) == "data=video needs PyAV: pip install 'foresight-latents[video]'"


def test_a_dataset_survives_pickling(films):
    dataset = pickle.loads(pickle.dumps(video(films)))
    assert [number_of(frame) for frame in dataset.clip(2).frames][-1] == 25
    assert dataset.identity() == video(films).identity()


def test_torch_is_not_needed(films):
    code = (
        "import sys\n"
        "from foresight_cli.config import VideoConfig\n"
        "from foresight_cli.data import video\n"
        "assert 'av' not in sys.modules\n"
        f"dataset = video.Video(VideoConfig('video', {str(films)!r}, 9, 8.0, None, 'raise'))\n"
        "print(len(dataset.clip(0).frames), dataset.identity()['count'], 'torch' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("9 3 False\n", "")


# --- attributes.csv


def test_attributes_of_files_and_of_clips(films):
    """A file's row applies to all of its clips; a clip's row overrides it, wherever it is in the table."""
    (films / "attributes.csv").write_text(
        "id,label,group,speed,length\n"
        "dogs/rex.mp4#0001,cat,,7,\n"
        "dogs/rex.mp4,dog,rex,1,2\n"
        "b.mp4#0002,,,,3\n"
        "dogs/puppies/1.MOV,,,4,\n"
    )
    samples = {sample.id: sample for sample in video(films, fps=16).samples}
    assert list(samples.values()) == [
        Sample("b.mp4#0000", None, "b.mp4"),
        Sample("b.mp4#0001", None, "b.mp4"),
        Sample("b.mp4#0002", None, "b.mp4", {"length": 3.0}),
        Sample("dogs/puppies/1.MOV#0000", "dogs", "dogs/puppies/1.MOV", {"speed": 4.0}),
        Sample("dogs/puppies/1.MOV#0001", "dogs", "dogs/puppies/1.MOV", {"speed": 4.0}),
        Sample("dogs/puppies/1.MOV#0002", "dogs", "dogs/puppies/1.MOV", {"speed": 4.0}),
        Sample("dogs/rex.mp4#0000", "dog", "rex", {"speed": 1.0, "length": 2.0}),
        Sample("dogs/rex.mp4#0001", "cat", "rex", {"speed": 7.0, "length": 2.0}),
        Sample("dogs/rex.mp4#0002", "dog", "rex", {"speed": 1.0, "length": 2.0}),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c.mp4,1", "no video 'c.mp4'; ids are paths such as 'b.mp4'"),
        ("b.mp4#0003,1", "no video 'b.mp4#0003'; ids are paths such as 'b.mp4'"),
        ("b.mp4,red", "column 'x' must be a finite number, got 'red'"),
    ],
)
def test_faults_in_attributes(films, row, message):
    (films / "attributes.csv").write_text(f"id,x\n{row}\n")
    assert refusal(films, fps=16) == f"{films}/attributes.csv, line 2: {message}"


# --- identity


def test_identity_is_the_stated_hash(films):
    data = hashlib.sha256((films / "b.mp4").read_bytes()).digest()
    ids = ("b.mp4", "dogs/puppies/1.MOV", "dogs/rex.mp4")
    total = hashlib.sha256(b"".join(name.encode() + b"\0" + data for name in ids)).hexdigest()
    assert video(films, fps=16).identity() == {
        "name": "video",
        "count": 9,
        "frames": 9,
        "fps": 16.0,
        "decoding": DECODING,
        "sha256": total,
    }


def test_identity_stays_where_the_frames_stay(films, tmp_path_factory):
    before = video(films, fps=16).identity()
    moved = tmp_path_factory.mktemp("elsewhere") / "moved"
    shutil.copytree(films, moved)
    (moved / "attributes.csv").write_text("id,x,group\nb.mp4,1,g\n")
    assert video(moved, fps=16.0, clips_per_file=3).identity() == before  # no file has more than three


def test_identity_changes_with_the_clips(films):
    ways = [{}, {"fps": 16}, {"fps": 16, "clips_per_file": 2}, {"frames": 17}, {"frames": 1}]
    seen = [video(films, **way).identity() for way in ways]
    with (films / "b.mp4").open("ab") as file:
        file.write(bytes(8))
    seen.append(video(films).identity())
    (films / "b.mp4").rename(films / "c.mp4")
    seen.append(video(films).identity())
    assert len({str(identity) for identity in seen}) == len(seen)


def test_a_file_that_vanishes_before_it_is_hashed(films):
    dataset = video(films)
    (films / "b.mp4").unlink()
    with pytest.raises(ForesightError) as caught:
        dataset.identity()
    assert str(caught.value) == f"cannot read 'b.mp4' in {films}: No such file or directory"


# --- settings


def test_the_config_opens_it(films):
    dataset = open_dataset(VideoConfig("video", str(films), 9, 8.0, None, "raise"))
    assert isinstance(dataset, Video)
    assert len(dataset.samples) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 8}, "data.frames=8: it must be 1 + 8k frames, for instance 9"),
        ({"frames": 0}, "data.frames=0: it must be 1 + 8k frames, for instance 1"),
        ({"frames": -7}, "data.frames=-7: it must be 1 + 8k frames, for instance 1"),
        ({"frames": 16}, "data.frames=16: it must be 1 + 8k frames, for instance 17"),
        ({"fps": 0.0}, "data.fps=0.0: it must be between 0.01 and 240"),
        ({"fps": float("nan")}, "data.fps=nan: it must be between 0.01 and 240"),
        ({"clips_per_file": 0}, "data.clips_per_file=0: it must be at least 1"),
        ({"on_error": "stop"}, "data.on_error=stop: choose one of raise, skip"),
    ],
)
def test_settings_out_of_range(change, message):
    arguments = {"name": "video", "path": "x", "frames": 9, "fps": 8.0, "clips_per_file": None, "on_error": "raise"}
    with pytest.raises(UsageError) as caught:
        VideoConfig(**{**arguments, **change})
    assert str(caught.value) == message


# --- extraction


@pytest.mark.parametrize(
    "model", ["model=pixels", "model=histogram", "model=ltxv model.resolution=64", "model=qwen25vl model.resolution=56"]
)
def test_every_model_takes_clips(run, tmp_path, model):
    (tmp_path / "films/phones").mkdir(parents=True)
    for path in real_videos():
        if "carphone" in path.stem:
            shutil.copy(path, tmp_path / "films/phones")
    (tmp_path / "films/broken.mp4").write_bytes(b"")
    data = ("data=video", "data.path=films", "data.clips_per_file=2", "weights=tiny")
    refused = run("extract", *model.split(), *data)
    assert refused.exit_code == 1
    assert (
        "cannot decode 'broken.mp4#0000': the file is empty. To leave such files out, add data.on_error=skip"
        in refused.output
    )
    result = run("extract", *model.split(), *data, "data.on_error=skip")
    assert result.exit_code == 0, result.output
    (manifest,) = tmp_path.glob("outputs/cache/*/layer-final/channel_mean/*/manifest.json")
    latents = load(manifest.parent)
    names = ("carphone_distorted.mp4", "carphone_pristine.mp4")
    assert latents.ids == [f"phones/{name}#{i:04d}" for name in names for i in range(2)]
    assert latents.labels == ["phones"] * 4
    assert len({tuple(row) for row in latents.values.tolist()}) == 4
