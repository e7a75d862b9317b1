"""Smooth outlines in face coordinates, and their projection to the canvas."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pretrain.data.drawing.scene import Scene

Point = tuple[float, ...]
"""(x, y) or (x, y, lift) in face coordinates."""

Curve = NDArray[np.float32]
"""[n, 2] canvas coordinates."""

SIDES = ((-1, "left"), (1, "right"))
"""The two halves of the face as the viewer sees them: sign of x, and suffix of the names."""


def mirrored(points: Sequence[Point]) -> list[Point]:
    """The points on the other side of the face, last first: they continue the outline."""
    return [(-p[0], *p[1:]) for p in reversed(points)]


@lru_cache(maxsize=64)
def _segment_weights(
    n: int, closed: bool, steps: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Catmull-Rom curve through n control points: their indices [4, P] and weights [4, P, 1]."""
    t = np.arange(steps, dtype=np.float64) / steps
    basis = 0.5 * np.stack(
        [-(t**3) + 2 * t**2 - t, 3 * t**3 - 5 * t**2 + 2, -3 * t**3 + 4 * t**2 + t, t**3 - t**2]
    )
    segments = np.arange(n if closed else n - 1)
    around = segments + np.arange(-1, 3)[:, None]
    around = around % n if closed else around.clip(0, n - 1)
    indices = np.repeat(around, steps, axis=1)
    weights = np.tile(basis, len(segments))
    if not closed:
        indices = np.concatenate((indices, np.full((4, 1), n - 1)), 1)
        weights = np.concatenate((weights, [[1.0], [0.0], [0.0], [0.0]]), 1)
    return indices, weights.astype(np.float32)[..., None]


@lru_cache(maxsize=1024)
def _spline(
    shapes: tuple[tuple[int, bool, bool, bool], ...], steps: int
) -> tuple[
    NDArray[np.intp], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], list[slice]
]:
    """What turns the control points of all shapes into curve points at once.

    Args:
        shapes: per shape its number of control points, whether it is closed, on the rim, below
            the head.
        steps: curve points per control point.

    Returns:
        Indices [4, P] and weights [4, P, 1] of the control points; per curve point whether it
        turns and whether it belongs to the head, as 0 or 1; and the slice of each shape.
    """
    parts = [_segment_weights(n, closed, steps) for n, closed, _, _ in shapes]
    first = np.cumsum([0, *[shape[0] for shape in shapes]])
    indices = np.concatenate([i + k for (i, _), k in zip(parts, first, strict=False)], 1)
    weights = np.concatenate([w for _, w in parts], 1)
    lengths = [w.shape[1] for _, w in parts]
    turn = np.repeat([float(not (rim or body)) for _, _, rim, body in shapes], lengths)
    head = np.repeat([float(not body) for _, _, _, body in shapes], lengths)
    ends = np.cumsum(lengths).tolist()
    slices = [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]
    return indices, weights, turn.astype(np.float32), head.astype(np.float32), slices


class Sketch:
    """Outlines in face coordinates, collected first and projected to the canvas in one go."""

    def __init__(self) -> None:
        """Start empty."""
        self._names: list[str] = []
        self._shapes: list[tuple[int, bool, bool, bool]] = []
        self._points: list[Point] = []

    def add(
        self,
        name: str,
        points: Sequence[Point],
        *,
        closed: bool = False,
        rim: bool = False,
        body: bool = False,
        lift: float = 0.0,
    ) -> None:
        """Add a smooth curve through (x, y) or (x, y, lift) points.

        Args:
            name: the key in `project`'s result.
            points: control points; the curve passes through them.
            closed: whether the curve returns to its first point.
            rim: on the silhouette: no depth of its own and no foreshortening.
            body: below the head: does not turn, nod or tilt.
            lift: depth above the ellipsoid for points that give none.
        """
        self._points += [p if len(p) == 3 else (p[0], p[1], lift) for p in points]
        self._names.append(name)
        self._shapes.append((len(points), closed, rim, body))

    def project(
        self, scene: Scene, droop: float, *, unit: float, centre: tuple[float, float], steps: int
    ) -> dict[str, Curve]:
        """Evaluate every curve and project it: name -> [n, 2] canvas coordinates."""
        (i0, i1, i2, i3), (w0, w1, w2, w3), turn, head, slices = _spline(tuple(self._shapes), steps)
        p = np.array(self._points, dtype=np.float32)
        points = p.take(i0, 0) * w0
        points += p.take(i1, 0) * w1
        points += p.take(i2, 0) * w2
        points += p.take(i3, 0) * w3
        x, y, lift = points.T.copy()
        pitch = scene.pitch + 0.24 * droop
        depth = np.sqrt(np.maximum(1.0 - (x / 1.12) ** 2 - (y / 1.6) ** 2, 0.0))
        z = turn * depth * 0.82 + lift
        x1 = x * (1 + turn * (math.cos(scene.yaw) - 1)) + z * (math.sin(scene.yaw) * head)
        y1 = y * (1 + turn * (math.cos(pitch) - 1)) + (z + 0.25) * (math.sin(pitch) * head)
        cos, sin = 1 + head * (math.cos(scene.roll) - 1), head * math.sin(scene.roll)
        canvas = np.empty((len(x), 2), dtype=np.float32)
        canvas[:, 0] = centre[0] + unit * (cos * x1 - sin * y1)
        canvas[:, 1] = centre[1] + unit * (sin * x1 + cos * y1)
        return {name: canvas[part] for name, part in zip(self._names, slices, strict=True)}
