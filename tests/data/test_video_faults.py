"""Files that are no videos, or not whole: each keeps a sample with the reason, and good clips stay."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from foresight_cli.data.dataset import UndecodableImage
from foresight_cli.data.video_container import Clock, VideoFault
from tests.data.video_files import LONG_GROUPS, SIZE, encode, number_of, numbers, remux, video

CONTAINERS = "3GPP, AVI, FLV, Matroska, MP4, MPEG-TS, QuickTime, WebM"
NO_VIDEO = f"not a video, or of a kind that is not read (containers: {CONTAINERS})"
REALTIME = {"deadline": "realtime", "cpu-used": "8"}


def reasons(folder, **options):
    """Return the id and the reason of each sample that cannot be decoded."""
    dataset, faults = video(folder, **options), []
    for i in range(len(dataset.samples)):
        try:
            assert len(dataset.clip(i).frames) == dataset.config.frames
        except UndecodableImage as error:
            faults.append((error.sample_id, error.reason))
    return faults


def cut(path, keep):
    """Keep the first ``keep`` bytes of the file, and return the reason that is then given."""
    data = path.read_bytes()
    path.write_bytes(data[:keep])
    return f"the file is truncated: it has {keep} bytes, but its container declares {len(data)}"


# --- no video at all


def audio_only(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def unknown_codec(path):
    data = encode(path, frames=2).read_bytes()
    assert data.count(b"avc1") == 2  # one byte is within a brand
    path.write_bytes(data.replace(b"avc1", b"zzz1"))


def picture_in_video_clothes(path):
    Image.new("RGB", (8, 8)).save(path, format="PNG")


HOSTILE = {
    "empty": (lambda path: path.write_bytes(b""), "the file is empty"),
    "zeros": (lambda path: path.write_bytes(bytes(5000)), NO_VIDEO),
    "text": (lambda path: path.write_text("a letter\n" * 500), NO_VIDEO),
    "a picture": (picture_in_video_clothes, NO_VIDEO),
    "a list of other files": (lambda path: path.write_text("ffconcat version 1.0\nfile good.txt\n"), NO_VIDEO),
    "a playlist": (lambda path: path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:2,\ngood.txt\n"), NO_VIDEO),
    "sound alone": (audio_only, "it has no video stream"),
    "an unknown codec": (unknown_codec, "its codec is unknown"),
    "too short": (
        lambda path: encode(path, frames=13),
        "shorter than one clip: 0.48 s from its first frame to its last, and 9 frames at 8 fps take 1.0 s",
    ),
    "one frame": (
        lambda path: encode(path, frames=1),
        "shorter than one clip: 0.0 s from its first frame to its last, and 9 frames at 8 fps take 1.0 s",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_file_without_a_clip_keeps_one_sample(tmp_path, kind):
    make, reason = HOSTILE[kind]
    encode(tmp_path / "good.mp4", frames=30).rename(tmp_path / "good.txt")
    make(tmp_path / "a.mp4")
    dataset = video(tmp_path)
    assert [sample.id for sample in dataset.samples] == ["a.mp4#0000"]
    with pytest.raises(UndecodableImage) as caught:
        dataset.clip(0)
    message = f"cannot decode 'a.mp4#0000': {reason}. To leave such files out, add data.on_error=skip"
    assert str(caught.value) == message


def test_good_files_beside_a_bad_one(tmp_path):
    encode(tmp_path / "b.mp4", frames=30)
    for name in ("a.mp4", "c.mp4"):
        (tmp_path / name).write_bytes(b"")
    dataset = video(tmp_path)
    assert [sample.id for sample in dataset.samples] == ["a.mp4#0000", "b.mp4#0000", "c.mp4#0000"]
    assert [number_of(frame) for frame in dataset.clip(1).frames] == [0, 3, 6, 9, 12, 15, 18, 21, 25]
    assert [sample_id for sample_id, _ in reasons(tmp_path)] == ["a.mp4#0000", "c.mp4#0000"]


def test_a_cover_picture_is_no_video(tmp_path):
    """The sound of a film with its poster: the container calls the poster a video stream."""
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "rgb24"
        stream.disposition = av.stream.Disposition.attached_pic
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert len(container.streams.video) == 1
    assert reasons(tmp_path) == [("a.mp4#0000", "it has no video stream")]


def test_a_frame_with_too_many_pixels_names_the_setting_that_lets_it_in(run, tmp_path):
    encode(tmp_path / "p/a.mp4", frames=30)
    words = ("extract", "model=pixels", "data=video", "data.path=p")
    done = run(*words, f"data.max_pixels={SIZE[0] * SIZE[1] - 1}")
    assert done.exit_code == 1
    assert done.output.splitlines()[-1] == (
        "foresight extract: cannot decode 'a.mp4#0000': its frames of 128 x 48 pixels are more than "
        "data.max_pixels=6143. To read it, add data.max_pixels=6144. To leave such files out, add data.on_error=skip"
    )
    assert run(*words, f"data.max_pixels={SIZE[0] * SIZE[1]}").exit_code == 0


def test_timestamps_that_span_millennia(tmp_path):
    encode(tmp_path / "a.mkv", "ffv1", milliseconds=[0, 40, 10**12])
    message = "its timestamps make more than 1000000 clips; give data.clips_per_file="
    assert reasons(tmp_path) == [("a.mkv#0000", message)]
    assert [sample.id for sample in video(tmp_path, clips_per_file=2).samples] == ["a.mkv#0000", "a.mkv#0001"]
    assert reasons(tmp_path, clips_per_file=2) == []


# --- truncated and damaged


def test_an_mp4_whose_index_is_cut_off(tmp_path):
    path = encode(tmp_path / "a.mp4", codec_options=LONG_GROUPS)
    keep = path.read_bytes().index(b"moov") - 500
    path.write_bytes(path.read_bytes()[:keep])
    assert reasons(tmp_path) == [
        ("a.mp4#0000", f"the file is truncated: it has {keep} bytes, but its container declares {keep + 496}"),
    ]


CUT = {
    "a.mp4": {"codec_options": {"g": "20"}, "container_options": {"movflags": "+faststart"}},
    "a.avi": {"codec": "mpeg4", "codec_options": {"g": "20"}},
    "a.webm": {"codec": "libvpx-vp9", "codec_options": {"g": "20", **REALTIME}},
    "a.mkv": {"codec_options": LONG_GROUPS},
}


@pytest.mark.parametrize("name", CUT)
def test_what_is_left_of_a_truncated_file(tmp_path, name):
    """100 frames hold 3 clips. The whole ones before the cut stay, and one sample is added for the rest."""
    path = encode(tmp_path / name, **CUT[name])
    assert [sample.id for sample in video(tmp_path).samples] == [f"{name}#0000", f"{name}#0001", f"{name}#0002"]
    message = cut(path, len(path.read_bytes()) * 3 // 4)
    dataset = video(tmp_path)
    whole = len(dataset.samples) - 1
    assert 1 <= whole <= 2
    assert reasons(tmp_path) == [(f"{name}#{whole:04d}", message)]
    for clip in range(whole):
        expected = [25 * (9 * clip + i) // 8 for i in range(9)]
        assert [number_of(frame) for frame in dataset.clip(clip).frames] == expected
    assert reasons(tmp_path, clips_per_file=whole) == []  # the cut is after the part that is read


def test_damage_stays_in_its_group_of_frames(tmp_path):
    """The second of five groups of 20 frames, from 0.8 s to 1.6 s, is garbage."""
    path = encode(tmp_path / "a.mp4", codec_options={"g": "20", "bf": "0", "x264-params": "scenecut=0"})
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for at, size in packets[22:30]:
        data[at + 5 : at + size] = bytes(255 - byte for byte in data[at + 5 : at + size])
    path.write_bytes(data)
    faults = dict(reasons(tmp_path, frames=1, fps=25))
    assert list(faults) == [f"a.mp4#{i:04d}" for i in range(22, 40)]
    for reason in faults.values():
        assert reason == "its data are damaged" or reason.endswith(" s is damaged")
    assert dict(reasons(tmp_path)).keys() == {"a.mp4#0000", "a.mp4#0001"}  # 0 s to 1 s, and 1.125 s to 2.125 s


def test_damage_that_the_decoder_covers_up(tmp_path):
    """FFmpeg marks frame 38, which shows a patch, as corrupt; frame 39 depends on it, and frame 40 is a keyframe."""
    path = encode(tmp_path / "a.mp4", frames=201, codec_options={"g": "20", "bf": "0", "x264-params": "scenecut=0"})
    with av.open(str(path)) as container:
        at, size = [(p.pos, p.size) for p in container.demux(video=0) if p.size][38]
    data = bytearray(path.read_bytes())
    data[at + size - 4 : at + size] = bytes(255 - byte for byte in data[at + size - 4 : at + size])
    path.write_bytes(data)
    assert reasons(tmp_path, frames=1, fps=25) == [
        ("a.mp4#0038", "its frame at 1.520 s is damaged"),
        ("a.mp4#0039", "its frame at 1.560 s is damaged"),
    ]
    assert numbers(video(tmp_path, fps=1)) == [[0, 25, 50, 75, 100, 125, 150, 175, 200]]  # decoded, but not shown


def test_an_mp4_without_sizes_that_ends_within_a_frame(tmp_path):
    """Its last box extends "to the end of the file", wherever that is: only the last packet shows the fault."""
    path = encode(tmp_path / "a.mp4", frames=40, **CUT["a.mp4"])
    with av.open(str(path)) as container:
        at, size = [(p.pos, p.size) for p in container.demux(video=0) if p.size][30]
    data = bytearray(path.read_bytes()[: at + size // 2])
    box = data.index(b"mdat") - 4
    data[box : box + 4] = bytes(4)
    path.write_bytes(data)
    assert reasons(tmp_path) == [("a.mp4#0001", "the file is truncated")]


def test_a_last_frame_that_is_not_coded(tmp_path):
    """MPEG-4 can encode "nothing has changed" in six bytes: the frame before it shows again."""
    source = encode(tmp_path / "source/a.mkv", "mpeg4", frames=29)

    def add(packets):
        return [*packets, (b"\0\0\1\xb6\x52\x4f", False, 1160, 1160)]

    (tmp_path / "videos").mkdir()
    remux(source, tmp_path / "videos/a.mkv", add)
    assert numbers(video(tmp_path / "videos", frames=1, fps=25))[-3:] == [[27], [28], [28]]


def test_a_picture_size_that_changes(tmp_path):
    small = encode(tmp_path / "source/a.webm", "libvpx-vp9", frames=20, codec_options=REALTIME)
    large = encode(tmp_path / "source/b.webm", "libvpx-vp9", frames=20, size=(160, 64), codec_options=REALTIME)
    with av.open(str(large)) as container:
        more = [(bytes(p), p.is_keyframe, 800 + p.pts, 800 + p.pts) for p in container.demux(video=0) if p.size]
    (tmp_path / "videos").mkdir()
    remux(small, tmp_path / "videos/a.webm", lambda packets: packets + more)
    reason = "its frames are of different sizes, 128x48 and 160x64"
    assert reasons(tmp_path / "videos") == [("a.webm#0000", reason)]
    assert reasons(tmp_path / "videos", frames=1, fps=25) == []


def test_timestamps_that_go_back(tmp_path):
    source = encode(tmp_path / "source/a.mkv", "ffv1", frames=40)

    def swap(packets):
        times = [40 * (i + 2 if i == 10 else i - 1 if i in (11, 12) else i) for i in range(40)]
        return [(data, key, 80 + times[i], 40 * i) for i, (data, key, _, _) in enumerate(packets)]

    (tmp_path / "videos").mkdir()
    remux(source, tmp_path / "videos/a.mkv", swap)
    assert reasons(tmp_path / "videos") == [("a.mkv#0000", "the timestamps of its frames go back in time")]


def test_frames_without_a_timestamp():
    clock = Clock(SimpleNamespace(format=SimpleNamespace(name="matroska,webm")), from_start=True)
    with pytest.raises(VideoFault) as caught:
        clock.frame(SimpleNamespace(pts=None, dts=7))
    assert str(caught.value) == "it has frames without a timestamp"


# --- files that change between the listing and the reading


def test_a_file_that_is_gone(tmp_path):
    path = encode(tmp_path / "a.mp4", frames=30)
    dataset = video(tmp_path)
    path.unlink()
    with pytest.raises(UndecodableImage) as caught:
        dataset.clip(0)
    assert caught.value.reason == "No such file or directory"


def test_a_file_that_is_exchanged(tmp_path):
    path = encode(tmp_path / "a.mkv", "ffv1", milliseconds=[40 * i for i in range(60)])
    dataset = video(tmp_path)
    encode(path, "ffv1", milliseconds=[40 * i for i in range(30)])
    with pytest.raises(UndecodableImage) as caught:
        dataset.clip(1)
    assert caught.value.reason == "it ends before its frame at 2.360 s, which its container lists"
    later = [0] + [100_000 + 40 * i for i in range(30)]
    encode(path, "ffv1", milliseconds=later)
    dataset = video(tmp_path, frames=1, fps=25)
    encode(path, "ffv1", milliseconds=[50 + time for time in later])
    assert number_of(dataset.clip(1).frames[0]) == 0


def test_a_link_whose_file_may_not_be_read(tmp_path, monkeypatch):
    encode(tmp_path / "a.mp4", frames=30)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(av, "open", refuse)
    assert reasons(tmp_path) == [("a.mp4#0000", "Permission denied")]
    monkeypatch.setattr(av, "open", lambda *_, **__: bytearray(1 << 62))
    assert reasons(tmp_path) == [("a.mp4#0000", "not enough memory for its pixels")]


def test_times_are_fractions(tmp_path):
    """At 29.97 frames a second the 1,000th time is 999 / 29.97 s exactly, and not the nearest float."""
    encode(tmp_path / "a.mp4", frames=30)
    assert video(tmp_path, fps=29.97)._fps == Fraction(2997, 100)
