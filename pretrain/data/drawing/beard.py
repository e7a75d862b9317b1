"""Beard and moustache."""

from pretrain.data.drawing.colours import Colour, mix
from pretrain.data.drawing.look import Look
from pretrain.data.drawing.pen import Pen
from pretrain.data.drawing.sketch import Curve, Point, Sketch, mirrored
from pretrain.data.drawing.state import FaceState

DENSITY = {"full": 0.86, "goatee": 0.80, "stubble": 0.22}
"""Share of hair colour in the skin of the chin."""

JAW_BEARDS = ("full", "stubble")
MOUSTACHES = ("moustache", "goatee")


def chin_colour(look: Look) -> Colour:
    """Skin of the chin, under a beard or bare."""
    return mix(look.skin, look.hair, DENSITY.get(look.beard, 0.0))


def outline_beard(sketch: Sketch, look: Look, state: FaceState) -> None:
    """The area along the jaw, the tuft of a goatee, the upper edge of a moustache."""
    w, drop = look.width, state.jaw_drop
    jaw, chin = look.jaw * w, 1.24 * look.chin + drop
    if look.beard in JAW_BEARDS:
        edge = [(-0.96 * w, 0.02, 0), (-0.76 * w, 0.36, 0), (-0.46, 0.60, 0), (-0.30, 0.53, 0.05)]
        sketch.add("beard_top", [*edge, (0, 0.485, 0.1), *mirrored(edge)])
        rim: list[Point] = [
            (-0.97 * w, 0.02),
            (-0.93 * w, 0.42),
            (-0.73 * jaw, 0.90 + 0.45 * drop, 0.12),
            (-0.38 * jaw, chin - 0.04, 0.32),
        ]
        sketch.add("beard_rim", [*rim, (0, chin + 0.06, 0.38), *mirrored(rim)], rim=True)
    if look.beard == "goatee":
        left: list[Point] = [
            (-0.10, 0.92 + 0.9 * drop),
            (-0.30, 0.86 + 0.6 * drop),
            (-0.24, 1.08 + drop),
            (-0.12, chin - 0.02, 0.02),
        ]
        tuft = [*left, (0, chin + 0.02, 0.0), *mirrored(left)]
        sketch.add("goatee", tuft, closed=True)
    if look.beard in MOUSTACHES:
        top = [(-0.36, 0.66, 0.06), (-0.2, 0.54, 0.08)]
        sketch.add("moustache", [*top, (0, 0.50, 0.1), *mirrored(top)])


def paint_beard(pen: Pen, c: dict[str, Curve], look: Look) -> None:
    """Beard on jaw and chin, under the features."""
    if look.beard in JAW_BEARDS:
        pen.fill(chin_colour(look), c["beard_top"], c["beard_rim"])
    if look.beard == "goatee":
        pen.fill(chin_colour(look), c["goatee"])


def paint_moustache(pen: Pen, c: dict[str, Curve], look: Look) -> None:
    """From its upper edge to the upper lip."""
    if look.beard in MOUSTACHES:
        pen.fill(mix(look.skin, look.hair, 0.85), c["moustache"], c["lip_top"])
