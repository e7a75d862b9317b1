"""Glasses: the frame around the eyes."""

import math

import numpy as np

from pretrain.data.drawing.look import Look
from pretrain.data.drawing.pen import Pen
from pretrain.data.drawing.sketch import SIDES, Curve, Sketch

# Corners of the smooth ring, angle of the first one, half width and half height.
SHAPES = {"round": (10, 0.0, 0.315, 0.285), "square": (4, math.pi / 4, 0.36, 0.31)}


def outline_glasses(sketch: Sketch, look: Look) -> None:
    """Two rings, two arms and the bar between them; nothing without glasses."""
    if look.glasses == "none":
        return
    n, start, rx, ry = SHAPES[look.glasses]
    angles = [start + 2 * math.pi * k / n for k in range(n)]
    for side, name in SIDES:
        x = side * 0.42 * look.eye_gap
        ring = [(x + rx * math.cos(a), -0.08 + ry * math.sin(a)) for a in angles]
        sketch.add(f"frame_{name}", ring, closed=True, lift=0.08)
        arm = [(x + side * rx, -0.12, 0.08), (side * 0.97 * look.width, -0.14, 0.0)]
        sketch.add(f"arm_{name}", arm)
    gap = 0.42 * look.eye_gap - rx
    sketch.add("bar", [(-gap, -0.12, 0.1), (0, -0.17, 0.14), (gap, -0.12, 0.1)])


def paint_glasses(pen: Pen, c: dict[str, Curve], look: Look) -> None:
    """The frame only; the lenses are clear."""
    if look.glasses == "none":
        return
    for _, name in SIDES:
        frame = c[f"frame_{name}"]
        pen.stroke(look.accent, np.concatenate((frame, frame[:2])), 0.042)
        pen.stroke(look.accent, c[f"arm_{name}"], 0.035)
    pen.stroke(look.accent, c["bar"], 0.04)
