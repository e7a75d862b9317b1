"""Images without faces: the control for "does it matter that the pretraining images are faces?".

Half are dead leaves (occluding shapes of power-law sizes, which share edge and scale statistics
with natural images), half textures (1/f colour noise, warped stripes, tiles). Colours come from
the palettes of the drawn faces, so that colour alone does not explain a difference.

Source: Lee, Mumford & Huang, "Occlusion models for natural images", IJCV 2001; Baradad et al.,
"Learning to see by looking at noise", NeurIPS 2021.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pretrain.data.drawing.colours import CLOTHES, HAIRS, SKINS, WALLS
from pretrain.data.generated import GeneratedNames, check_integers
from pretrain.data.sources import Source

KINDS = ("leaves", "noise", "stripes", "tiles")
_SHARES = (0.5, 0.2, 0.15, 0.15)
_PALETTE = np.array([*SKINS, *HAIRS, *CLOTHES, *WALLS], dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class NonFacesConfig:
    """Which images without faces.

    Attributes:
        count: number of images.
        size: pixels a side, 32..512.
        seed: seed of everything, 0 or more.
    """

    count: int = 20_000
    size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values outside the documented ranges."""
        check_integers(self, count=(1, 10**9), size=(32, 512), seed=(0, 2**63))


class NonFaces(Source):
    """Dead leaves and textures, each a pure function of (config, index)."""

    def __init__(self, config: NonFacesConfig) -> None:
        """Draws nothing yet."""
        self.config = config
        self.names = GeneratedNames(config.count, "n{:07d}".format)

    def __len__(self) -> int:
        return self.config.count

    def kind(self, index: int) -> str:
        """One of `KINDS`."""
        return self._open(index)[0]

    def _open(self, index: int) -> tuple[str, np.random.Generator]:
        at = range(len(self))[index]
        rng = np.random.Generator(np.random.PCG64((self.config.seed, 3, at)))
        return KINDS[int(np.searchsorted(np.cumsum(_SHARES), rng.random() * 0.999999))], rng

    def image(self, index: int) -> NDArray[np.uint8]:
        """[size, size, 3] uint8 RGB."""
        kind, rng = self._open(index)
        size = self.config.size
        colours = _PALETTE[rng.choice(len(_PALETTE), 6, replace=False)]
        if kind == "leaves":
            picture = _leaves(rng, size)
        elif kind == "noise":
            picture = _noise(rng, size, colours)
        elif kind == "stripes":
            picture = _stripes(rng, size, colours)
        else:
            picture = _tiles(rng, size, colours)
        t = np.linspace(-1, 1, size, dtype=np.float32)
        slope = rng.normal(0, 0.12, 2)
        light = 1 + slope[0] * t[:, None] + slope[1] * t[None]
        picture = picture * light[..., None]
        picture = picture + rng.uniform(0, 6) * rng.standard_normal((size, size, 1), np.float32)
        return np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)


def _leaves(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    """Opaque shapes, sizes with density ~ r^-3, back to front."""
    factor = 2
    side = size * factor
    ground = _PALETTE[rng.integers(len(_PALETTE))].astype(int).tolist()
    canvas = Image.new("RGB", (side, side), tuple(ground))
    draw = ImageDraw.Draw(canvas)
    count, smallest, largest = 160, 0.045, 0.45
    u = rng.random(count)
    radius = 1 / np.sqrt(u / smallest**2 + (1 - u) / largest**2) * side
    x, y = rng.random((2, count)) * side
    colour = _PALETTE[rng.integers(len(_PALETTE), size=count)]
    colour = np.clip(colour + rng.normal(0, 8, (count, 3)), 0, 255).astype(int)
    corners = (4, 5, 7, 24, 24)[rng.integers(5)]
    turn = rng.random(count) * 2 * np.pi
    stretch = rng.uniform(0.5, 1.0, count)
    angle = np.arange(corners) * (2 * np.pi / corners)
    ax, ay = np.cos(angle) * radius[:, None], np.sin(angle) * (radius * stretch)[:, None]
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    outline = np.stack((x[:, None] + cos * ax - sin * ay, y[:, None] + sin * ax + cos * ay), -1)
    for points, fill in zip(outline.reshape(count, -1).tolist(), colour.tolist(), strict=True):
        draw.polygon(points, fill=tuple(fill))
    return np.asarray(canvas.reduce(factor), dtype=np.float32)


def _field(rng: np.random.Generator, size: int, slope: float) -> NDArray[np.float32]:
    """[size, size] noise with amplitude ~ 1 / frequency^slope, mean 0 and sd 1."""
    fy = np.fft.fftfreq(size)[:, None]
    fx = np.fft.rfftfreq(size)[None]
    amplitude = 1 / np.maximum(np.hypot(fy, fx), 1 / size) ** slope
    amplitude[0, 0] = 0
    shape = amplitude.shape
    waves = amplitude * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
    field = np.fft.irfft2(waves, s=(size, size))
    return np.asarray(field / field.std(), dtype=np.float32)


def _blend(
    first: NDArray[np.float32], second: NDArray[np.float32], t: NDArray[np.float32]
) -> NDArray[np.float32]:
    return first + (second - first) * t[..., None]


def _noise(
    rng: np.random.Generator, size: int, colours: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Two independent 1/f fields between three colours."""
    slope = rng.uniform(0.8, 2.0)
    first = 1 / (1 + np.exp(-1.8 * _field(rng, size, slope)))
    second = 1 / (1 + np.exp(-1.8 * _field(rng, size, slope)))
    return _blend(_blend(colours[0], colours[1], first), colours[2], second * 0.8)


def _stripes(
    rng: np.random.Generator, size: int, colours: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Stripes of a random direction, bent by a smooth field."""
    t = np.linspace(0, 1, size, dtype=np.float32)
    angle, cycles = rng.uniform(0, np.pi), rng.uniform(2, 9)
    phase = np.cos(angle) * t[None] + np.sin(angle) * t[:, None]
    phase = phase * cycles + rng.uniform(0, 0.35) * _field(rng, size, 2.2) + rng.random()
    wave = 0.5 + 0.5 * np.tanh(rng.uniform(0.8, 5) * np.sin(2 * np.pi * phase))
    return _blend(colours[0], colours[1], wave.astype(np.float32))


def _tiles(
    rng: np.random.Generator, size: int, colours: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A rotated grid of cells, each in one of six colours."""
    t = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    angle, cells = rng.uniform(0, np.pi), rng.uniform(3, 9)
    u = (np.cos(angle) * t[None] - np.sin(angle) * t[:, None]) * cells + 16
    v = (np.sin(angle) * t[None] + np.cos(angle) * t[:, None]) * cells * rng.uniform(0.6, 1.4) + 16
    pick = rng.integers(6, size=(32, 32))
    return np.asarray(colours[pick[u.astype(int), v.astype(int)]], dtype=np.float32)
