"""Skull, ears, neck and shoulders."""

from pretrain.data.drawing.colours import Colour, mix
from pretrain.data.drawing.look import Look
from pretrain.data.drawing.pen import Pen
from pretrain.data.drawing.sketch import SIDES, Curve, Point, Sketch, mirrored
from pretrain.data.drawing.state import FaceState


def outline_head(sketch: Sketch, look: Look, state: FaceState) -> None:
    """AU26 and AU17 move the chin down and up."""
    w, jaw, drop = look.width, look.jaw * look.width, state.jaw_drop
    chin = 1.24 * look.chin + drop - 0.04 * state.au[17]
    right: list[Point] = [
        (0.52 * w, -1.20),
        (0.88 * w, -0.78),
        (0.97 * w, -0.15),
        (0.91 * w, 0.40),
        (0.70 * jaw, 0.86 + 0.45 * drop, 0.12),
        (0.36 * jaw, chin - 0.09, 0.32),
    ]
    skull = [(0, -1.32), *right, (0, chin, 0.38), *mirrored(right)]
    sketch.add("head", skull, closed=True, rim=True)
    for side, name in SIDES:
        ear = [(0.93, -0.16), (1.08, -0.24), (1.13, -0.02), (1.05, 0.24), (0.92, 0.26)]
        sketch.add(f"ear_{name}", [(side * w * x, y, -0.05) for x, y in ear], closed=True)
        inner = [(side * w * 1.0, -0.1, -0.05), (side * w * 1.05, 0.0, -0.05), (side * w, 0.14)]
        sketch.add(f"ear_{name}_in", inner)
    neck: list[Point] = [(-0.50, 0.7), (-0.46, 1.25), (-0.62, 1.52)]
    sketch.add("neck", [*neck, *mirrored(neck)], body=True, closed=True)
    left: list[Point] = [(-0.5, 0.9), (-0.45, 1.3)]
    shade = [*left, (0, 1.42 + drop), *mirrored(left)]
    sketch.add("neck_shade", shade, body=True, closed=True)
    shoulder: list[Point] = [(-1.9, 2.6), (-1.6, 1.75), (-0.95, 1.52), (-0.5, 1.38)]
    torso = [*shoulder, (0, 1.6), *mirrored(shoulder), (1.9, 3.2), (-1.9, 3.2)]
    sketch.add("torso", torso, closed=True, body=True)


def paint_body(pen: Pen, c: dict[str, Curve], look: Look, clothes: Colour) -> None:
    """Neck and shoulders."""
    pen.fill(mix(look.skin, (60, 20, 20), 0.14), c["neck"])
    pen.fill(mix(look.skin, (60, 20, 20), 0.34), c["neck_shade"])
    pen.fill(clothes, c["torso"])


def paint_ear(pen: Pen, c: dict[str, Curve], look: Look, name: str, width: float) -> None:
    """One ear, "left" or "right"; `width` of its inner line in face units."""
    pen.fill(mix(look.skin, (150, 50, 40), 0.14), c[f"ear_{name}"])
    pen.stroke(mix(look.skin, (90, 35, 30), 0.4), c[f"ear_{name}_in"], width)


def paint_skull(pen: Pen, c: dict[str, Curve], look: Look) -> None:
    """The head as one flat shape of skin."""
    pen.fill(look.skin, c["head"])
