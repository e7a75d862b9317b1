"""Sounds of videos: files read, frames found in time, people of one recording, controls."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.io import wavfile

from finetune.data.config import LabelledConfig
from finetune.data.opening import KindError, read_collection
from finetune.data.sound.reading import SoundError, frame_times, read_sound
from finetune.data.sound.sounds import DrawnVoices, FileSounds, SoundConfig
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces

RATE = 16_000


def click(seconds: float, length: float = 4.0, rate: int = RATE) -> np.ndarray:
    sound = np.zeros(round(length * rate), np.float32)
    sound[round(seconds * rate) : round((seconds + 0.01) * rate)] = 0.9
    return sound


def film(file: Path, *, click_at: float, rate: int = 44_100, count: int = 20) -> None:
    """Four seconds of sound, and 5 frames a second that are stored in another order."""
    with av.open(str(file), "w") as container:
        video = container.add_stream("mpeg4", rate=5, options={"bf": "2"})
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=rate, layout="stereo")
        for number in range(count):
            pixels = np.full((32, 32, 3), 10 * number, np.uint8)
            for packet in video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        sound = np.stack([click(click_at, rate=rate)] * 2)
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="stereo")
        frame.sample_rate = rate
        for packet in audio.encode(frame):
            container.mux(packet)
        for stream in (video, audio):
            for packet in stream.encode(None):
                container.mux(packet)


def when(sound: np.ndarray) -> float:
    """When a sound is loudest."""
    return float(np.abs(sound).argmax() / RATE)


@pytest.mark.parametrize(
    ("kind", "scale"), [(np.int16, 32767), (np.int32, 2**31 - 1), (np.float32, 1), (np.uint8, 127)]
)
def test_a_wav_of_any_kind_is_read_at_the_rate_that_is_wanted(
    tmp_path: Path, kind: type, scale: int
) -> None:
    rate = 8000
    stereo = np.stack([click(1.5, rate=rate), click(1.5, rate=rate)], 1)
    stored = stereo * scale + (128 if kind is np.uint8 else 0)
    wavfile.write(tmp_path / "a.wav", rate, stored.astype(kind))
    found = read_sound(tmp_path / "a.wav", RATE)
    assert found is not None
    assert (found.dtype, len(found)) == (np.float32, 4 * RATE)
    assert when(found) == pytest.approx(1.505, abs=0.01)
    assert np.abs(found).max() == pytest.approx(0.9, abs=0.15)


def test_a_film_has_sound_and_frames_in_one_time(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", click_at=2.0)
    sound = read_sound(tmp_path / "a.mp4", RATE)
    assert sound is not None
    assert when(sound) == pytest.approx(2.005, abs=0.06)  # a coder's delay
    times = frame_times(tmp_path / "a.mp4")
    assert len(times) == 20
    np.testing.assert_allclose(np.diff(times), 0.2, atol=1e-3)


def remux(
    source: Path, target: Path, *, shift: float = 0.0, hole: tuple[float, float] | None = None
) -> None:
    """Copies packets, earlier by some seconds, without the sound between two moments."""
    with (
        av.open(str(source)) as opened,
        av.open(str(target), "w", container_options={"avoid_negative_ts": "disabled"}) as copy,
    ):
        streams = {stream: copy.add_stream_from_template(stream) for stream in opened.streams}
        for packet in opened.demux():
            if packet.dts is None:
                continue
            at = float(packet.pts * packet.time_base)
            if hole and packet.stream.type == "audio" and hole[0] <= at < hole[1]:
                continue
            moved = round(shift / packet.time_base)
            packet.pts, packet.dts = packet.pts - moved, packet.dts - moved
            packet.stream = streams[packet.stream]
            copy.mux(packet)


def test_frames_that_are_cut_off_are_not_counted(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", click_at=2.0)
    remux(tmp_path / "a.mp4", tmp_path / "cut.mp4", shift=1.0)
    with av.open(str(tmp_path / "cut.mp4")) as container:
        shown = [frame.time for frame in container.decode(video=0)]
    assert len(shown) < 20
    np.testing.assert_allclose(frame_times(tmp_path / "cut.mp4"), shown, atol=1e-3)


def test_a_hole_in_a_track_is_silence(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", click_at=3.0)
    remux(tmp_path / "a.mp4", tmp_path / "b.mkv", hole=(1.0, 2.0))
    found = read_sound(tmp_path / "b.mkv", RATE)
    assert found is not None
    assert when(found) == pytest.approx(3.005, abs=0.06)


def test_a_film_is_as_loud_as_a_wav(tmp_path: Path) -> None:
    hum = 0.3 * np.sin(2 * np.pi * 440 * np.arange(4 * RATE) / RATE).astype(np.float32)
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        audio = container.add_stream("pcm_s16le", rate=RATE, layout="stereo")
        stored = np.stack([hum, hum], 1).reshape(1, -1) * 32767
        frame = av.AudioFrame.from_ndarray(stored.astype(np.int16), format="s16", layout="stereo")
        frame.sample_rate = RATE
        for packet in (*audio.encode(frame), *audio.encode(None)):
            container.mux(packet)
    found = read_sound(tmp_path / "a.mkv", RATE)
    assert found is not None
    assert np.abs(found).max() == pytest.approx(0.3, abs=0.01)


def test_what_is_no_number_is_named(tmp_path: Path) -> None:
    sound = click(1.0)
    sound[RATE // 2] = np.nan
    wavfile.write(tmp_path / "a.wav", RATE, sound)
    with pytest.raises(SoundError, match=r"a\.wav: no number at 0\.500 s, expected finite samples"):
        read_sound(tmp_path / "a.wav", RATE)
    wavfile.write(tmp_path / "b.wav", RATE, sound[:0])
    assert read_sound(tmp_path / "b.wav", RATE) is None


def loudest(sounds: FileSounds, video: str, frames: range) -> int:
    return max(frames, key=lambda frame: float(sounds.patch(video, frame)[28:36].sum()))


def test_frames_of_a_film_are_found_by_time_stamps(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", click_at=2.0)
    sounds = FileSounds(tmp_path, ["a"], SoundConfig())
    assert loudest(sounds, "a", range(1, 21)) == 11  # frame 1 is at 0 s
    with pytest.raises(SoundError, match=r"a\.mp4: frame 21 of a, expected 1 to 20"):
        sounds.patch("a", 21)


def test_frames_of_a_wav_are_found_by_their_speed(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", RATE, click(3.0))
    sounds = FileSounds(tmp_path, ["a"], SoundConfig(frames_per_second=10))
    assert loudest(sounds, "a", range(1, 41)) == 31
    with pytest.raises(SoundError, match="a WAV has no frame times"):
        FileSounds(tmp_path, ["a"], SoundConfig()).patch("a", 1)


def test_a_cache_says_what_the_file_says_until_the_file_changes(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", RATE, click(3.0))
    config = SoundConfig(frames_per_second=10, cache=str(tmp_path / "cache"))
    first = FileSounds(tmp_path, ["a"], config).patch("a", 31)
    plain = FileSounds(tmp_path, ["a"], replace(config, cache=None)).patch("a", 31)
    np.testing.assert_allclose(first, plain, atol=0.01)
    (kept,) = (tmp_path / "cache").iterdir()
    before = kept.stat().st_mtime_ns
    assert np.array_equal(FileSounds(tmp_path, ["a"], config).patch("a", 31), first)
    assert kept.stat().st_mtime_ns == before  # read, and not made again
    wavfile.write(tmp_path / "a.wav", RATE, click(1.0, length=5.0))
    assert loudest(FileSounds(tmp_path, ["a"], config), "a", range(1, 41)) == 11
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(b"broken")
    with pytest.raises(SoundError, match=r"\.npy: .*expected a spectrogram; remove the file"):
        FileSounds(tmp_path, ["a"], config).patch("a", 31)


def test_people_of_one_recording_hear_the_same(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "v1.wav", RATE, click(1.0))
    config = SoundConfig(frames_per_second=10)
    sounds = FileSounds(tmp_path, ["v1_left", "v1_right", "v2"], config)
    left, right = sounds.patch("v1_left", 5), sounds.patch("v1_right", 5)
    assert np.array_equal(left, right)
    assert sounds.patch("v2", 5) is None


def test_shuffled_sound_is_never_ones_own(tmp_path: Path) -> None:
    for number in range(4):
        wavfile.write(tmp_path / f"v{number}.wav", RATE, click(0.5 + 0.5 * number))
    videos = [f"v{number}" for number in range(4)]
    config = SoundConfig(frames_per_second=10, shuffled=True)
    sounds = FileSounds(tmp_path, videos, config)
    found = [loudest(sounds, video, range(1, 31)) for video in videos]
    assert sorted(found) == [6, 11, 16, 21]
    assert all(one != 6 + 5 * number for number, one in enumerate(found))


def test_shuffled_people_hear_another_recording_at_their_own_times(tmp_path: Path) -> None:
    for name, click_at, count in (("a", 1.0, 20), ("b", 3.0, 8)):
        film(tmp_path / f"{name}.mp4", click_at=click_at, count=count)
    config = SoundConfig(shuffled=True)
    sounds = FileSounds(tmp_path, ["a_left", "a_right", "b_left", "b_right"], config)
    assert [loudest(sounds, f"a_{side}", range(1, 21)) for side in ("left", "right")] == [16, 16]
    assert [loudest(sounds, f"b_{side}", range(1, 9)) for side in ("left", "right")] == [6, 6]
    with pytest.raises(SoundError, match="one sound, expected several"):
        FileSounds(tmp_path, ["a_left", "a_right"], config)


def test_files_that_are_none_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "b.mp4").write_bytes(b"no film at all")
    for name in ("a.wav", "b.mp4"):
        with pytest.raises(SoundError, match=rf"{name}: .*expected a sound or video file"):
            read_sound(tmp_path / name, RATE)
    with pytest.raises(SoundError, match="no sound of x, y, expected files named after videos"):
        FileSounds(tmp_path, ["x", "y"], SoundConfig())


FACES = SyntheticConfig(
    count=1200, size=32, subjects=12, frames_per_video=60, voice_share=0.5, silent_share=0.3
)


def test_voices_tell_of_arousal() -> None:
    faces = SyntheticFaces(FACES)
    sounds, shuffled = (
        DrawnVoices(faces, SoundConfig(folder="drawn", shuffled=flag)) for flag in (False, True)
    )
    found: dict[bool, list[float]] = {False: [], True: []}
    silent = 0
    for start in range(0, 1200, 60):
        rows = range(start, start + 60)
        arousal = [faces.state(row).arousal for row in rows]
        for flag, heard in ((False, sounds), (True, shuffled)):
            patches = [heard.patch(*faces.video(row)) for row in rows]
            if patches[0] is None:
                silent += not flag
                continue
            loud = [float(patch[24:40].mean()) for patch in patches]
            found[flag].append(float(np.corrcoef(loud, arousal)[0, 1]))
    assert np.mean(found[False]) > 0.4
    assert abs(np.mean(found[True])) < 0.25
    assert 2 <= silent <= 11  # of 20


def test_the_share_of_the_voice_leaves_the_spread_of_arousal() -> None:
    without = SyntheticFaces(SyntheticConfig(count=1200, size=32, subjects=12, frames_per_video=60))
    heard = SyntheticFaces(FACES)
    spread = [
        np.std([faces.state(row).arousal for row in range(1200)]) for faces in (without, heard)
    ]
    assert spread[1] == pytest.approx(spread[0], rel=0.25)
    valence = [[faces.state(row).valence for row in range(60)] for faces in (without, heard)]
    assert valence[0] == valence[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "mine"}, "preset 'mine', expected one of default, paper"),
        ({"frames_per_second": 0.0}, r"frames_per_second 0\.0, expected in \[0\.001, 10000\]"),
    ],
)
def test_sounds_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SoundConfig(**changes)


def test_stills_have_no_sound() -> None:
    sound = SoundConfig(folder="drawn")
    with pytest.raises(KindError, match=r"sound\.folder with a list of stills"):
        read_collection(LabelledConfig(sound=sound))
    with pytest.raises(ValueError, match=r"voice_share 0\.5 with stills"):
        SyntheticConfig(voice_share=0.5)
    with pytest.raises(ValueError, match=r"sound\.folder drawn with kind 'manifest'"):
        LabelledConfig(kind="manifest", root="x", sound=sound)
