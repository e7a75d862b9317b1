"""Hair over the forehead and behind the head; a scarf is drawn like hair."""

import math

import numpy as np

from pretrain.data.drawing.colours import Colour, mix
from pretrain.data.drawing.look import Look
from pretrain.data.drawing.pen import Pen
from pretrain.data.drawing.sketch import Curve, Point, Sketch, mirrored

HAIRLINES: dict[str, tuple[Point, ...]] = {
    # The left half from the temple to the middle; mirrored. "parted" has a line of its own.
    "short": ((-0.97, -0.02), (-0.86, -0.48), (-0.66, -0.80), (-0.3, -0.92), (0, -0.88)),
    "buzz": ((-0.97, -0.10), (-0.86, -0.50), (-0.70, -0.80), (-0.32, -0.98), (0, -1.0)),
    "fringe": ((-0.98, 0.10), (-0.88, -0.35), (-0.74, -0.58), (-0.36, -0.60), (0, -0.63)),
    "bob": ((-0.98, 0.80), (-0.90, -0.10), (-0.76, -0.56), (-0.36, -0.62), (0, -0.65)),
    "long": ((-0.98, 0.75), (-0.93, -0.05), (-0.80, -0.52), (-0.42, -0.90), (0, -1.12)),
    "curly": ((-1.0, 0.02), (-0.88, -0.46), (-0.70, -0.74), (-0.34, -0.80), (0, -0.86)),
    "bun": ((-0.97, -0.10), (-0.86, -0.52), (-0.66, -0.84), (-0.3, -1.0), (0, -1.04)),
    "scarf": ((-1.0, 0.85), (-0.93, 0.05), (-0.82, -0.45), (-0.46, -0.74), (0, -0.84)),
}
PARTED: tuple[Point, ...] = (
    *((-0.97, -0.02), (-0.86, -0.46), (-0.62, -0.98), (-0.36, -1.06), (0.05, -0.84)),
    *((0.46, -0.66), (0.80, -0.50), (0.92, -0.20), (0.97, 0.02)),
)
VOLUME = {"buzz": 0.03, "curly": 0.30, "scarf": 0.14, "bun": 0.07}
USUAL_VOLUME = 0.13
FALL = {"long": 1.9, "bob": 0.92, "scarf": 1.55}
"""How far down hair that covers the ears falls."""


def covers_ears(look: Look) -> bool:
    """Whether the hair falls over the ears."""
    return look.hair_style in FALL


def outline_hair(sketch: Sketch, look: Look) -> None:
    """Crown and hairline, and what shows behind the head."""
    style, w = look.hair_style, look.width
    if style != "bald":
        _outline_crown(sketch, look)
    if style in FALL:
        points = _falling(w, FALL[style])
    elif style == "curly":
        points = _cloud(w)
    elif style == "bun":
        points = _bun()
    else:
        return
    sketch.add("back", points, closed=True, rim=True)


def _outline_crown(sketch: Sketch, look: Look) -> None:
    """The area between the hairline and the outline of the hair, a gloss and a parting in it."""
    style, w = look.hair_style, look.width
    line = PARTED
    if style != "parted":
        line = (*HAIRLINES[style], *mirrored(HAIRLINES[style][:-1]))
    sketch.add("hairline", [(x * w, y, 0.02) for x, y in line])
    left = [(-1.0, -0.35), (-0.92, -0.84), (-0.55, -1.24)]
    crown = [(-0.99, line[0][1]), *left, (0, -1.36), *mirrored(left), (0.99, line[-1][1])]
    volume, wave = VOLUME.get(style, USUAL_VOLUME), 0.25 if style == "curly" else 0.0
    bumps = [1 + volume * (0.75 + wave * (-1) ** k) for k in range(9)]
    bumps[0] = bumps[-1] = 1 + 0.3 * volume
    points = [(x * w * b, -0.2 + (y + 0.2) * b) for (x, y), b in zip(crown, bumps, strict=True)]
    sketch.add("crown", points, rim=True)
    sketch.add("gloss", [(-0.62 * w, -1.02), (-0.34 * w, -1.20), (0.02, -1.26)], rim=True)
    sketch.add("part", [(-0.36 * w, -1.04), (-0.30 * w, -1.2), (-0.2 * w, -1.36)], rim=True)


def _falling(width: float, end: float) -> list[Point]:
    """Hair that falls behind a head of this width down to `end`."""
    right = [(0.7, -1.28), (1.08, -0.7), (1.14, 0.1), (1.18, 0.7), (1.10, end), (0.4, end + 0.08)]
    return [(x * width, y) for x, y in [(0, -1.46), *right, *mirrored(right)]]


def _cloud(width: float) -> list[Point]:
    """Curls around a head of this width."""
    angles = [math.pi * (0.5 + 2 * k / 22) for k in range(22)]
    radii = [1.36 + 0.07 * (-1) ** k for k in range(22)]
    return [
        (width * r * math.cos(a), -0.38 - 0.95 * r * math.sin(a))
        for a, r in zip(angles, radii, strict=True)
    ]


def _bun() -> list[Point]:
    """A knot above the head."""
    return [(0.4 * math.cos(a), -1.55 - 0.34 * math.sin(a)) for a in np.arange(0, 6.2, 0.79)]


def _colour(look: Look) -> Colour:
    """Hair, cloth, or hair so short that the skin shows."""
    if look.hair_style == "scarf":
        return look.accent
    if look.hair_style == "buzz":
        return mix(look.skin, look.hair, 0.72)
    return look.hair


def paint_hair_behind(pen: Pen, c: dict[str, Curve], look: Look) -> None:
    """What lies behind head and neck."""
    if "back" in c:
        pen.fill(mix(_colour(look), (0, 0, 0), 0.22), c["back"])
    elif "crown" in c:  # under a turned head's hairline
        pen.fill(mix(_colour(look), (0, 0, 0), 0.12), c["crown"])


def paint_hair(pen: Pen, c: dict[str, Curve], look: Look) -> None:
    """The crown, over the forehead."""
    if "crown" not in c:
        return
    colour = _colour(look)
    pen.fill(colour, c["crown"], c["hairline"])
    pen.stroke(mix(colour, (255, 245, 235), 0.16), c["gloss"], 0.07)
    if look.hair_style == "parted":
        pen.stroke(mix(colour, (0, 0, 0), 0.3), c["part"], 0.03)
