"""Videos of drawn faces: the same states as those of stills, wandering.

Shapes: T frames of a video, gaps included; L latents.

Every latent and every swing of the head is a stationary Ornstein-Uhlenbeck path, so that a frame of
a video is distributed as a still. What belongs to a recording (person, backdrop, light, occluder,
which labels are missing) stays. Annotators follow valence and arousal late and err smoothly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FRAMES_PER_SECOND = 5
"""Of the frame numbers."""

TIME_CONSTANT_SECONDS = (2.0, 5.0)
"""Of the state of a face, drawn for each video; speech is five times faster."""

LAG_SECONDS = (0.2, 1.0)
"""By which annotators follow valence and arousal, drawn for each video."""

RATER_SECONDS = 1.0
"""Time constant of the raters' errors."""

GAP = 0.05
"""Share of the frames after which some are missing: no face was found."""

LONGEST_GAP = 3
"""Frames that are missing at most."""

_LATENTS, _SPEECH, _RATERS, _POSE = 26, 24, 8, 6


@dataclass(frozen=True, eq=False)
class Path:
    """All that changes in a video, by listed frame.

    Attributes:
        frames: [n] frame numbers, from 1.
        latents: [n, 26] standard normals.
        lagged: [n, 26] the same, some frames earlier: what annotators see of valence and arousal.
        raters: [n, 8] standard normals.
        pose: [n, 6] standard normals, of the head in the frame.
        annotation: [n, 19] uniforms, which stay for a second.
        voice: [T + delay] standard normals, what the voice alone tells, frame by frame, gaps
            included; frame f is at f - 1 + delay.
        delay: frames by which annotators are late.
    """

    frames: NDArray[np.int64]
    latents: Array
    lagged: Array
    raters: Array
    pose: Array
    annotation: Array
    voice: Array
    delay: int


@lru_cache(maxsize=64)
def path(seed: int, split: int, video: int, length: int) -> Path:
    """The path of a video of so many listed frames; a pure function, cached.

    A longer one of the same number begins as a shorter one does not: gaps are drawn first.
    """
    rng = np.random.Generator(np.random.PCG64((seed, 4, split, video)))
    steps = np.where(rng.random(length) < GAP, 1 + rng.integers(1, LONGEST_GAP + 1, length), 1)
    steps[0] = 1
    frames = np.cumsum(steps)
    total = int(frames[-1])
    constant, lag = rng.uniform(*TIME_CONSTANT_SECONDS), rng.uniform(*LAG_SECONDS)
    delay = round(lag * FRAMES_PER_SECOND)
    seconds = np.full(_LATENTS, constant)
    seconds[_SPEECH] /= 5
    latents = _wander(rng, total + delay, seconds)
    raters = _wander(rng, total, np.full(_RATERS, RATER_SECONDS))
    pose = _wander(rng, total, np.full(_POSE, constant))
    blocks = rng.random((total // FRAMES_PER_SECOND + 1, 19))
    voice = _wander(rng, total + delay, np.array([constant]))[:, 0]
    at = frames - 1
    return Path(
        frames=frames,
        latents=latents[at + delay],
        lagged=latents[at],
        raters=raters[at],
        pose=pose[at],
        annotation=blocks[at // FRAMES_PER_SECOND],
        voice=voice,
        delay=delay,
    )


def _wander(rng: np.random.Generator, frames: int, seconds: Array) -> Array:
    """[frames, L] stationary standard normals with time constants [L]."""
    keep = np.exp(-1 / (seconds * FRAMES_PER_SECOND))
    push = np.sqrt(1 - keep**2)
    found = rng.standard_normal((frames, len(seconds)))
    for frame in range(1, frames):
        found[frame] = keep * found[frame - 1] + push * found[frame]
    return found
