"""Nose: wrinkles and lift of AU9, flared nostrils (a sign)."""

from pretrain.data.drawing.colours import mix
from pretrain.data.drawing.look import Look
from pretrain.data.drawing.pen import VISIBLE, Pen
from pretrain.data.drawing.sketch import SIDES, Curve, Point, Sketch, mirrored
from pretrain.data.drawing.state import FaceState


def outline_nose(sketch: Sketch, look: Look, state: FaceState) -> None:
    """Bridge, wings, nostrils and wrinkles."""
    au = state.au
    w = 0.155 * look.nose_width * (1 + 0.12 * au[9] + 0.42 * state.sign["flare"])
    tip = 0.34 * look.nose_length
    wing = tip - 0.015 - 0.085 * au[9] - 0.03 * au[10]
    left = [(-w, wing - 0.09, 0.05), (-w * 1.08, wing, 0.06), (-0.55 * w, wing + 0.07, 0.14)]
    below = (0, tip + 0.085 - 0.03 * au[9], 0.26)
    sketch.add("nose_base", [*left, below, *mirrored(left)])
    for side, name in SIDES:
        hole = [(side * 0.28 * w, wing + 0.045, 0.2), (side * 0.55 * w, wing + 0.015, 0.15)]
        hole += [(side * 0.75 * w, wing + 0.05, 0.1), (side * 0.5 * w, wing + 0.065, 0.15)]
        sketch.add(f"nostril_{name}", hole, closed=True)
        bridge = [(side * 0.085, -0.22, 0.06), (side * 0.06, 0.0, 0.14)]
        sketch.add(f"bridge_{name}", [*bridge, (side * 0.10, tip - 0.08, 0.16)])
        edge = [(side * 0.16, -0.26, 0.0), (side * 0.14, 0.02, 0.02), (side * w, wing - 0.03, 0.04)]
        sketch.add(f"bridge_edge_{name}", edge)
    for k in range(3):
        y = -0.17 + 0.075 * k
        across = [(-0.13, y + 0.035, 0.05), (0, y - 0.02, 0.12), (0.13, y + 0.035, 0.05)]
        sketch.add(f"wrinkle{k}", across)
        right: list[Point] = [(0.12 + 0.02 * k, y + 0.02, 0.03), (0.20 + 0.02 * k, y - 0.05, 0.0)]
        sketch.add(f"wrinkle{k}_right", right)
        sketch.add(f"wrinkle{k}_left", mirrored(right)[::-1])


def paint_nose(pen: Pen, c: dict[str, Curve], look: Look, state: FaceState, light_x: float) -> None:
    """A shaded side away from the light, wings, nostrils, wrinkles."""
    flare, wrinkled = state.sign["flare"], state.au[9]
    dark = mix(look.skin, (70, 25, 20), 0.6)
    shaded = "right" if light_x < 0 else "left"
    tone = mix(look.skin, dark, 0.10 + 0.12 * abs(light_x))
    pen.fill(tone, c[f"bridge_{shaded}"], c[f"bridge_edge_{shaded}"])
    pen.stroke(mix(look.skin, dark, 0.55 + 0.4 * flare), c["nose_base"], 0.026 + 0.016 * flare)
    for _, name in SIDES:
        pen.fill(mix(look.skin, (50, 15, 15), 0.6 + 0.3 * flare), c[f"nostril_{name}"])
    if wrinkled > VISIBLE:
        line = mix(look.skin, dark, 0.95 * wrinkled)
        for k in range(3):
            pen.stroke(line, c[f"wrinkle{k}"], 0.030)
            pen.stroke(line, c[f"wrinkle{k}_left"], 0.026)
            pen.stroke(line, c[f"wrinkle{k}_right"], 0.026)
