"""What is heard at a frame: looked up by video and frame number, cut by time.

Shapes: S frames of a patch, M mel bands.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from finetune.data.sound.logmel import PRESETS, LogMel
from finetune.data.sound.reading import SoundError, frame_times, read_sound
from pretrain.data.synthetic import SyntheticFaces
from pretrain.data.synthetic.voice import SAMPLE_RATE_HZ, start_of
from pretrain.files import write_bytes

Array = NDArray[np.float32]

Value = TypeVar("Value")

#: The folder's name that stands for the voices of drawn faces.
DRAWN = "drawn"

#: Endings that are tried for a video's sound, in this order.
_ENDINGS = (".wav", ".flac", ".mp3", ".m4a", ".mp4", ".avi", ".mkv", ".mov", ".webm")

#: Ends of video names that tell persons of one recording apart; they share its sound.
_PERSONS = ("_left", "_right")

#: Frames a second that a video may have.
_SLOWEST, _FASTEST = 0.001, 10_000

#: Spectrograms that are kept in memory, 1.5 MB a minute of sound.
_KEPT = 16


@dataclass(frozen=True, kw_only=True)
class SoundConfig:
    """The sounds of videos.

    Attributes:
        folder: holds VIDEO.wav (or .mp4, .avi, ...) for each video; ``drawn`` for the voices of
            drawn faces; null: nothing is heard.
        preset: of the spectrogram: default (16 kHz, 25 ms windows every 10 ms) or paper (44.1 kHz,
            33 ms windows that overlap by 11 ms); 64 bands and 64 frames in both.
        frames_per_second: when frame n is: (n - 1) / frames_per_second; null: as the time stamps of
            the video file say (frame n is its n-th). A .wav has none.
        cache: folder for spectrograms (half precision, 0.8 MB a minute), each made once and then
            read where it is needed; null: a sound file is read again for every few clips.
        shuffled: every video is given the sound of another one: the control that shows whether
            sound counts.
    """

    folder: str | None = field(default=None, metadata={"operational": True})
    preset: str = "default"
    frames_per_second: float | None = None
    cache: str | None = field(default=None, metadata={"operational": True})
    shuffled: bool = False

    def __post_init__(self) -> None:
        """Refuses unknown presets and no speed."""
        if self.preset not in PRESETS:
            raise ValueError(f"preset {self.preset!r}, expected one of {', '.join(PRESETS)}")
        speed = self.frames_per_second
        if speed is not None and not _SLOWEST <= speed <= _FASTEST:
            raise ValueError(
                f"frames_per_second {speed}, expected in [{_SLOWEST}, {_FASTEST}] or null"
            )

    @property
    def form(self) -> LogMel:
        """Of the spectrograms."""
        return PRESETS[self.preset]


class Sounds(Protocol):
    """What is heard in videos."""

    form: LogMel

    def patch(self, video: str, frame: int) -> Array | None:
        """Log-mel powers [S, M] around a frame; None: the video has no sound.

        Raises:
            SoundError: a file that cannot be read.
        """
        ...


def check_preset(preset: str, sounds: Sounds) -> None:
    """Refuses sounds in another form than a model is trained on.

    Args:
        preset: of the model, a name of :data:`~finetune.data.sound.logmel.PRESETS`.
        sounds: that it is to hear.

    Raises:
        SoundError: of another preset.
    """
    if sounds.form != PRESETS[preset]:
        got = next(name for name, form in PRESETS.items() if form == sounds.form)
        raise SoundError(
            f"data.sound.preset {got} with a model that hears {preset}, expected {preset}"
        )


class _Kept:
    """Spectrograms by video, the last ones kept."""

    def __init__(self, form: LogMel) -> None:
        self.form = form
        self._known: OrderedDict[str, Array | None] = OrderedDict()

    def spectrogram(self, video: str) -> Array | None:
        if video not in self._known:
            self._known[video] = self.made(video)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(video)
        return self._known[video]

    def made(self, video: str) -> Array | None:
        """The spectrogram of a video, made anew."""
        sound = self.waveform(video)
        return None if sound is None else self.form.spectrogram(sound)

    def waveform(self, video: str) -> Array | None:
        raise NotImplementedError


class FileSounds(_Kept):
    """The sounds of video or sound files.

    Args:
        folder: of the files.
        videos: all that will be asked for.
        config: how they are heard.

    Raises:
        SoundError: no file for any video, or no frame times.
    """

    def __init__(self, folder: Path, videos: Sequence[str], config: SoundConfig) -> None:
        super().__init__(config.form)
        self._speed, self._times = config.frames_per_second, dict[str, NDArray[np.float64]]()
        self._files = {video: _find(folder, video) for video in dict.fromkeys(videos)}
        self._cache = None if config.cache is None else Path(os.path.expanduser(config.cache))
        found = [video for video, file in self._files.items() if file is not None]
        if not found:
            names = ", ".join(list(self._files)[:3])
            raise SoundError(
                f"{folder}: no sound of {names}{', ...' if len(self._files) > 3 else ''}, expected"
                f" files named after videos, ending in {' '.join(_ENDINGS)}"
            )
        self._own = dict(self._files)  # whose frames they are, whatever is heard
        if config.shuffled:
            files = {str(file): file for file in self._files.values() if file is not None}
            if len(files) < 2:
                raise SoundError(f"{folder}: one sound, expected several for sound.shuffled true")
            others = _exchanged(files)
            self._files |= {video: others[str(self._files[video])] for video in found}

    def patch(self, video: str, frame: int) -> Array | None:
        """See :class:`Sounds`."""
        spectrogram = self.spectrogram(video)
        if spectrogram is None:
            return None
        return self.form.patch(spectrogram, self._seconds(video, frame))

    def made(self, video: str) -> Array | None:
        """The spectrogram of a video, from the cache where it is there, else into it."""
        file = self._files[video]
        if file is None or self._cache is None:
            return super().made(video)
        state = file.stat()
        key = f"{file.resolve()} {state.st_size} {state.st_mtime_ns} {self.form}".encode()
        place = self._cache / f"{hashlib.blake2b(key, digest_size=12).hexdigest()}.npy"
        if not place.exists():
            made = super().made(video)
            kept = np.zeros((0, self.form.bands)) if made is None else made
            content = io.BytesIO()
            np.save(content, kept.astype(np.float16), allow_pickle=False)
            write_bytes(place, content.getvalue())
        try:
            found = np.load(place, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise SoundError(f"{place}: {error}, expected a spectrogram; remove the file") from None
        return found if len(found) else None

    def waveform(self, video: str) -> Array | None:
        """The sound of a video, whole; None: it has none."""
        file = self._files[video]
        return None if file is None else read_sound(file, self.form.sample_rate_hz)

    def _seconds(self, video: str, frame: int) -> float:
        if self._speed is not None:
            return (frame - 1) / self._speed
        file = self._own[video]
        assert file is not None
        if video not in self._times:
            if file.suffix.lower() == ".wav":
                raise SoundError(
                    f"{file}: a WAV has no frame times, expected data.sound.frames_per_second"
                )
            self._times[video] = frame_times(file)
        times = self._times[video]
        if not 1 <= frame <= len(times):
            raise SoundError(
                f"{file}: frame {frame} of {video}, expected 1 to {len(times)} as in the file"
            )
        return float(times[frame - 1])


class DrawnVoices(_Kept):
    """The voices of drawn faces.

    Args:
        faces: of videos.
        config: how they are heard.
    """

    def __init__(self, faces: SyntheticFaces, config: SoundConfig) -> None:
        super().__init__(config.form)
        self._faces = faces
        count, length = len(faces), faces.config.frames_per_video
        names = {faces.video(index)[0]: index // length for index in range(0, count, length)}  # type: ignore[index]
        self._numbers = _exchanged(names) if config.shuffled else names

    def patch(self, video: str, frame: int) -> Array | None:
        """See :class:`Sounds`."""
        spectrogram = self.spectrogram(video)
        return None if spectrogram is None else self.form.patch(spectrogram, start_of(frame))

    def waveform(self, video: str) -> Array | None:
        """The voice of a video, whole; None: it is silent."""
        from scipy.signal import resample_poly

        sound = self._faces.voice(self._numbers[video])
        if sound is None or self.form.sample_rate_hz == SAMPLE_RATE_HZ:
            return sound
        resampled = resample_poly(sound, self.form.sample_rate_hz // 100, SAMPLE_RATE_HZ // 100)
        return np.asarray(resampled, np.float32)


def _find(folder: Path, video: str) -> Path | None:
    names = [video, *(video.removesuffix(end) for end in _PERSONS if video.endswith(end))]
    for name in names:
        for ending in _ENDINGS:
            for written in (ending, ending.upper()):
                if (file := folder / f"{name}{written}").is_file():
                    return file
    return None


def _exchanged(of: dict[str, Value]) -> dict[str, Value]:
    """Every name with what belongs to another, in an order that names do not show."""
    names = sorted(of, key=lambda name: hashlib.blake2b(name.encode()).digest())
    return {name: of[other] for name, other in zip(names, [*names[1:], *names[:1]], strict=True)}
