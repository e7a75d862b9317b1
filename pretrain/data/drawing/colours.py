"""Colours of faces and rooms, and how to mix them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""

SKINS: tuple[Colour, ...] = (
    *((240, 206, 182), (234, 194, 166), (226, 182, 150), (218, 170, 132), (205, 153, 114)),
    *((190, 136, 98), (166, 112, 76), (140, 92, 62), (114, 74, 50), (90, 58, 42)),
)
HAIRS: tuple[Colour, ...] = (
    *((28, 22, 22), (44, 31, 27), (70, 46, 34), (104, 68, 44), (142, 82, 46), (160, 76, 40)),
    *((176, 118, 66), (200, 156, 96), (226, 192, 132)),
)
IRISES: tuple[Colour, ...] = (
    *((72, 46, 28), (96, 62, 34), (58, 36, 24), (122, 92, 46), (84, 112, 72)),
    *((74, 122, 158), (104, 150, 180), (108, 124, 132)),
)
ACCENTS: tuple[Colour, ...] = (
    *((42, 40, 46), (40, 70, 110), (140, 50, 60), (60, 110, 100), (150, 110, 60), (96, 70, 120)),
)
CLOTHES: tuple[Colour, ...] = (
    *((52, 66, 96), (150, 60, 58), (70, 120, 110), (196, 170, 120), (90, 84, 92), (224, 220, 212)),
    *((108, 82, 130), (214, 134, 92), (44, 46, 52)),
)
WALLS: tuple[Colour, ...] = (
    *((188, 204, 214), (222, 208, 186), (164, 186, 160), (206, 178, 176), (132, 150, 176)),
    *((96, 106, 122), (232, 228, 222), (120, 132, 112), (176, 158, 190), (70, 84, 104)),
)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blend two colours; `share` in [0, 1] is the share of the second."""
    t = min(1.0, max(0.0, share))
    return (
        round(first[0] + t * (second[0] - first[0])),
        round(first[1] + t * (second[1] - first[1])),
        round(first[2] + t * (second[2] - first[2])),
    )


def pick(palette: Sequence[Colour], u: float, jitter: NDArray[np.float64], spread: float) -> Colour:
    """A colour between two neighbours of a palette, plus a little noise.

    Args:
        palette: colours in an order in which neighbours mix well.
        u: place in the palette, 0..1.
        jitter: [2 or more] standard normals.
        spread: strength of the noise in grey levels.
    """
    place = u * (len(palette) - 1)
    low = min(int(place), len(palette) - 2)
    colour = mix(palette[low], palette[low + 1], place - low)
    # Mostly brighter or darker, a little warmer or colder: three free channels would tint greys.
    shift = spread * (jitter[0] + np.array([0.3, 0.0, -0.3]) * jitter[1])
    red, green, blue = np.clip(np.array(colour) + shift, 8, 250).round().astype(int).tolist()
    return red, green, blue
