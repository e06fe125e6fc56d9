"""The frames of a clip and their rotation, on videos whose frames show their number."""

import math
from fractions import Fraction
from math import floor

import av
import numpy as np
import pytest

from foresight_cli.data import video_frames
from foresight_cli.data.video_container import Clock
from tests.data.video_files import (
    LONG_GROUPS,
    decode_all,
    encode,
    number_of,
    numbers,
    remux,
    video,
)

KINDS = {
    "h264.mp4": {"codec_options": LONG_GROUPS},
    "open-groups.mkv": {"codec_options": {**LONG_GROUPS, "x264-params": "scenecut=0:open-gop=1"}},
    "refreshed.mov": {"codec_options": {"g": "40", "x264-params": "scenecut=0:intra-refresh=1:bframes=0"}},
    "fragments.m4v": {
        "codec_options": LONG_GROUPS,
        "container_options": {"movflags": "frag_keyframe+empty_moov", "f": "mp4"},
    },
    "hevc.mp4": {"codec": "libx265", "codec_options": {"x265-params": "keyint=40:scenecut=0:bframes=4:log-level=none"}},
    "h264.avi": {"codec_options": {**LONG_GROUPS, "x264-params": "scenecut=0:open-gop=1"}},
    "xvid.avi": {"codec": "mpeg4", "codec_options": {"g": "40", "bf": "2", "sc_threshold": "1000000000"}},
    "vp9.webm": {"codec": "libvpx-vp9", "codec_options": {"g": "40", "deadline": "realtime", "cpu-used": "8"}},
    "vp8.webm": {"codec": "libvpx", "codec_options": {"g": "40", "deadline": "realtime", "cpu-used": "8"}},
    "mjpeg.AVI": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "lossless.MKV": {"codec": "ffv1"},
    "phone.3gp": {"codec": "mpeg4", "codec_options": {"g": "40"}},
    "open-groups.ts": {"codec_options": {**LONG_GROUPS, "x264-params": "scenecut=0:open-gop=1"}},
    "camcorder.MTS": {"codec_options": LONG_GROUPS},
    "mpeg2.m2ts": {"codec": "mpeg2video", "codec_options": {"g": "15", "bf": "2"}},
    "web.flv": {"codec_options": LONG_GROUPS},
}


@pytest.mark.parametrize("name", KINDS)
def test_frames_of_every_container(tmp_path, name):
    """100 frames at 25 a second: at 8 a second, frame floor(25 t / 8) shows at the t-th time."""
    encode(tmp_path / name, **KINDS[name])
    expected = [[floor(Fraction(25 * (9 * clip + i), 8)) for i in range(9)] for clip in range(3)]
    assert numbers(video(tmp_path)) == expected
    assert numbers(video(tmp_path, frames=1, fps=25))[::7] == [[i] for i in range(100)][::7]


def test_a_rate_above_the_films_repeats_frames(tmp_path):
    encode(tmp_path / "a.mp4", frames=20, codec_options=LONG_GROUPS)
    dataset = video(tmp_path, frames=17, fps=50)
    assert numbers(dataset) == [[i // 2 for i in range(17)], [i // 2 for i in range(17, 34)]]
    frames = dataset.clip(0).frames
    assert frames[0] is frames[1]  # held once
    assert dataset.clip(0).fps == 50.0


def test_the_clip_that_ends_with_the_last_frame_is_whole(tmp_path):
    encode(tmp_path / "a.mp4", frames=26, codec_options=LONG_GROUPS)  # its last frame begins at 1.0 s
    assert numbers(video(tmp_path, fps=8)) == [[0, 3, 6, 9, 12, 15, 18, 21, 25]]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_an_avi_shorter_than_the_decoder_s_delay(tmp_path, frames):
    """No frame leaves the decoder before the end of the file."""
    encode(tmp_path / "a.avi", frames=frames, codec_options=LONG_GROUPS)
    assert numbers(video(tmp_path, frames=1, fps=25)) == [[i] for i in range(frames)]


IRREGULAR = [0, 40, 80, 85, 90, 700, 740, 1500, 1501, 1502, 1600, 2300, 2310, 2400]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx-vp9")], ids=str
)
def test_a_variable_frame_rate(tmp_path, name, codec):
    options = LONG_GROUPS if codec == "libx264" else {"deadline": "realtime", "cpu-used": "8"}
    encode(tmp_path / name, codec, milliseconds=IRREGULAR, codec_options=options)
    for fps in (8, 10, 25):
        times = [Fraction(1000 * i, fps) for i in range(floor(Fraction(2400 * fps, 1000)) + 1)]
        shown = [max(i for i, begin in enumerate(IRREGULAR) if begin <= time) for time in times]
        clips = [shown[i : i + 9] for i in range(0, len(shown) - 8, 9)]
        assert numbers(video(tmp_path, fps=fps)) == clips


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.mp4", "libx264")], ids=str)
def test_a_time_between_two_frames_shows_the_earlier_one(tmp_path, name, codec):
    """At 0.5 s a film at 25 a second is halfway through frame 12, whether its ticks are long (AVI) or short."""
    encode(tmp_path / name, codec, frames=30, codec_options={"g": "40"})
    assert numbers(video(tmp_path, frames=1, fps=2)) == [[0], [12], [25]]


def test_times_that_are_rounded_up_lose_no_frame(tmp_path):
    """At 30 a second, times in ms are 0, 33, 67, 100: the time 66.67 is the third frame's, though it begins at 67."""
    rounded = [round(1000 * i / 30) for i in range(60)]
    encode(tmp_path / "a.webm", "libvpx-vp9", milliseconds=rounded, codec_options={"deadline": "realtime"})
    assert numbers(video(tmp_path, frames=1, fps=30)) == [[i] for i in range(60)]


def test_a_film_that_does_not_start_at_zero(tmp_path):
    encode(tmp_path / "a.mp4", milliseconds=[5000 + 40 * i for i in range(60)], codec_options=LONG_GROUPS)
    assert numbers(video(tmp_path)) == [[floor(25 * i / 8) for i in range(9 * k, 9 * k + 9)] for k in range(2)]


def test_what_an_edit_list_cuts_away_is_not_shown(tmp_path):
    """The first 15 frames are only for the decoder, their times are before zero; and then the last ones too."""
    source = encode(tmp_path / "source.txt.mp4", codec_options={"g": "40", "bf": "0", "x264-params": "scenecut=0"})
    with av.open(str(source)) as container:
        frame = int(1 / (25 * container.streams.video[0].time_base))

    def earlier(packets):
        return [(data, key, pts - 15 * frame, dts - 15 * frame) for data, key, pts, dts in packets]

    (tmp_path / "cut").mkdir()
    cut = remux(source, tmp_path / "cut/a.mp4", earlier)
    assert len(decode_all(cut)) == 85
    assert numbers(video(tmp_path / "cut"))[0] == [15 + floor(25 * i / 8) for i in range(9)]
    data = bytearray(cut.read_bytes())
    at = data.index(b"elst") + 12
    assert int.from_bytes(data[at : at + 4], "big") == 3400  # milliseconds that are shown, in ISO/IEC 14496-12, 8.6.6
    data[at : at + 4] = (1240).to_bytes(4, "big")
    cut.write_bytes(data)
    assert numbers(video(tmp_path / "cut", frames=1, fps=25)) == [[i] for i in range(15, 15 + len(decode_all(cut)))]


def test_packed_divx(tmp_path):
    """DivX 5 puts a frame and the B-frame before it into one AVI chunk, and an empty chunk after them."""
    options = {"g": "40", "bf": "1", "b_strategy": "0", "sc_threshold": "1000000000"}
    source = encode(tmp_path / "source/a.avi", "mpeg4", codec_options=options)
    vop, packed_by = b"\0\0\1\xb6", b"\0\0\1\xb2DivX503b1393p"

    def pack(packets):
        packed: list[tuple[bytes, bool]] = []
        for data, key, _, _ in packets:
            at = data.index(vop)
            if data[at + 4] >> 6 == 2:  # a B-frame
                packed[-1] = (packed[-1][0] + data, packed[-1][1])
                packed.append((vop + b"\x50\x1f", False))  # a frame that is not coded
            else:
                packed.append((data[:at] + packed_by + data[at:] if key else data, key))
        return [(data, key, i, i) for i, (data, key) in enumerate(packed)]

    (tmp_path / "packed").mkdir()
    remux(source, tmp_path / "packed/a.avi", pack)
    assert (tmp_path / "packed/a.avi").read_bytes().count(vop + b"\x50\x1f") > 40
    assert numbers(video(tmp_path / "packed", frames=1, fps=25)) == [[i] for i in range(100)]


def test_a_late_clip_is_decoded_from_the_keyframe_before_it(tmp_path, monkeypatch):
    encode(tmp_path / "a.mp4", frames=200, codec_options=LONG_GROUPS)
    decoded = []
    due = Clock.frame
    monkeypatch.setattr(Clock, "frame", lambda clock, frame: decoded.append(0) or due(clock, frame))
    dataset = video(tmp_path, frames=1, fps=25)
    for index in (0, 39, 40, 199):
        decoded.clear()
        assert number_of(dataset.clip(index).frames[0]) == index
        assert len(decoded) <= 41


def test_a_seek_that_leads_too_far_is_tried_again_from_a_little_earlier(tmp_path, monkeypatch):
    """AVI seeks a keyframe by the time of its decoding; the frame before it shows later than that."""
    encode(tmp_path / "a.avi", frames=200, codec_options=LONG_GROUPS)
    decoded = []
    due = Clock.frame
    monkeypatch.setattr(Clock, "frame", lambda clock, frame: decoded.append(0) or due(clock, frame))
    dataset = video(tmp_path, frames=1, fps=25)
    for index in range(155, 162):
        decoded.clear()
        assert number_of(dataset.clip(index).frames[0]) == index
        assert len(decoded) <= 50


def test_a_frame_that_is_not_shown_is_not_converted(tmp_path, monkeypatch):
    """Reading a clip never holds more pictures than it returns, however many frames are between them."""
    encode(tmp_path / "a.mp4", frames=200, codec_options=LONG_GROUPS)
    made = []
    upright = video_frames._upright
    monkeypatch.setattr(video_frames, "_upright", lambda frame: made.append(0) or upright(frame))
    video(tmp_path).clip(4)
    assert len(made) == 9


def test_odd_sizes(tmp_path):
    encode(tmp_path / "a.webm", "libvpx-vp9", frames=30, size=(131, 51), codec_options={"deadline": "realtime"})
    dataset = video(tmp_path)
    assert {frame.size for frame in dataset.clip(0).frames} == {(131, 51)}
    assert numbers(dataset) == [[floor(25 * i / 8) for i in range(9)]]


def test_ten_bits_become_eight(tmp_path):
    """A grey v of 10 bits in studio range, 64 to 940, becomes 255 (v - 64) / 876 in 8 bits."""
    levels = [64, 200, 502, 801, 940]
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p10le"
        for i, level in enumerate(levels):
            frame = av.VideoFrame(32, 32, "yuv420p10le")
            for plane, value in zip(frame.planes, (level, 512, 512), strict=True):
                plane.update(np.full(plane.buffer_size // 2, value, "<u2").tobytes())
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    dataset = video(tmp_path, frames=1, fps=25)
    grey = [np.asarray(dataset.clip(i).frames[0]).reshape(-1, 3) for i in range(5)]
    for level, pixels in zip(levels, grey, strict=True):
        assert np.abs(pixels - 255 * (level - 64) / 876).max() < 3  # FFmpeg rounds in between


# --- rotation and mirroring


def with_matrix(path, a, b, c, d):
    """Write the display matrix into the track's header (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    for i, value in enumerate((a, b, 0, c, d, 0, 0, 0)):
        data[at + 4 * i : at + 4 * i + 4] = round(value * 65536).to_bytes(4, "big", signed=True)
    path.write_bytes(data)


def turned(pixels, a, b, c, d):
    """Turn by definition: the pixel at (x, y) shows at (ax + cy, bx + dy), moved so that the corner is at (0, 0)."""
    height, width, _ = pixels.shape
    y, x = np.mgrid[:height, :width]
    new_x, new_y = a * x + c * y, b * x + d * y
    new_x, new_y = new_x - new_x.min(), new_y - new_y.min()
    result = np.zeros((new_y.max() + 1, new_x.max() + 1, 3), np.uint8)
    result[new_y, new_x] = pixels
    return result


DIAGONAL = [(1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1)]
ACROSS = [(0, 1, 1, 0), (0, 1, -1, 0), (0, -1, 1, 0), (0, -1, -1, 0)]


@pytest.mark.parametrize("matrix", DIAGONAL + ACROSS, ids=str)
def test_frames_are_upright(tmp_path, matrix):
    path = encode(tmp_path / "a.mp4", frames=5)
    expected = turned(decode_all(path)[4][1], *matrix)
    with_matrix(path, *matrix)
    frame = video(tmp_path, frames=1, fps=25).clip(4).frames[0]
    assert np.array_equal(np.asarray(frame), expected)
    assert frame.mode == "RGB"


def test_a_phone_held_upright(tmp_path):
    """Phones write this for a portrait: a quarter turn clockwise, so that the left column is the upper row."""
    path = encode(tmp_path / "a.mp4", frames=2)
    with_matrix(path, 0, 1, -1, 0)
    frame = video(tmp_path, frames=1, fps=25).clip(0).frames[0]
    assert frame.size == (48, 128)
    red, grey = frame.getpixel((40, 16)), frame.getpixel((40, 112))
    assert red[0] > 200
    assert max(red[1:]) < 60
    assert max(abs(value - 128) for value in grey) < 12


def test_other_angles_go_to_the_nearest_quarter_turn(tmp_path):
    path = encode(tmp_path / "a.mp4", frames=2)
    straight = decode_all(path)[0][1]
    for degrees, matrix in ((10, DIAGONAL[0]), (80, ACROSS[1]), (-80, ACROSS[2]), (170, DIAGONAL[3])):
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        with_matrix(path, cos, sin, -sin, cos)
        frame = video(tmp_path, frames=1, fps=25).clip(0).frames[0]
        assert np.array_equal(np.asarray(frame), turned(straight, *matrix))
