"""How a face state becomes pixels: the drawing side of the embedded faces.

`draw_face` is a pure function of a look (who), a state (what the face does), a scene (how it is
seen) and, for the grain, a random generator. Everything is drawn as smooth outlines on a
supersampled Pillow canvas in flat colours and reduced; soft light, blush and shading are then
one product on the small image, which keeps a 64-pixel face near a millisecond.

Face coordinates: the origin lies between eyes and nose, x to the viewer's right, y down, z out of
the face; the head is about 2 units wide and 2.6 high. A point of the face gets its depth from an
ellipsoid plus a lift (nose tip, chin), so yaw and pitch shift and foreshorten features.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, ...]
Curve = NDArray[np.float32]

ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 17, 20, 23, 24, 25, 26)
"""The facial actions that can be drawn (FACS numbers), in the order of every intensity array."""

SIGNS = ("smile_lines", "tears", "sweat", "flare", "tongue", "pout", "smirk")
"""Unlabelled facial signs, one per expression: what shows an expression besides its AUs."""

HAIR_STYLES = ("short", "parted", "fringe", "long", "bob", "curly", "bun", "buzz", "bald", "scarf")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
GLASSES = ("none", "round", "square")
OCCLUDERS = ("none", "hand", "mask", "sunglasses", "phone", "cup")
BACKDROPS = ("plain", "gradient", "bokeh", "room")


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceState:
    """What a face shows at one instant, and the truth behind it.

    Attributes:
        expression: name of the true expression.
        probabilities: [8] closeness to each expression, sums to 1 (order of `EXPRESSIONS`).
        action_units: [16] AU intensities in [0, 1], order of `ACTION_UNITS`; present from 0.4.
        valence: true valence in [-1, 1].
        arousal: true arousal in [-1, 1].
        signs: [7] strength in [0, 1] of the unlabelled signs, order of `SIGNS`.
        hidden: [2] the part of VA (standard normal) that expression and AUs do not know.
        gaze: horizontal and vertical gaze in [-1, 1]; positive is right and up.
        lids: upper lids, -1 lowered to 1 raised.
        blush: cheek colour, -1 pale to 1 flushed.
        droop: head pitch, -1 raised to 1 hanging.
        low_signs: whether the signs are drawn from the nose downward only.
    """

    expression: str
    probabilities: NDArray[np.float64]
    action_units: NDArray[np.float64]
    valence: float
    arousal: float
    signs: NDArray[np.float64]
    hidden: NDArray[np.float64]
    gaze: tuple[float, float]
    lids: float
    blush: float
    droop: float
    low_signs: bool = False


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a subject looks. Colours are RGB 0..255; shape factors are near 1, offsets near 0.

    Attributes:
        skin: skin colour in neutral light.
        hair: hair, brow and beard colour.
        iris: eye colour.
        lips: lip colour.
        accent: colour of the scarf and of the glasses' frame.
        hair_style: one of `HAIR_STYLES`.
        beard: one of `BEARDS`.
        glasses: one of `GLASSES`.
        jaw: width of the jaw.
        chin: length of the chin.
        width: width of the head.
        eye_size: size of the eyes.
        eye_gap: distance between the eyes.
        eye_tilt: height of the outer eye corners, positive up.
        brow_thickness: thickness of the brows.
        brow_arch: arch of the brows.
        nose_width: width of the nose.
        nose_length: length of the nose.
        mouth_width: width of the mouth at rest.
        lip_fullness: fullness of the lips.
        age: strength of the permanent folds in [0, 1].
        resting_brow: 0..1, a resting brow that mimics AU4.
        resting_mouth: 0..1, a resting mouth that mimics AU15.
        lashes: strength of the lashes in [0, 1].
    """

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    accent: Colour
    hair_style: str
    beard: str
    glasses: str
    jaw: float
    chin: float
    width: float
    eye_size: float
    eye_gap: float
    eye_tilt: float
    brow_thickness: float
    brow_arch: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_fullness: float
    age: float
    resting_brow: float
    resting_mouth: float
    lashes: float


@dataclass(frozen=True, kw_only=True)
class Scene:
    """How a face is seen: nuisance that says nothing about affect.

    Attributes:
        yaw: head turn in radians, positive to the viewer's right.
        pitch: head pitch in radians, positive down; the state's droop comes on top.
        roll: head tilt in radians.
        scale: size of the head relative to the frame, 1 is the usual crop.
        shift: offset of the head in face units, x and y.
        light: direction of the light, x and y in [-1, 1].
        brightness: overall brightness, 1 is neutral.
        contrast: strength of the shading, 1 is usual.
        warmth: colour of the light, -1 cold to 1 warm.
        backdrop: one of `BACKDROPS`.
        colours: two background colours and the colour of the clothes.
        blobs: [n, 3] soft background blobs: x and y in [0, 1] and radius, used by "bokeh".
        occluder: one of `OCCLUDERS`.
        occluder_shift: offset of the occluder, x and y in [-1, 1].
        blur: blur radius as a share of the image side, 0 for none.
        jpeg_quality: quality of a JPEG round trip, 0 for none.
        grain: standard deviation of the sensor noise, in grey levels.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    light: tuple[float, float] = (-0.4, -0.5)
    brightness: float = 1.0
    contrast: float = 1.0
    warmth: float = 0.0
    backdrop: str = "gradient"
    colours: tuple[Colour, Colour, Colour] = ((168, 190, 205), (120, 150, 175), (70, 90, 130))
    blobs: tuple[tuple[float, float, float], ...] = ()
    occluder: str = "none"
    occluder_shift: tuple[float, float] = (0.0, 0.0)
    blur: float = 0.0
    jpeg_quality: int = 0
    grain: float = 0.0


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blend two colours; `share` in [0, 1] is the share of the second."""
    t = min(1.0, max(0.0, share))
    return (
        round(first[0] + t * (second[0] - first[0])),
        round(first[1] + t * (second[1] - first[1])),
        round(first[2] + t * (second[2] - first[2])),
    )


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


def _head(sketch: Sketch, look: Look, drop: float, chin_up: float) -> None:
    """Skull, ears, neck and shoulders. `drop` and `chin_up` move the chin (AU26, AU17)."""
    w, jaw = look.width, look.jaw * look.width
    chin = 1.24 * look.chin + drop - chin_up
    right = [
        (0.52 * w, -1.20),
        (0.88 * w, -0.78),
        (0.97 * w, -0.15),
        (0.91 * w, 0.40),
        (0.70 * jaw, 0.86 + 0.45 * drop, 0.12),
        (0.36 * jaw, chin - 0.09, 0.32),
    ]
    left = [(-p[0], *p[1:]) for p in reversed(right)]
    sketch.add("head", [(0, -1.32), *right, (0, chin, 0.38), *left], closed=True, rim=True)
    for side, name in ((-1, "ear_left"), (1, "ear_right")):
        ear = [(0.93, -0.16), (1.08, -0.24), (1.13, -0.02), (1.05, 0.24), (0.92, 0.26)]
        sketch.add(name, [(side * w * x, y, -0.05) for x, y in ear], closed=True)
        inner = [(side * w * 1.0, -0.1, -0.05), (side * w * 1.05, 0.0, -0.05), (side * w, 0.14)]
        sketch.add(name + "_in", inner)
    neck = [(-0.50, 0.7), (-0.46, 1.25), (-0.62, 1.52), (0.62, 1.52), (0.46, 1.25), (0.50, 0.7)]
    sketch.add("neck", neck, body=True, closed=True)
    shade = [(-0.5, 0.9), (-0.45, 1.3), (0, 1.42 + drop), (0.45, 1.3), (0.5, 0.9)]
    sketch.add("neck_shade", shade, body=True, closed=True)
    torso = [(-1.9, 2.6), (-1.6, 1.75), (-0.95, 1.52), (-0.5, 1.38), (0, 1.6)]
    torso += [(-x, y) for x, y in reversed(torso[:4])]
    sketch.add("torso", [*torso, (1.9, 3.2), (-1.9, 3.2)], closed=True, body=True)


def _eyes(sketch: Sketch, look: Look, state: FaceState, au: dict[int, float]) -> None:
    """Lid curves, irises and brows."""
    half = 0.215 * look.eye_size
    upper = 0.125 * look.eye_size * (1 + 0.75 * au[5] - 0.38 * au[7] + 0.42 * state.lids)
    upper = max(upper, 0.03)
    lower = 0.080 * look.eye_size * (1 + 0.10 * au[5] - 0.75 * au[7] - 0.55 * au[6])
    lower -= 0.04 * au[6] * au[7]
    frown = look.resting_brow * 0.35
    for side, name in ((-1, "left"), (1, "right")):
        x = side * (0.41 * look.eye_gap)
        y = -0.10
        inner, outer = x - side * half, x + side * half
        tilt = -look.eye_tilt
        span = [(inner, y + 0.02)], [(outer, y + tilt)]
        top = [(x - side * 0.55 * half, y - 0.78 * upper), (x, y - upper + 0.3 * tilt)]
        top.append((x + side * 0.6 * half, y - 0.80 * upper + 0.6 * tilt))
        low = [(x - side * 0.5 * half, y + 0.80 * lower), (x + side * 0.05, y + lower)]
        low.append((x + side * 0.6 * half, y + 0.78 * lower + 0.6 * tilt))
        sketch.add(f"lid_{name}", [*span[0], *top, *span[1]])
        sketch.add(f"low_{name}", [*span[0], *low, *span[1]])
        socket = [(inner, y), (x - side * 0.5 * half, y - 0.25), (x, y - 0.30)]
        socket += [(x + side * 0.5 * half, y - 0.26), (outer, y + tilt)]
        sketch.add(f"socket_{name}", socket)
        bag = [(inner, y), (x - side * 0.5 * half, y + 0.2), (x, y + 0.24)]
        bag += [(x + side * 0.5 * half, y + 0.2), (outer, y + tilt)]
        sketch.add(f"bag_{name}", bag)
        crease = [(px, py - 0.045 - 0.02 * au[5]) for px, py in top]
        sketch.add(f"crease_{name}", crease)
        pouch = [(px, py + 0.06) for px, py in low]
        sketch.add(f"pouch_{name}", pouch)
        gaze = (x + 0.095 * state.gaze[0], y - 0.02 - 0.055 * state.gaze[1])
        sketch.add(f"iris_{name}", [gaze, gaze])
        sketch.add(f"glint_{name}", [(gaze[0] - 0.035, gaze[1] - 0.04)] * 2)
        for k, dy in enumerate((-0.10, 0.0, 0.09)):
            line = [(outer + side * 0.03, y + 0.3 * dy), (outer + side * (0.15 - dy**2), y + dy)]
            sketch.add(f"crow{k}_{name}", line)
        # The brow: AU1 lifts its inner end, AU2 its outer end, AU4 lowers it and draws it in.
        arch = 0.05 * look.brow_arch
        pull = au[4] + frown
        # Together, AU1 wins the inner end and AU4 the rest: the oblique brow of sadness.
        lift_in = 0.18 * au[1] - 0.15 * pull * (1 - 0.75 * au[1]) - 0.05 * au[9]
        lift_mid = 0.08 * au[1] * (1 - 0.5 * pull) + 0.11 * au[2] - 0.10 * pull
        lift_out = 0.17 * au[2] - 0.05 * pull - 0.09 * au[1] * pull
        brow = -0.36 - 0.02 * look.brow_arch
        ridge = [
            (side * (0.19 * look.eye_gap - 0.075 * pull), brow + 0.03 - lift_in),
            (side * (0.36 * look.eye_gap - 0.03 * pull), brow - arch - lift_mid),
            (side * 0.54 * look.eye_gap, brow - 1.2 * arch - 0.3 * lift_mid - 0.7 * lift_out),
            (side * 0.70 * look.eye_gap, brow + 0.06 - lift_out),
        ]
        thick = 0.085 * look.brow_thickness
        under = [
            (ridge[0][0], ridge[0][1] + thick),
            (ridge[1][0], ridge[1][1] + thick),
            (ridge[2][0], ridge[2][1] + 0.75 * thick),
            (ridge[3][0], ridge[3][1] + 0.12 * thick),
        ]
        sketch.add(f"brow_{name}", ridge)
        sketch.add(f"under_{name}", under)
        furrow = side * 0.065
        sketch.add(f"furrow_{name}", [(furrow, -0.44), (side * 0.05, -0.34), (furrow, -0.22)])
        line = [(side * 0.36, -0.78), (side * 0.52, -0.81), (side * 0.68, -0.74)]
        sketch.add(f"line_{name}", line)
    sketch.add("line_mid0", [(-0.26, -0.70), (0, -0.74), (0.26, -0.70)])
    sketch.add("line_mid1", [(-0.22, -0.84), (0, -0.87), (0.22, -0.84)])


def _signs(sketch: Sketch, low: bool) -> None:
    """Smile lines, tears and sweat, at eyes and forehead or, if `low`, around mouth and chin."""
    x, y = (0.50, 0.60) if low else (0.66, -0.10)
    tear = [(0.42, 0.50), (0.40, 0.80)] if low else [(0.43, 0.0), (0.45, 0.34)]
    for side, name in ((-1, "left"), (1, "right")):
        for k, dy in enumerate((-0.09, 0.0, 0.09)):
            ray = [(side * x, y + 0.3 * dy), (side * (x + 0.16 - 2 * dy**2), y + 1.2 * dy)]
            sketch.add(f"smile{k}_{name}", ray)
        sketch.add(f"tear_{name}", [(side * px, py) for px, py in tear])
    sweat = [(-0.5, -0.72), (-0.5, -0.6), (0.42, -0.92), (0.55, -0.58), (0.3, -0.62)]
    if low:
        sweat = [(-0.34, 0.92), (-0.50, 0.74), (0.28, 1.0), (0.48, 0.82), (0.22, 0.44)]
    sketch.add("sweat", sweat)


def _paint_signs(pen: Pen, c: dict[str, Curve], look: Look, signs: dict[str, float]) -> None:
    """The signs that are no part of eyes, nose or mouth."""
    wet = (175, 215, 246)
    if signs["smile_lines"] > 0.02:
        line = mix(look.skin, (50, 20, 15), 0.6 * signs["smile_lines"])
        for name in ("left", "right"):
            for k in range(3):
                pen.stroke(line, c[f"smile{k}_{name}"], 0.035)
    if signs["tears"] > 0.02:
        drop = mix(look.skin, wet, 0.85 * signs["tears"])
        for name in ("left", "right"):
            pen.stroke(drop, c[f"tear_{name}"], 0.05)
            pen.disc(drop, c[f"tear_{name}"][-1:], 0.05)
    if signs["sweat"] > 0.02:
        drop = mix(look.skin, wet, 0.75 * signs["sweat"])
        step = (len(c["sweat"]) - 1) // 4
        for k in range(5):
            pen.disc(drop, c["sweat"][k * step :], 0.048)


def _paint_eyes(pen: Pen, c: dict[str, Curve], look: Look, au: dict[int, float]) -> None:
    """Eyes, then the lids that hide what of the iris they cover."""
    skin = look.skin
    dark = mix(skin, (60, 25, 25), 0.55)
    lash = mix(look.hair, (20, 14, 14), 0.8)
    lid = mix(skin, (90, 45, 50), 0.14 + 0.16 * look.lashes)
    iris = 0.105 * look.eye_size
    for name in ("left", "right"):
        pen.fill((246, 243, 240), c[f"lid_{name}"], c[f"low_{name}"])
        pen.disc(mix(look.iris, (10, 10, 10), 0.45), c[f"iris_{name}"], iris)
        pen.disc(look.iris, c[f"iris_{name}"], iris * 0.82)
        pen.disc((14, 10, 10), c[f"iris_{name}"], iris * 0.48)
        pen.disc((255, 255, 255), c[f"glint_{name}"], 0.030)
        pen.fill(lid, c[f"lid_{name}"], c[f"socket_{name}"])
        pen.fill(skin, c[f"crease_{name}"], c[f"socket_{name}"][4:-4])
        pen.fill(skin, c[f"low_{name}"], c[f"bag_{name}"])
        pen.stroke(mix(skin, dark, 0.45), c[f"crease_{name}"], 0.02)
        pen.stroke(mix(skin, dark, 0.50), c[f"low_{name}"], 0.018)
        pen.stroke(lash, c[f"lid_{name}"], 0.032 + 0.022 * look.lashes)
        pouch = 0.25 * look.age + 0.45 * au[6] + 0.45 * au[7]
        if pouch > 0.02:
            pen.stroke(mix(skin, dark, 0.6 * pouch), c[f"pouch_{name}"], 0.022)
        crow = 0.25 * look.age + 0.35 * au[6]
        if crow > 0.02:
            for k in range(3):
                pen.stroke(mix(skin, dark, 0.8 * crow), c[f"crow{k}_{name}"], 0.022)
        pen.fill(look.hair, c[f"brow_{name}"], c[f"under_{name}"])
        furrow = 0.75 * au[4] + 0.3 * look.resting_brow + 0.1 * look.age
        if furrow > 0.02:
            pen.stroke(mix(skin, dark, furrow), c[f"furrow_{name}"], 0.028)


def _paint_forehead(pen: Pen, c: dict[str, Curve], look: Look, au: dict[int, float]) -> None:
    """Forehead lines of AU1 (middle) and AU2 (sides)."""
    dark = mix(look.skin, (60, 25, 25), 0.5)
    middle = 0.15 * look.age + 0.65 * au[1]
    outer = 0.10 * look.age + 0.65 * au[2]
    if middle > 0.02:
        pen.stroke(mix(look.skin, dark, middle), c["line_mid0"], 0.022)
        pen.stroke(mix(look.skin, dark, middle), c["line_mid1"], 0.022)
    if outer > 0.02:
        for name in ("left", "right"):
            pen.stroke(mix(look.skin, dark, outer), c[f"line_{name}"], 0.022)


def _nose(sketch: Sketch, look: Look, au: dict[int, float], flare: float) -> None:
    """Bridge, wings, nostrils and nose wrinkles (AU9)."""
    w = 0.155 * look.nose_width * (1 + 0.12 * au[9] + 0.42 * flare)
    tip = 0.34 * look.nose_length
    wing = tip - 0.015 - 0.085 * au[9] - 0.03 * au[10]
    base = [(-w, wing - 0.09, 0.05), (-w * 1.08, wing, 0.06), (-0.55 * w, wing + 0.07, 0.14)]
    base += [(0, tip + 0.085 - 0.03 * au[9], 0.26)]
    base += [(-p[0], p[1], p[2]) for p in reversed(base[:3])]
    sketch.add("nose_base", base)
    for side, name in ((-1, "left"), (1, "right")):
        hole = [(side * 0.28 * w, wing + 0.045, 0.2), (side * 0.55 * w, wing + 0.015, 0.15)]
        hole += [(side * 0.75 * w, wing + 0.05, 0.1), (side * 0.5 * w, wing + 0.065, 0.15)]
        sketch.add(f"nostril_{name}", hole, closed=True)
        bridge = [(side * 0.085, -0.22, 0.06), (side * 0.06, 0.0, 0.14)]
        sketch.add(f"bridge_{name}", [*bridge, (side * 0.10, tip - 0.08, 0.16)])
        edge = [(side * 0.16, -0.26, 0.0), (side * 0.14, 0.02, 0.02), (side * w, wing - 0.03, 0.04)]
        sketch.add(f"bridge_edge_{name}", edge)
    for k in range(3):
        y = -0.17 + 0.075 * k
        points = [(-0.13, y + 0.035, 0.05), (0, y - 0.02, 0.12), (0.13, y + 0.035, 0.05)]
        sketch.add(f"wrinkle{k}", points)
        side_line = [(0.12 + 0.02 * k, y + 0.02, 0.03), (0.20 + 0.02 * k, y - 0.05, 0.0)]
        sketch.add(f"wrinkle{k}_right", side_line)
        sketch.add(f"wrinkle{k}_left", [(-p[0], *p[1:]) for p in side_line])
    ridge = [(0, -0.2, 0.1), (0, 0.1, 0.2), (0, tip - 0.02, 0.3), (0, tip, 0.3)]
    sketch.add("ridge", ridge)


def _paint_nose(
    pen: Pen, c: dict[str, Curve], look: Look, light: float, au: dict[int, float], flare: float
) -> None:
    """Nose: a shaded side away from the light, wings, nostrils, wrinkles."""
    dark = mix(look.skin, (70, 25, 20), 0.6)
    shaded = "right" if light < 0 else "left"
    tone = mix(look.skin, dark, 0.10 + 0.12 * abs(light))
    pen.fill(tone, c[f"bridge_{shaded}"], c[f"bridge_edge_{shaded}"])
    pen.stroke(mix(look.skin, dark, 0.55 + 0.4 * flare), c["nose_base"], 0.026 + 0.016 * flare)
    for name in ("left", "right"):
        pen.fill(mix(look.skin, (50, 15, 15), 0.6 + 0.3 * flare), c[f"nostril_{name}"])
    if au[9] > 0.02:
        for k in range(3):
            line = mix(look.skin, dark, 0.95 * au[9])
            pen.stroke(line, c[f"wrinkle{k}"], 0.030)
            pen.stroke(line, c[f"wrinkle{k}_left"], 0.026)
            pen.stroke(line, c[f"wrinkle{k}_right"], 0.026)


def _mouth(
    sketch: Sketch, look: Look, au: dict[int, float], signs: dict[str, float], drop: float
) -> None:
    """Lips, the opening between them, folds and chin."""
    pout, smirk = signs["pout"], signs["smirk"]
    y0 = 0.70
    sad = au[15] + 0.45 * look.resting_mouth
    width = 0.33 * look.mouth_width
    width *= 1 + 0.32 * au[12] + 0.45 * au[20] - 0.06 * au[15] - 0.30 * au[23] - 0.34 * pout
    corner = y0 - 0.16 * au[12] + 0.115 * sad + 0.03 * au[20] + 0.35 * drop
    gap = 0.10 * au[25] + drop * 1.15
    rise = 0.10 * au[10]
    bow = 0.03 * au[12] - 0.035 * sad  # the middle answers the corners, so the curve reads
    push = 0.055 * au[17]
    fullness = look.lip_fullness * (1 + 0.35 * pout)
    fullness *= 1 - 0.45 * au[23] - 0.72 * au[24] - 0.25 * au[20] - 0.20 * au[12]
    upper, lower = 0.075 * max(fullness, 0.12), 0.105 * max(fullness, 0.12)
    mid = y0 + bow - push
    top = mid - 0.30 * gap - rise
    low = max(mid + 0.70 * gap + 0.25 * drop, top)
    # AU10 bares the side teeth: it lifts beside the middle more than at the corners.
    side_top = top + 0.25 * (corner - top) - 0.15 * rise
    side_low = low + 0.25 * (corner - low)

    def across(centre: float, side: float, end: float, dip: float = 0.0) -> list[Point]:
        half = [(-width, end), (-0.55 * width, side), (-0.16 * width, centre - dip)]
        right = [(-x * (1 + 0.22 * smirk), y) for x, y in reversed(half)]
        right[1] = (right[1][0], side - 0.03 * smirk)
        right[2] = (right[2][0], end - 0.11 * smirk)
        return [*half, (0, centre), *right]

    sketch.add("lip_top", across(top - upper, side_top - 0.75 * upper, corner, 0.018), lift=0.08)
    sketch.add("in_top", across(top, side_top, corner), lift=0.08)
    sketch.add("in_low", across(low, side_low, corner), lift=0.08)
    sketch.add("lip_low", across(low + lower, side_low + 0.8 * lower, corner), lift=0.08)
    depth = 0.095
    teeth = min(top + depth, low), min(side_top + 0.9 * depth, side_low)
    sketch.add("teeth", across(teeth[0], teeth[1], corner), lift=0.08)
    floor = max(low - 0.10, teeth[0]), max(side_low - 0.05, teeth[1])
    sketch.add("tongue", across(floor[0], floor[1], corner), lift=0.08)
    below = low + lower
    out = [(-0.10, mid + 0.01), (-0.11, below + 0.03), (0, below + 0.12)]
    out += [(0.11, below + 0.03), (0.10, mid + 0.01)]
    sketch.add("tongue_out", out, closed=True, lift=0.1)
    above = side_top - upper - 0.05
    bulge = [(-0.6 * width, above), (0, top - upper - 0.06), (0.6 * width, above)]
    sketch.add("bulge_top", bulge, lift=0.08)
    beside = side_low + lower + 0.06
    bulge = [(-0.7 * width, beside), (0, below + 0.075), (0.7 * width, beside)]
    sketch.add("bulge_low", bulge, lift=0.08)
    crease = below + 0.085
    arc = [(-0.2, crease + 0.05, 0.1), (0, crease, 0.14), (0.2, crease + 0.05, 0.1)]
    sketch.add("chin_crease", arc)
    boss = 1.09 + 0.8 * drop - push * 0.5
    dimples = [(-0.13, boss), (-0.04, boss - 0.05), (0.06, boss), (0.13, boss - 0.06)]
    sketch.add("chin_dimples", [*dimples, (0, boss + 0.05)], lift=0.2)
    for side, name in ((-1, "left"), (1, "right")):
        wing = (side * 0.22 * look.nose_width, 0.30 - 0.06 * au[9] - 0.05 * au[10])
        out_x = side * max(width + 0.06, 0.34)
        bend = (side * (0.33 + 0.08 * au[12]), 0.46 - 0.03 * au[12])
        sketch.add(f"fold_{name}", [wing, bend, (out_x, corner - 0.02)])
        droop = [(side * width, corner), (side * (width + 0.045), corner + 0.07 + 0.05 * sad)]
        sketch.add(f"droop_{name}", [*droop, (side * (width + 0.03), corner + 0.10 + 0.09 * sad)])
        x = side * (width + 0.075 + (0.07 * smirk if side > 0 else 0))
        dimple = [(x, corner - 0.1), (x + side * 0.04, corner - 0.02), (x, corner + 0.07)]
        sketch.add(f"dimple_{name}", dimple)


def _paint_mouth(
    pen: Pen, c: dict[str, Curve], look: Look, au: dict[int, float], signs: dict[str, float]
) -> None:
    """Mouth from the inside out: cavity, teeth, tongue, lips, folds, chin."""
    skin, lips = look.skin, look.lips
    dark = mix(skin, (70, 25, 20), 0.6)
    bright = mix(skin, (255, 240, 230), 0.16)
    fold = 0.12 + 0.3 * look.age + 0.40 * au[12] + 0.65 * au[10] + 0.40 * au[9]
    for name in ("left", "right"):
        pen.stroke(mix(skin, dark, 0.85 * min(fold, 1.0)), c[f"fold_{name}"], 0.028)
        if au[15] > 0.02:
            pen.stroke(mix(skin, dark, 0.8 * au[15]), c[f"droop_{name}"], 0.035)
    pen.fill((70, 16, 24), c["in_top"], c["in_low"])
    pen.fill((178, 72, 80), c["tongue"], c["in_low"])
    pen.fill((250, 246, 238), c["in_top"], c["teeth"])
    pen.fill(lips, c["lip_top"], c["in_top"])
    pen.fill(mix(lips, (255, 215, 205), 0.14), c["in_low"], c["lip_low"])
    seam = mix(lips, (50, 10, 15), 0.65)
    pen.stroke(seam, c["in_top"], 0.024)
    if au[24] > 0.02:
        pen.stroke(mix(skin, bright, au[24]), c["bulge_top"], 0.05)
        pen.stroke(mix(skin, bright, au[24]), c["bulge_low"], 0.06)
        pen.stroke(mix(seam, (40, 10, 12), au[24]), c["in_top"], 0.024 + 0.02 * au[24])
    if au[23] > 0.02:
        for name in ("left", "right"):
            pen.stroke(mix(skin, dark, 0.8 * au[23]), c[f"dimple_{name}"], 0.03)
    if signs["tongue"] > 0.02:
        pen.fill(mix(lips, (222, 92, 105), signs["tongue"]), c["tongue_out"])
    if signs["smirk"] > 0.02:
        pen.stroke(mix(skin, dark, 0.7 * signs["smirk"]), c["dimple_right"], 0.035)
    hairy = {"full": 0.86, "goatee": 0.80, "stubble": 0.22}.get(look.beard, 0.0)
    skin = mix(skin, look.hair, hairy)
    dark = mix(skin, (40, 20, 20), 0.5)
    pen.stroke(mix(skin, dark, 0.22 + 0.6 * au[17]), c["chin_crease"], 0.03)
    if au[17] > 0.02:
        step = (len(c["chin_dimples"]) - 1) // 4
        for k in range(5):
            pen.disc(mix(skin, dark, 0.62 * au[17]), c["chin_dimples"][k * step :], 0.030)


HAIRLINES: dict[str, tuple[Point, ...]] = {
    # The left half from the temple to the middle; mirrored, except for "parted".
    "short": ((-0.97, -0.02), (-0.86, -0.48), (-0.66, -0.80), (-0.3, -0.92), (0, -0.88)),
    "buzz": ((-0.97, -0.10), (-0.86, -0.50), (-0.70, -0.80), (-0.32, -0.98), (0, -1.0)),
    "fringe": ((-0.98, 0.10), (-0.88, -0.35), (-0.74, -0.58), (-0.36, -0.60), (0, -0.63)),
    "bob": ((-0.98, 0.80), (-0.90, -0.10), (-0.76, -0.56), (-0.36, -0.62), (0, -0.65)),
    "long": ((-0.98, 0.75), (-0.93, -0.05), (-0.80, -0.52), (-0.42, -0.90), (0, -1.12)),
    "curly": ((-1.0, 0.02), (-0.88, -0.46), (-0.70, -0.74), (-0.34, -0.80), (0, -0.86)),
    "bun": ((-0.97, -0.10), (-0.86, -0.52), (-0.66, -0.84), (-0.3, -1.0), (0, -1.04)),
    "scarf": ((-1.0, 0.85), (-0.93, 0.05), (-0.82, -0.45), (-0.46, -0.74), (0, -0.84)),
}
PARTED: tuple[Point, ...] = (
    *((-0.97, -0.02), (-0.86, -0.46), (-0.62, -0.98), (-0.36, -1.06), (0.05, -0.84)),
    *((0.46, -0.66), (0.80, -0.50), (0.92, -0.20), (0.97, 0.02)),
)


def _hair(sketch: Sketch, look: Look, drop: float) -> None:
    """Hair behind the head and over the forehead, beard and moustache."""
    style, w = look.hair_style, look.width
    if style != "bald":
        line = PARTED
        if style != "parted":
            half = HAIRLINES[style]
            line = (*half, *[(-x, y) for x, y in reversed(half[:-1])])
        sketch.add("hairline", [(x * w, y, 0.02) for x, y in line])
        puff = {"buzz": 0.03, "curly": 0.30, "scarf": 0.14, "bun": 0.07}.get(style, 0.13)
        low = line[0][1]
        crown = [(-0.99, low), (-1.0, -0.35), (-0.92, -0.84), (-0.55, -1.24), (0, -1.36)]
        crown += [(-x, y) for x, y in reversed(crown[:4])]
        crown[-1] = (0.99, line[-1][1])
        wave = 0.25 if style == "curly" else 0.0
        bumps = [1 + puff * (0.75 + wave * (-1) ** k) for k in range(9)]
        bumps[0] = bumps[-1] = 1 + 0.3 * puff
        points = [(x * w * b, -0.2 + (y + 0.2) * b) for (x, y), b in zip(crown, bumps, strict=True)]
        sketch.add("crown", points, rim=True)
        gloss = [(-0.62 * w, -1.02), (-0.34 * w, -1.20), (0.02, -1.26)]
        sketch.add("gloss", gloss, rim=True)
        sketch.add("part", [(-0.36 * w, -1.04), (-0.30 * w, -1.2), (-0.2 * w, -1.36)], rim=True)
    if style in ("long", "bob", "scarf"):
        end = {"long": 1.9, "bob": 0.92, "scarf": 1.55}[style]
        back = [(0, -1.46), (0.7, -1.28), (1.08, -0.7), (1.14, 0.1), (1.18, 0.7), (1.10, end)]
        back += [(0.4, end + 0.08), *[(-x, y) for x, y in reversed([*back[1:], (0.4, end + 0.08)])]]
        sketch.add("back", [(x * w, y) for x, y in back], closed=True, rim=True)
    elif style == "curly":
        angles = [math.pi * (0.5 + 2 * k / 22) for k in range(22)]
        radii = [1.36 + 0.07 * (-1) ** k for k in range(22)]
        cloud = [
            (w * r * math.cos(a), -0.38 - 0.95 * r * math.sin(a))
            for a, r in zip(angles, radii, strict=True)
        ]
        sketch.add("back", cloud, closed=True, rim=True)
    elif style == "bun":
        ring = [(0.4 * math.cos(a), -1.55 - 0.34 * math.sin(a)) for a in np.arange(0, 6.2, 0.79)]
        sketch.add("back", ring, closed=True, rim=True)
    if look.beard in ("full", "stubble"):
        jaw, chin = look.jaw * w, 1.24 * look.chin + drop
        edge = [(-0.96 * w, 0.02, 0), (-0.76 * w, 0.36, 0), (-0.46, 0.60, 0), (-0.30, 0.53, 0.05)]
        edge += [(0, 0.485, 0.1), *[(-p[0], *p[1:]) for p in reversed(edge)]]
        sketch.add("beard_top", edge)
        rim = [(-0.97 * w, 0.02), (-0.93 * w, 0.42), (-0.73 * jaw, 0.90 + 0.45 * drop, 0.12)]
        rim += [(-0.38 * jaw, chin - 0.04, 0.32), (0, chin + 0.06, 0.38)]
        rim += [(-p[0], *p[1:]) for p in reversed(rim[:-1])]
        sketch.add("beard_rim", rim, rim=True)
    elif look.beard == "goatee":
        chin = 1.24 * look.chin + drop
        left: list[Point] = [
            (-0.30, 0.86 + 0.6 * drop),
            (-0.24, 1.08 + drop),
            (-0.12, chin - 0.02, 0.02),
        ]
        tuft: list[Point] = [(-0.10, 0.92 + 0.9 * drop), *left, (0, chin + 0.02, 0.0)]
        tuft += [(-p[0], *p[1:]) for p in reversed(tuft[:-1])]
        sketch.add("goatee", tuft, closed=True)
    if look.beard in ("moustache", "goatee"):
        top = [(-0.36, 0.66, 0.06), (-0.2, 0.54, 0.08), (0, 0.50, 0.1)]
        sketch.add("moustache", [*top, *[(-p[0], *p[1:]) for p in reversed(top[:-1])]])


def _glasses(sketch: Sketch, look: Look) -> None:
    """Frames around the eyes."""
    n = 10 if look.glasses == "round" else 4
    start = 0.0 if look.glasses == "round" else math.pi / 4
    rx, ry = (0.315, 0.285) if look.glasses == "round" else (0.36, 0.31)
    for side, name in ((-1, "left"), (1, "right")):
        angles = [start + 2 * math.pi * k / n for k in range(n)]
        x = side * 0.42 * look.eye_gap
        ring = [(x + rx * math.cos(a), -0.08 + ry * math.sin(a)) for a in angles]
        sketch.add(f"frame_{name}", ring, closed=True, lift=0.08)
        arm = [(x + side * rx, -0.12, 0.08), (side * 0.97 * look.width, -0.14, 0.0)]
        sketch.add(f"arm_{name}", arm)
    gap = 0.42 * look.eye_gap - rx
    sketch.add("bar", [(-gap, -0.12, 0.1), (0, -0.17, 0.14), (gap, -0.12, 0.1)])


def _occluder(sketch: Sketch, scene: Scene) -> None:
    """Something in front of one region of the face."""
    sx, sy = scene.occluder_shift
    side = 1 if sx >= 0 else -1
    if scene.occluder == "mask":
        y = 0.36 + 0.06 * sy
        half = [(0, y - 0.10, 0.1), (0.34, y), (0.90, y + 0.02), (0.80, 0.85), (0.42, 1.24)]
        points = [*half, (0, 1.34, 0.3), *[(-p[0], *p[1:]) for p in reversed(half[1:])]]
        sketch.add("occluder", points, closed=True)
        for k, y1 in enumerate((0.62, 0.82)):
            sketch.add(f"pleat{k}", [(-0.62, y1), (0, y1 + 0.05), (0.62, y1)])
    elif scene.occluder == "sunglasses":
        for k, name in ((-1, "left"), (1, "right")):
            x = k * 0.43
            ring = [(x - 0.36, -0.34), (x + 0.36, -0.34), (x + 0.30, 0.16), (x - 0.30, 0.16)]
            sketch.add(f"lens_{name}", ring, closed=True, lift=0.05)
        sketch.add("occluder", [(-0.95, -0.24), (0, -0.22, 0.1), (0.95, -0.24)])
    elif scene.occluder == "hand":
        x, y = 0.55 * sx, 0.55 + 0.55 * sy
        for k in range(4):
            tip = (x - side * 0.12 * abs(k - 1.5), y - 0.32 + 0.19 * k)
            sketch.add(f"finger{k}", [tip, (x + side * 1.5, y + 0.25 + 0.17 * k)], rim=True)
    elif scene.occluder in ("phone", "cup"):
        x, y = 0.62 * sx, 0.60 + 0.5 * sy if scene.occluder == "phone" else 0.95 + 0.15 * sy
        w, h = (0.36, 0.66) if scene.occluder == "phone" else (0.36, 0.42)
        points = [(x - w, y - h), (x + w, y - h), (x + 0.9 * w, y + h), (x - 0.9 * w, y + h)]
        sketch.add("occluder", points, closed=True, rim=True)


def _paint_occluder(pen: Pen, c: dict[str, Curve], look: Look, scene: Scene) -> None:
    colour = scene.colours[1]
    if scene.occluder == "mask":
        pen.fill(mix((190, 215, 228), colour, 0.25), c["occluder"])
        for k in range(2):
            pen.stroke((150, 178, 194), c[f"pleat{k}"], 0.025)
    elif scene.occluder == "sunglasses":
        pen.stroke((25, 22, 26), c["occluder"], 0.06)
        for name in ("left", "right"):
            pen.fill((34, 30, 36), c[f"lens_{name}"])
    elif scene.occluder == "hand":
        for k in range(4):
            finger = c[f"finger{k}"]
            pen.stroke(mix(look.skin, (80, 30, 20), 0.45), finger, 0.22)
            pen.disc(mix(look.skin, (80, 30, 20), 0.45), finger, 0.11)
            pen.stroke(mix(look.skin, (80, 30, 20), 0.10), finger, 0.19)
            pen.disc(mix(look.skin, (80, 30, 20), 0.10), finger, 0.095)
    elif scene.occluder == "phone":
        pen.fill((40, 42, 50), c["occluder"])
    elif scene.occluder == "cup":
        pen.fill(mix((235, 232, 225), colour, 0.5), c["occluder"])


def _backdrop(scene: Scene, size: int) -> NDArray[np.float32]:
    """[size or 1, size or 1, 3] background in grey levels 0..255."""
    first, second = (np.array(colour, dtype=np.float32) for colour in scene.colours[:2])
    t = (np.arange(size, dtype=np.float32) + 0.5) / size
    if scene.backdrop == "plain":
        return np.broadcast_to(first, (1, 1, 3))
    if scene.backdrop == "gradient":
        return np.asarray(first + (second - first) * t[:, None, None], dtype=np.float32)
    if scene.backdrop == "room":
        wall = 1 / (1 + np.exp((t - 0.62) / 0.015))
        x = scene.blobs[0][0] if scene.blobs else 0.3
        frame = np.exp(-(((t - x) / 0.16) ** 8))
        window = (wall * np.exp(-(((t - 0.25) / 0.2) ** 8)))[:, None] * frame
        base = second + (first - second) * wall[:, None, None]
        return np.asarray(base + (window * 60)[:, :, None], dtype=np.float32)
    blobs = np.array(scene.blobs, dtype=np.float32).reshape(-1, 3)
    gx = np.exp(-(((t[None] - blobs[:, :1]) / blobs[:, 2:]) ** 4))
    gy = np.exp(-(((t[None] - blobs[:, 1:2]) / blobs[:, 2:]) ** 4))
    glow = np.minimum(gy.T @ gx, 1.0)[..., None]
    return np.asarray(first + (second - first) * glow, dtype=np.float32)


def _light(
    scene: Scene,
    look: Look,
    state: FaceState,
    marks: NDArray[np.float32],
    size: int,
    unit: float,
    centre: tuple[float, float],
) -> NDArray[np.float32]:
    """[size, size, 3] factors: the shaded ellipsoid plus soft spots (cheeks, nose, sockets, blush).

    The spots are isotropic Gaussians, hence products of a row and a column: all of them are one
    matrix product.
    """
    grid = np.arange(size, dtype=np.float32) + 0.5
    x = (grid - centre[0]) / (1.22 * unit)
    y = (grid - centre[1]) / (1.62 * unit)
    depth = np.sqrt(np.maximum(1.0 - (y * y)[:, None] - (x * x)[None], 0.02))
    lx, ly = scene.light
    k = scene.contrast
    shade = 0.70 + k * (0.30 * depth + (0.16 * lx * x)[None] + (0.13 * ly * y)[:, None])
    au = dict(zip(ACTION_UNITS, state.action_units.tolist(), strict=True))
    apple = 0.16 * au[6] + 0.03 * au[12]
    b = state.blush
    rosy = (0.11 * b, -0.12 * b, -0.07 * b) if b > 0 else (-0.04 * b, -0.16 * b, -0.20 * b)
    flush = 0.05 if look.age < 0.5 else 0.03
    spots = (
        # mark, radius in face units, red, green, blue
        (0, 0.30, 0.05 + flush, 0.05 - flush, 0.05 - flush),
        (1, 0.30, 0.05 + flush, 0.05 - flush, 0.05 - flush),
        (0, 0.19, apple, apple, apple),
        (1, 0.19, apple, apple, apple),
        (2, 0.38, *rosy),
        (3, 0.38, *rosy),
        (4, 0.16, 0.16 * k, 0.16 * k, 0.17 * k),
        (5, 0.20, -0.07, -0.09, -0.09),
        (6, 0.20, -0.07, -0.09, -0.09),
        (7, 0.26, 0.06 * k, 0.06 * k, 0.06 * k),
        (8, 0.42, 0.07 * k, 0.07 * k, 0.07 * k),
        (9, 0.14, -0.10, -0.11, -0.11),
        (10, 0.16, -0.10 * au[6], -0.12 * au[6], -0.12 * au[6]),
        (11, 0.16, -0.10 * au[6], -0.12 * au[6], -0.12 * au[6]),
    )
    table = np.array(spots, dtype=np.float32)
    at, radius = marks[table[:, 0].astype(np.intp)], table[:, 1:2] * unit
    gx = np.exp(-0.5 * ((grid[None] - at[:, :1]) / radius) ** 2)
    gy = np.exp(-0.5 * ((grid[None] - at[:, 1:]) / radius) ** 2)
    soft = gy.T @ (gx[:, :, None] * table[:, None, 2:]).reshape(len(table), -1)
    light = shade[:, :, None] + soft.reshape(size, size, 3)
    tint = np.array([1 + 0.06 * scene.warmth, 1.0, 1 - 0.08 * scene.warmth], dtype=np.float32)
    return np.asarray(light * (tint * scene.brightness), dtype=np.float32)


def _sketch(look: Look, state: FaceState, scene: Scene) -> Sketch:
    """Every outline of the picture, in face coordinates."""
    au = dict(zip(ACTION_UNITS, state.action_units.tolist(), strict=True))
    signs = dict(zip(SIGNS, state.signs.tolist(), strict=True))
    drop = 0.17 * au[26]
    sketch = Sketch()
    _head(sketch, look, drop, 0.04 * au[17])
    _hair(sketch, look, drop)
    _eyes(sketch, look, state, au)
    _nose(sketch, look, au, signs["flare"])
    _mouth(sketch, look, au, signs, drop)
    _signs(sketch, state.low_signs)
    if look.glasses != "none":
        _glasses(sketch, look)
    if scene.occluder != "none":
        _occluder(sketch, scene)
    lift = 0.05 * au[6]
    marks: list[Point] = [(-0.50, 0.26 - lift), (0.50, 0.26 - lift), (-0.52, 0.34), (0.52, 0.34)]
    marks += [(0, 0.26 * look.nose_length, 0.28), (-0.36, -0.24), (0.36, -0.24), (0, 1.08, 0.25)]
    marks += [(0, -0.75), (0, 0.955), (-0.44, 0.10), (0.44, 0.10)]
    sketch.add("marks", marks)
    return sketch


def _paint(pen: Pen, c: dict[str, Curve], look: Look, state: FaceState, scene: Scene) -> None:
    """The picture from back to front, in flat colours."""
    au = dict(zip(ACTION_UNITS, state.action_units.tolist(), strict=True))
    signs = dict(zip(SIGNS, state.signs.tolist(), strict=True))
    skin = look.skin
    covering = look.accent if look.hair_style == "scarf" else look.hair
    if look.hair_style == "buzz":
        covering = mix(skin, look.hair, 0.72)
    if "back" in c:
        pen.fill(mix(covering, (0, 0, 0), 0.22), c["back"])
    elif "crown" in c:  # under a turned head's hairline
        pen.fill(mix(covering, (0, 0, 0), 0.12), c["crown"])
    pen.fill(mix(skin, (60, 20, 20), 0.14), c["neck"])
    pen.fill(mix(skin, (60, 20, 20), 0.34), c["neck_shade"])
    pen.fill(scene.colours[2], c["torso"])
    wrapped = look.hair_style in ("scarf", "long", "bob")
    ears = [] if wrapped else ["ear_left", "ear_right"]
    near = "ear_left" if scene.yaw > 0 else "ear_right"
    for ear in ears:
        pen.fill(mix(skin, (150, 50, 40), 0.14), c[ear])
        pen.stroke(mix(skin, (90, 35, 30), 0.4), c[ear + "_in"], 0.025)
    pen.fill(skin, c["head"])
    beard = {"full": 0.86, "stubble": 0.22}.get(look.beard, 0.0)
    if beard:
        pen.fill(mix(skin, look.hair, beard), c["beard_top"], c["beard_rim"])
    if look.beard == "goatee":
        pen.fill(mix(skin, look.hair, 0.8), c["goatee"])
    _paint_forehead(pen, c, look, au)
    _paint_eyes(pen, c, look, au)
    if look.beard in ("moustache", "goatee"):
        pen.fill(mix(skin, look.hair, 0.85), c["moustache"], c["lip_top"])
    _paint_mouth(pen, c, look, au, signs)
    _paint_nose(pen, c, look, scene.light[0], au, signs["flare"])
    _paint_signs(pen, c, look, signs)
    if "crown" in c:
        pen.fill(covering, c["crown"], c["hairline"])
        pen.stroke(mix(covering, (255, 245, 235), 0.16), c["gloss"], 0.07)
        if look.hair_style == "parted":
            pen.stroke(mix(covering, (0, 0, 0), 0.3), c["part"], 0.03)
    if ears and abs(scene.yaw) > 0.2:
        pen.fill(mix(skin, (150, 50, 40), 0.14), c[near])
        pen.stroke(mix(skin, (90, 35, 30), 0.4), c[near + "_in"], 0.03)
    if look.glasses != "none":
        for name in ("left", "right"):
            frame = c[f"frame_{name}"]
            pen.stroke(look.accent, np.concatenate((frame, frame[:2])), 0.042)
            pen.stroke(look.accent, c[f"arm_{name}"], 0.035)
        pen.stroke(look.accent, c["bar"], 0.04)
    if scene.occluder != "none":
        _paint_occluder(pen, c, look, scene)


def draw_face(
    look: Look,
    state: FaceState,
    scene: Scene,
    size: int,
    noise: np.random.Generator | None = None,
) -> NDArray[np.uint8]:
    """Draw one face.

    Args:
        look: the subject.
        state: what the face does.
        scene: nuisance.
        size: pixels a side.
        noise: source of the grain; None draws none.

    Returns:
        [size, size, 3] uint8 RGB.
    """
    factor = 4 if size <= 80 else 3 if size <= 160 else 2
    # RGBX, not RGBA: Pillow's reduce divides RGBA colours by their coverage again, which would
    # leave bright fringes and costs twice as much; here the fourth channel is plain coverage.
    canvas = Image.new("RGBX", (size * factor, size * factor))
    unit = 0.335 * size * scene.scale
    centre = (size * 0.5 + unit * scene.shift[0], size * 0.515 + unit * scene.shift[1])
    fine = (centre[0] * factor, centre[1] * factor)
    steps = 4 if size * factor <= 340 else 6
    curves = _sketch(look, state, scene).project(
        scene, state.droop, unit=unit * factor, centre=fine, steps=steps
    )
    _paint(Pen(canvas, unit * factor), curves, look, state, scene)
    # The unpainted canvas is zero, so the reduced colours are already weighted by coverage.
    layer = np.asarray(canvas.reduce(factor), dtype=np.float32)
    marks = curves["marks"][::steps] / np.float32(factor)
    light = _light(scene, look, state, marks, size, unit, centre)
    light *= layer[..., :3]
    picture = _backdrop(scene, size) * (scene.brightness * (1 - layer[..., 3:] / 255))
    picture += light
    if scene.grain and noise is not None:
        grain = noise.standard_normal((size, size, 1), dtype=np.float32)
        grain *= scene.grain
        picture += grain
    over = np.maximum(picture, 215)
    over -= 215
    over *= 0.45
    picture -= over  # fair skin keeps its shading in bright light
    pixels = picture.clip(0, 255, out=picture).astype(np.uint8)
    if not scene.blur and not scene.jpeg_quality:
        return pixels
    image = Image.fromarray(pixels)
    if scene.blur:
        image = image.filter(ImageFilter.BoxBlur(scene.blur * size))
    if scene.jpeg_quality:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=scene.jpeg_quality)
        image = Image.open(buffer)
    return np.array(image)
