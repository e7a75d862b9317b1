"""Sound tracks and frame times of files: WAV by SciPy, everything else by PyAV."""

from __future__ import annotations

from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrain.errors import UserError

#: Longer holes in a track are silence; shorter ones are how time stamps are rounded.
_HOLE_SECONDS = 0.05


class SoundError(UserError):
    """A sound or video file that cannot be read."""


def read_sound(file: Path, sample_rate_hz: int) -> NDArray[np.float32] | None:
    """The sound track of a WAV, or of anything that FFmpeg reads, as one channel.

    Args:
        file: sound or video.
        sample_rate_hz: to which it is resampled.

    Returns:
        [n] float32 in [-1, 1], the mean of its channels, from time 0 of the file; None: it has no
        sound track, or an empty one.

    Raises:
        SoundError: it cannot be read, or holds what is no number.
    """
    wav = file.suffix.lower() == ".wav"
    sound = (_read_wav if wav else _read_track)(file, sample_rate_hz)
    if sound is None or not len(sound):
        return None
    if not np.isfinite(sound).all():
        place = int(np.argmin(np.isfinite(sound))) / sample_rate_hz
        raise SoundError(f"{file}: no number at {place:.3f} s, expected finite samples")
    return sound


def _read_track(file: Path, sample_rate_hz: int) -> NDArray[np.float32] | None:
    av = _av(file)
    try:
        with av.open(str(file)) as container:
            if not container.streams.audio:
                return None
            resampler = av.AudioResampler(format="fltp", rate=sample_rate_hz)
            parts, start, end = list[NDArray[np.float32]](), None, 0.0
            for frame in container.decode(audio=0):
                if start is None:
                    start = end = 0.0 if frame.time is None else float(frame.time)
                hole = 0.0 if frame.time is None else float(frame.time) - end
                if hole > _HOLE_SECONDS:
                    parts.append(np.zeros(round(hole * sample_rate_hz), np.float32))
                    end += hole
                end += frame.samples / frame.sample_rate
                parts += [part.to_ndarray().mean(0) for part in resampler.resample(frame)]
            parts += [part.to_ndarray().mean(0) for part in resampler.resample(None)]
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(file, error) from None
    if not parts:
        return None
    sound = np.concatenate(parts).astype(np.float32)
    shift = round((start or 0.0) * sample_rate_hz)  # a track may begin after, or before, time 0
    return np.pad(sound, (shift, 0)) if shift > 0 else sound[-shift:]


def frame_times(file: Path) -> NDArray[np.float64]:
    """When each frame of a video is shown, in seconds, in the order in which they are shown.

    Raises:
        SoundError: it cannot be read, or has no video stream.
    """
    av = _av(file)
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise SoundError(f"{file}: no video stream, expected one")
            stream = container.streams.video[0]
            # Packets tell the times without decoding; they come in another order.
            times = [
                float(packet.pts * stream.time_base)
                for packet in container.demux(stream)
                if packet.pts is not None and not packet.is_discard  # cut off, never shown
            ]
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(file, error) from None
    return np.sort(np.array(times))


def _read_wav(file: Path, sample_rate_hz: int) -> NDArray[np.float32]:
    from scipy.io import wavfile  # takes a while to import
    from scipy.signal import resample_poly

    try:
        rate, samples = wavfile.read(file)
        if rate < 1:
            raise ValueError(f"{rate} samples a second")
    except Exception as error:  # SciPy raises struct.error, UnboundLocalError and more
        raise _unreadable(file, error) from None
    if samples.dtype == np.uint8:
        sound = (samples.astype(np.float32) - 128) / 128
    elif np.issubdtype(samples.dtype, np.integer):
        sound = samples.astype(np.float32) / float(-np.iinfo(samples.dtype).min)
    else:
        sound = samples.astype(np.float32)
    if sound.ndim == 2:
        sound = sound.mean(1)
    if rate != sample_rate_hz and len(sound):
        common = gcd(rate, sample_rate_hz)
        sound = resample_poly(sound, sample_rate_hz // common, rate // common)
    return np.asarray(sound, np.float32)


def _av(file: Path) -> Any:
    try:
        import av
    except ImportError:
        raise SoundError(
            f"{file}: needs PyAV, expected it installed (pip install 'faceprior[video]'), or a .wav"
        ) from None
    return av


def _unreadable(file: Path, error: Exception) -> SoundError:
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    return SoundError(f"{file}: {reason}, expected a sound or video file")
