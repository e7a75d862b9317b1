"""Soft light on the painted face: shading, blush and everything without an outline."""

import numpy as np
from numpy.typing import NDArray

from pretrain.data.drawing.look import Look
from pretrain.data.drawing.scene import Scene
from pretrain.data.drawing.sketch import Point, Sketch
from pretrain.data.drawing.state import FaceState

Spot = tuple[Point, float, float, float, float]
"""Centre in face coordinates, radius in face units, added red, green and blue."""


def spots(look: Look, state: FaceState, contrast: float) -> tuple[Spot, ...]:
    """Soft light and shade; AU6 raises and lights the cheeks and darkens below the eyes."""
    cheeks = state.au[6]
    y = 0.26 - 0.05 * cheeks
    apple = 0.16 * cheeks + 0.03 * state.au[12]
    flush = 0.05 if look.age < 0.5 else 0.03
    b, k = state.blush, contrast
    rosy = (0.11 * b, -0.12 * b, -0.07 * b) if b > 0 else (-0.04 * b, -0.16 * b, -0.20 * b)
    shadow = (-0.10 * cheeks, -0.12 * cheeks, -0.12 * cheeks)
    return (
        ((-0.50, y), 0.30, 0.05 + flush, 0.05 - flush, 0.05 - flush),
        ((0.50, y), 0.30, 0.05 + flush, 0.05 - flush, 0.05 - flush),
        ((-0.50, y), 0.19, apple, apple, apple),
        ((0.50, y), 0.19, apple, apple, apple),
        ((-0.52, 0.34), 0.38, *rosy),
        ((0.52, 0.34), 0.38, *rosy),
        ((0, 0.26 * look.nose_length, 0.28), 0.16, 0.16 * k, 0.16 * k, 0.17 * k),  # tip of the nose
        ((-0.36, -0.24), 0.20, -0.07, -0.09, -0.09),  # eye sockets
        ((0.36, -0.24), 0.20, -0.07, -0.09, -0.09),
        ((0, 1.08, 0.25), 0.26, 0.06 * k, 0.06 * k, 0.06 * k),  # chin
        ((0, -0.75), 0.42, 0.07 * k, 0.07 * k, 0.07 * k),  # forehead
        ((0, 0.955), 0.14, -0.10, -0.11, -0.11),  # below the lower lip
        ((-0.44, 0.10), 0.16, *shadow),
        ((0.44, 0.10), 0.16, *shadow),
    )


def outline_spots(sketch: Sketch, look: Look, state: FaceState, scene: Scene) -> None:
    """The centres of the spots as one curve: they move with the head."""
    sketch.add("spots", [spot[0] for spot in spots(look, state, scene.contrast)])


def light(
    scene: Scene,
    look: Look,
    state: FaceState,
    at: NDArray[np.float32],
    size: int,
    unit: float,
    centre: tuple[float, float],
) -> NDArray[np.float32]:
    """[size, size, 3] factors: the shaded ellipsoid plus the soft spots.

    The spots are isotropic Gaussians, hence products of a row and a column: all of them are one
    matrix product.

    Args:
        scene: direction, brightness, contrast and warmth of the light.
        look: the subject.
        state: what the face does.
        at: [spots, 2] projected centres of the spots, in pixels.
        size: pixels a side.
        unit: pixels in a face unit.
        centre: the origin of the face, in pixels.
    """
    grid = np.arange(size, dtype=np.float32) + 0.5
    x = (grid - centre[0]) / (1.22 * unit)
    y = (grid - centre[1]) / (1.62 * unit)
    depth = np.sqrt(np.maximum(1.0 - (y * y)[:, None] - (x * x)[None], 0.02))
    lx, ly = scene.light
    relief = 0.30 * depth + (0.16 * lx * x)[None] + (0.13 * ly * y)[:, None]
    shade = 0.70 + scene.contrast * relief
    table = np.array(
        [spot[1:] for spot in spots(look, state, scene.contrast)], dtype=np.float32
    )  # [spots, 4]
    radius = table[:, :1] * unit
    gx = np.exp(-0.5 * ((grid[None] - at[:, :1]) / radius) ** 2)
    gy = np.exp(-0.5 * ((grid[None] - at[:, 1:]) / radius) ** 2)
    soft = gy.T @ (gx[:, :, None] * table[:, None, 1:]).reshape(len(table), -1)
    factors = shade[:, :, None] + soft.reshape(size, size, 3)
    tint = np.array([1 + 0.06 * scene.warmth, 1.0, 1 - 0.08 * scene.warmth], dtype=np.float32)
    return np.asarray(factors * (tint * scene.brightness), dtype=np.float32)
