"""Brows and forehead: AU1, AU2, AU4."""

from pretrain.data.drawing.colours import mix
from pretrain.data.drawing.look import Look
from pretrain.data.drawing.pen import VISIBLE, Pen
from pretrain.data.drawing.sketch import SIDES, Curve, Sketch
from pretrain.data.drawing.state import FaceState


def outline_brows(sketch: Sketch, look: Look, state: FaceState) -> None:
    """AU1 lifts a brow's inner end, AU2 its outer end, AU4 lowers it and draws it in."""
    au = state.au
    arch = 0.05 * look.brow_arch
    pull = au[4] + look.resting_brow * 0.35
    # Together, AU1 wins the inner end and AU4 the rest: the oblique brow of sadness.
    lift_in = 0.18 * au[1] - 0.15 * pull * (1 - 0.75 * au[1]) - 0.05 * au[9]
    lift_mid = 0.08 * au[1] * (1 - 0.5 * pull) + 0.11 * au[2] - 0.10 * pull
    lift_out = 0.17 * au[2] - 0.05 * pull - 0.09 * au[1] * pull
    brow = -0.36 - 0.02 * look.brow_arch
    thick = 0.085 * look.brow_thickness
    for side, name in SIDES:
        ridge = [
            (side * (0.19 * look.eye_gap - 0.075 * pull), brow + 0.03 - lift_in),
            (side * (0.36 * look.eye_gap - 0.03 * pull), brow - arch - lift_mid),
            (side * 0.54 * look.eye_gap, brow - 1.2 * arch - 0.3 * lift_mid - 0.7 * lift_out),
            (side * 0.70 * look.eye_gap, brow + 0.06 - lift_out),
        ]
        taper = (1, 1, 0.75, 0.12)
        under = [(x, y + share * thick) for (x, y), share in zip(ridge, taper, strict=True)]
        sketch.add(f"brow_{name}", ridge)
        sketch.add(f"under_{name}", under)
        furrow = [(side * 0.065, -0.44), (side * 0.05, -0.34), (side * 0.065, -0.22)]
        sketch.add(f"furrow_{name}", furrow)
        line = [(side * 0.36, -0.78), (side * 0.52, -0.81), (side * 0.68, -0.74)]
        sketch.add(f"line_{name}", line)
    sketch.add("line_mid0", [(-0.26, -0.70), (0, -0.74), (0.26, -0.70)])
    sketch.add("line_mid1", [(-0.22, -0.84), (0, -0.87), (0.22, -0.84)])


def paint_forehead(pen: Pen, c: dict[str, Curve], look: Look, state: FaceState) -> None:
    """Forehead lines of AU1 (middle) and AU2 (sides)."""
    dark = mix(look.skin, (60, 25, 25), 0.5)
    middle = 0.15 * look.age + 0.65 * state.au[1]
    sides = 0.10 * look.age + 0.65 * state.au[2]
    for strength, names in (
        (middle, ("line_mid0", "line_mid1")),
        (sides, ("line_left", "line_right")),
    ):
        if strength > VISIBLE:
            for name in names:
                pen.stroke(mix(look.skin, dark, strength), c[name], 0.022)


def paint_brows(pen: Pen, c: dict[str, Curve], look: Look, state: FaceState) -> None:
    """Brows and the furrow between them (AU4)."""
    dark = mix(look.skin, (60, 25, 25), 0.55)
    furrow = 0.75 * state.au[4] + 0.3 * look.resting_brow + 0.1 * look.age
    for _, name in SIDES:
        pen.fill(look.hair, c[f"brow_{name}"], c[f"under_{name}"])
        if furrow > VISIBLE:
            pen.stroke(mix(look.skin, dark, furrow), c[f"furrow_{name}"], 0.028)
