"""Log-mel spectrograms, and the patch of one around a moment.

Shapes: n samples of a waveform, F spectrogram frames, M mel bands, S frames of a patch.

Source: the presets are those of audio-visual entries to the Aff-Wild2 challenges; ``paper`` is like
that of Kollias and Zafeiriou 2019 (arXiv 1910.04855: 44.1 kHz, windows of 33 ms that overlap by
11 ms; its number of bands is not published).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Added to the power before the logarithm: about that of 16-bit silence.
FLOOR = 1e-6

Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class LogMel:
    """How sound becomes a picture.

    Attributes:
        sample_rate_hz: sounds are resampled to it.
        window_seconds: of a spectrogram frame (Hann).
        hop_seconds: from one frame to the next.
        bands: M, between 0 Hz and half the sample rate.
        frames: S, of a patch.
    """

    sample_rate_hz: int = 16_000
    window_seconds: float = 0.025
    hop_seconds: float = 0.010
    bands: int = 64
    frames: int = 64

    def spectrogram(self, waveform: Array) -> Array:
        """Log-mel powers [F, M] of a waveform [n] in [-1, 1]; frame i is centred at i hops."""
        window, hop = round(self.window_seconds * self.sample_rate_hz), self._hop
        padded = np.pad(waveform.astype(np.float32), (window // 2, window))
        count = len(waveform) // hop + 1
        frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][:count]
        spectrum = np.fft.rfft(frames * np.hanning(window + 1)[:-1].astype(np.float32), axis=1)
        power = (np.abs(spectrum) / (window / 4)) ** 2  # 1 for a sine of amplitude 1
        return np.log(power @ self._filters(window).T + FLOOR).astype(np.float32)

    def patch(self, spectrogram: Array, seconds: float) -> Array:
        """The S frames [S, M] around a moment; silence before the beginning and after the end."""
        # By whole samples: 22 ms are 970.2 of them, and the fifth of one adds up.
        first = round(seconds * self.sample_rate_hz / self._hop) - self.frames // 2
        found = np.full((self.frames, self.bands), np.log(FLOOR), np.float32)
        start, stop = max(first, 0), min(first + self.frames, len(spectrogram))
        if start < stop:
            found[start - first : stop - first] = spectrogram[start:stop]
        return found

    @property
    def _hop(self) -> int:
        """Samples from one frame to the next."""
        return round(self.hop_seconds * self.sample_rate_hz)

    def _filters(self, window: int) -> NDArray[np.float64]:
        """[M, window / 2 + 1] triangles that overlap by half on the mel scale (O'Shaughnessy)."""
        highest = _mel(self.sample_rate_hz / 2)
        edges = _hertz(np.linspace(0, highest, self.bands + 2))
        bins = np.fft.rfftfreq(window, 1 / self.sample_rate_hz)
        low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
        rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
        filters = np.maximum(0, np.minimum(rising, falling))
        # A triangle between two bins would hear nothing: it takes the nearest bin.
        for band in np.flatnonzero(filters.sum(1) == 0):
            filters[band, np.abs(bins - edges[band + 1]).argmin()] = 1
        return np.asarray(filters)


PRESETS: Mapping[str, LogMel] = {
    "default": LogMel(),
    "paper": LogMel(sample_rate_hz=44_100, window_seconds=0.033, hop_seconds=0.022),
}


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
