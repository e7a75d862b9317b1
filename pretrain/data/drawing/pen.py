"""Paint projected outlines in flat colours."""

import numpy as np
from PIL import Image, ImageDraw

from pretrain.data.drawing.colours import Colour
from pretrain.data.drawing.sketch import Curve

VISIBLE = 0.02
"""Strength from which a fold or a sign is painted."""


class Pen:
    """Fills and strokes projected curves in flat colours."""

    def __init__(self, canvas: Image.Image, unit: float) -> None:
        """Draw on `canvas`, where a face unit is `unit` pixels."""
        self._draw = ImageDraw.Draw(canvas)
        self._unit = unit

    def fill(self, colour: Colour, curve: Curve, back: Curve | None = None) -> None:
        """Fill a closed curve, or the area between a curve and one running beside it."""
        outline = curve if back is None else np.concatenate((curve, back[::-1]))
        self._draw.polygon(outline.ravel().tolist(), fill=(*colour, 255))

    def stroke(self, colour: Colour, curve: Curve, width: float) -> None:
        """Stroke a curve; `width` in face units."""
        pixels = max(1, round(width * self._unit))
        self._draw.line(curve.ravel().tolist(), fill=(*colour, 255), width=pixels)

    def disc(self, colour: Colour, at: Curve, radius: float) -> None:
        """Fill a disc around the first point of `at`; `radius` in face units."""
        x, y = at[0].tolist()
        r = radius * self._unit
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=(*colour, 255))

    def dots(self, colour: Colour, curve: Curve, count: int, radius: float) -> None:
        """Fill a disc around each of an open curve's `count` control points."""
        step = (len(curve) - 1) // (count - 1)
        for k in range(count):
            self.disc(colour, curve[k * step :], radius)
