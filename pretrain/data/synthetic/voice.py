"""Voices of drawn faces: pitch and loudness tell of arousal what the face does not show.

Shapes: T frames of a video, n samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pretrain.data.synthetic.videos import FRAMES_PER_SECOND

SAMPLE_RATE_HZ = 16_000

_PITCH_HZ = 150.0
"""Of a calm voice of the usual height."""

_OCTAVES, _LOUDER = 0.35, 0.5
"""How much a standard deviation raises pitch (in octaves), and loudness (its logarithm)."""

_HARMONICS = 8
_SYLLABLE_SECONDS = 0.25
_HISS = 0.003


def start_of(frame: int) -> float:
    """When a frame (from 1) is shown, in seconds."""
    return (frame - 1) / FRAMES_PER_SECOND


def speak(told: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """A waveform [n] in [-1, 1].

    Args:
        told: [T] standard normals, frame by frame.
        rng: of the speaker's usual height, the syllables and the hiss.
    """
    n = round(len(told) * SAMPLE_RATE_HZ / FRAMES_PER_SECOND)
    time = np.arange(n) / SAMPLE_RATE_HZ
    at = np.interp(time, [start_of(frame + 1) for frame in range(len(told))], told)
    height = _PITCH_HZ * 2 ** (0.25 * rng.standard_normal())
    phase = 2 * np.pi * np.cumsum(height * 2 ** (_OCTAVES * at)) / SAMPLE_RATE_HZ
    tone = sum(np.sin(k * phase) / k for k in range(1, _HARMONICS + 1))
    syllables = np.sin(np.pi * (time / _SYLLABLE_SECONDS + rng.random())) ** 2
    loud = 0.06 * np.exp(_LOUDER * at) * (0.3 + 0.7 * syllables)
    sound = loud * tone + _HISS * rng.standard_normal(n)
    return np.clip(sound, -1, 1).astype(np.float32)
