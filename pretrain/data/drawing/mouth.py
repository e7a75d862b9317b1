"""Mouth, the folds beside it and the chin below it.

AU10 to AU26, a pout, a smirk and the tongue (signs) all end in one shape of the lips, `LipShape`;
the outlines follow from it.
"""

from dataclasses import dataclass

from pretrain.data.drawing.beard import chin_colour
from pretrain.data.drawing.colours import mix
from pretrain.data.drawing.look import Look
from pretrain.data.drawing.pen import VISIBLE, Pen
from pretrain.data.drawing.sketch import SIDES, Curve, Point, Sketch
from pretrain.data.drawing.state import FaceState

LIFT = 0.08
"""Depth of the lips above the face."""


@dataclass(frozen=True, kw_only=True)
class LipShape:
    """Where the lips run, in face units; heights grow downward.

    Attributes:
        width: half width of the mouth.
        corner: height of the corners.
        middle: height of the seam in the middle if the mouth were closed.
        top: height of the upper lip's inner edge in the middle.
        low: height of the lower lip's inner edge in the middle.
        side_top: height of the upper lip's inner edge beside the middle.
        side_low: height of the lower lip's inner edge beside the middle.
        upper: thickness of the upper lip.
        lower: thickness of the lower lip.
        smirk: strength of the one-sided smirk.
    """

    width: float
    corner: float
    middle: float
    top: float
    low: float
    side_top: float
    side_low: float
    upper: float
    lower: float
    smirk: float

    def across(self, centre: float, side: float, dip: float = 0.0) -> list[Point]:
        """A line from corner to corner through two heights; `dip` deepens the cupid's bow."""
        end, width, smirk = self.corner, self.width, self.smirk
        half = [(-width, end), (-0.55 * width, side), (-0.16 * width, centre - dip)]
        right = [(-x * (1 + 0.22 * smirk), y) for x, y in reversed(half)]
        right[1] = (right[1][0], side - 0.03 * smirk)
        right[2] = (right[2][0], end - 0.11 * smirk)
        return [*half, (0, centre), *right]


def lip_shape(look: Look, state: FaceState) -> LipShape:
    """What a subject's lips do in a state."""
    au, pout, drop = state.au, state.sign["pout"], state.jaw_drop
    rest = 0.70
    sad = _sadness(look, state)
    width = 0.33 * look.mouth_width
    width *= 1 + 0.32 * au[12] + 0.45 * au[20] - 0.06 * au[15] - 0.30 * au[23] - 0.34 * pout
    corner = rest - 0.16 * au[12] + 0.115 * sad + 0.03 * au[20] + 0.35 * drop
    gap = 0.10 * au[25] + drop * 1.15
    rise = 0.10 * au[10]
    bow = 0.03 * au[12] - 0.035 * sad  # the middle answers the corners, so the curve reads
    fullness = look.lip_fullness * (1 + 0.35 * pout)
    fullness *= 1 - 0.45 * au[23] - 0.72 * au[24] - 0.25 * au[20] - 0.20 * au[12]
    middle = rest + bow - _push(state)
    top = middle - 0.30 * gap - rise
    low = max(middle + 0.70 * gap + 0.25 * drop, top)
    return LipShape(
        width=width,
        corner=corner,
        middle=middle,
        top=top,
        low=low,
        # AU10 bares the side teeth: it lifts beside the middle more than at the corners.
        side_top=top + 0.25 * (corner - top) - 0.15 * rise,
        side_low=low + 0.25 * (corner - low),
        upper=0.075 * max(fullness, 0.12),
        lower=0.105 * max(fullness, 0.12),
        smirk=state.sign["smirk"],
    )


def _sadness(look: Look, state: FaceState) -> float:
    """How far the corners hang: AU15, or a resting mouth that mimics it."""
    return state.au[15] + 0.45 * look.resting_mouth


def _push(state: FaceState) -> float:
    """How far AU17 pushes the lips up, in face units."""
    return 0.055 * state.au[17]


def outline_mouth(sketch: Sketch, look: Look, state: FaceState) -> None:
    """Lips and what lies between, below and beside them."""
    lips = lip_shape(look, state)
    _outline_lips(sketch, lips)
    _outline_chin(sketch, lips, state)
    _outline_folds(sketch, lips, look, state)


def _outline_lips(sketch: Sketch, lips: LipShape) -> None:
    """The four lines of the lips, teeth, tongue, and the bulges of pressed lips (AU24)."""
    width, top, low, below = lips.width, lips.top, lips.low, lips.low + lips.lower
    side_top, side_low = lips.side_top, lips.side_low
    outer = lips.across(top - lips.upper, side_top - 0.75 * lips.upper, 0.018)
    sketch.add("lip_top", outer, lift=LIFT)
    sketch.add("in_top", lips.across(top, side_top), lift=LIFT)
    sketch.add("in_low", lips.across(low, side_low), lift=LIFT)
    sketch.add("lip_low", lips.across(below, side_low + 0.8 * lips.lower), lift=LIFT)
    depth = 0.095
    teeth = min(top + depth, low), min(side_top + 0.9 * depth, side_low)
    sketch.add("teeth", lips.across(*teeth), lift=LIFT)
    floor = max(low - 0.10, teeth[0]), max(side_low - 0.05, teeth[1])
    sketch.add("tongue", lips.across(*floor), lift=LIFT)
    out = [(-0.10, lips.middle + 0.01), (-0.11, below + 0.03), (0, below + 0.12)]
    out += [(0.11, below + 0.03), (0.10, lips.middle + 0.01)]
    sketch.add("tongue_out", out, closed=True, lift=0.1)
    above = side_top - lips.upper - 0.05
    bulge = [(-0.6 * width, above), (0, top - lips.upper - 0.06), (0.6 * width, above)]
    sketch.add("bulge_top", bulge, lift=LIFT)
    beside = side_low + lips.lower + 0.06
    bulge = [(-0.7 * width, beside), (0, below + 0.075), (0.7 * width, beside)]
    sketch.add("bulge_low", bulge, lift=LIFT)


def _outline_chin(sketch: Sketch, lips: LipShape, state: FaceState) -> None:
    """The crease below the lips and the dimples of AU17."""
    crease = lips.low + lips.lower + 0.085
    arc = [(-0.2, crease + 0.05, 0.1), (0, crease, 0.14), (0.2, crease + 0.05, 0.1)]
    sketch.add("chin_crease", arc)
    boss = 1.09 + 0.8 * state.jaw_drop - _push(state) * 0.5
    dimples = [(-0.13, boss), (-0.04, boss - 0.05), (0.06, boss), (0.13, boss - 0.06)]
    sketch.add("chin_dimples", [*dimples, (0, boss + 0.05)], lift=0.2)


def _outline_folds(sketch: Sketch, lips: LipShape, look: Look, state: FaceState) -> None:
    """From nose to mouth, and below and beside the corners."""
    au, width, corner, sad = state.au, lips.width, lips.corner, _sadness(look, state)
    for side, name in SIDES:
        wing = (side * 0.22 * look.nose_width, 0.30 - 0.06 * au[9] - 0.05 * au[10])
        bend = (side * (0.33 + 0.08 * au[12]), 0.46 - 0.03 * au[12])
        end = (side * max(width + 0.06, 0.34), corner - 0.02)
        sketch.add(f"fold_{name}", [wing, bend, end])
        droop = [(side * width, corner), (side * (width + 0.045), corner + 0.07 + 0.05 * sad)]
        sketch.add(f"droop_{name}", [*droop, (side * (width + 0.03), corner + 0.10 + 0.09 * sad)])
        x = side * (width + 0.075 + (0.07 * lips.smirk if side > 0 else 0))
        dimple = [(x, corner - 0.1), (x + side * 0.04, corner - 0.02), (x, corner + 0.07)]
        sketch.add(f"dimple_{name}", dimple)


def paint_mouth(pen: Pen, c: dict[str, Curve], look: Look, state: FaceState) -> None:
    """Folds, then the mouth from the inside out: cavity, tongue, teeth, lips; then the chin."""
    skin, lips, au, sign = look.skin, look.lips, state.au, state.sign
    dark = mix(skin, (70, 25, 20), 0.6)
    bright = mix(skin, (255, 240, 230), 0.16)
    seam = mix(lips, (50, 10, 15), 0.65)
    fold = 0.12 + 0.3 * look.age + 0.40 * au[12] + 0.65 * au[10] + 0.40 * au[9]
    for _, name in SIDES:
        pen.stroke(mix(skin, dark, 0.85 * min(fold, 1.0)), c[f"fold_{name}"], 0.028)
        if au[15] > VISIBLE:
            pen.stroke(mix(skin, dark, 0.8 * au[15]), c[f"droop_{name}"], 0.035)
    pen.fill((70, 16, 24), c["in_top"], c["in_low"])
    pen.fill((178, 72, 80), c["tongue"], c["in_low"])
    pen.fill((250, 246, 238), c["in_top"], c["teeth"])
    pen.fill(lips, c["lip_top"], c["in_top"])
    pen.fill(mix(lips, (255, 215, 205), 0.14), c["in_low"], c["lip_low"])
    pen.stroke(seam, c["in_top"], 0.024)
    if au[24] > VISIBLE:
        pen.stroke(mix(skin, bright, au[24]), c["bulge_top"], 0.05)
        pen.stroke(mix(skin, bright, au[24]), c["bulge_low"], 0.06)
        pen.stroke(mix(seam, (40, 10, 12), au[24]), c["in_top"], 0.024 + 0.02 * au[24])
    if au[23] > VISIBLE:
        for _, name in SIDES:
            pen.stroke(mix(skin, dark, 0.8 * au[23]), c[f"dimple_{name}"], 0.03)
    if sign["tongue"] > VISIBLE:
        pen.fill(mix(lips, (222, 92, 105), sign["tongue"]), c["tongue_out"])
    if sign["smirk"] > VISIBLE:
        pen.stroke(mix(skin, dark, 0.7 * sign["smirk"]), c["dimple_right"], 0.035)
    chin = chin_colour(look)
    dark = mix(chin, (40, 20, 20), 0.5)
    pen.stroke(mix(chin, dark, 0.22 + 0.6 * au[17]), c["chin_crease"], 0.03)
    if au[17] > VISIBLE:
        pen.dots(mix(chin, dark, 0.62 * au[17]), c["chin_dimples"], 5, 0.030)
