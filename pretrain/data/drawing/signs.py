"""The signs that are no part of eyes, nose or mouth: smile lines, tears and sweat."""

from pretrain.data.drawing.colours import Colour, mix
from pretrain.data.drawing.look import Look
from pretrain.data.drawing.pen import VISIBLE, Pen
from pretrain.data.drawing.sketch import SIDES, Curve, Sketch
from pretrain.data.drawing.state import FaceState

WET: Colour = (175, 215, 246)

# Where the signs lie: at eyes and forehead, or from the nose downward.
SMILE = {False: (0.66, -0.10), True: (0.50, 0.60)}
TEAR = {False: ((0.43, 0.0), (0.45, 0.34)), True: ((0.42, 0.50), (0.40, 0.80))}
SWEAT = {
    False: ((-0.5, -0.72), (-0.5, -0.6), (0.42, -0.92), (0.55, -0.58), (0.3, -0.62)),
    True: ((-0.34, 0.92), (-0.50, 0.74), (0.28, 1.0), (0.48, 0.82), (0.22, 0.44)),
}


def outline_signs(sketch: Sketch, state: FaceState) -> None:
    """Three rays and a tear a side, five drops."""
    x, y = SMILE[state.low_signs]
    for side, name in SIDES:
        for k, dy in enumerate((-0.09, 0.0, 0.09)):
            ray = [(side * x, y + 0.3 * dy), (side * (x + 0.16 - 2 * dy**2), y + 1.2 * dy)]
            sketch.add(f"smile{k}_{name}", ray)
        sketch.add(f"tear_{name}", [(side * px, py) for px, py in TEAR[state.low_signs]])
    sketch.add("sweat", SWEAT[state.low_signs])


def paint_signs(pen: Pen, c: dict[str, Curve], look: Look, state: FaceState) -> None:
    """Stronger signs are painted in stronger colours."""
    sign = state.sign
    if sign["smile_lines"] > VISIBLE:
        line = mix(look.skin, (50, 20, 15), 0.6 * sign["smile_lines"])
        for _, name in SIDES:
            for k in range(3):
                pen.stroke(line, c[f"smile{k}_{name}"], 0.035)
    if sign["tears"] > VISIBLE:
        tear = mix(look.skin, WET, 0.85 * sign["tears"])
        for _, name in SIDES:
            pen.stroke(tear, c[f"tear_{name}"], 0.05)
            pen.disc(tear, c[f"tear_{name}"][-1:], 0.05)
    if sign["sweat"] > VISIBLE:
        pen.dots(mix(look.skin, WET, 0.75 * sign["sweat"]), c["sweat"], 5, 0.048)
