"""Something in front of one region of the face: hand, mask, sunglasses, phone or cup."""

from pretrain.data.drawing.colours import mix
from pretrain.data.drawing.look import Look
from pretrain.data.drawing.pen import Pen
from pretrain.data.drawing.scene import Scene
from pretrain.data.drawing.sketch import SIDES, Curve, Point, Sketch, mirrored


def outline_occluder(sketch: Sketch, scene: Scene) -> None:
    """Place the scene's occluder; the scene's `occluder_shift` moves it within its region."""
    shift_x, shift_y = scene.occluder_shift
    match scene.occluder:
        case "mask":
            _outline_mask(sketch, 0.36 + 0.06 * shift_y)
        case "sunglasses":
            _outline_sunglasses(sketch)
        case "hand":
            side = 1 if shift_x >= 0 else -1
            _outline_hand(sketch, 0.55 * shift_x, 0.55 + 0.55 * shift_y, side)
        case "phone":
            _outline_block(sketch, 0.62 * shift_x, 0.60 + 0.5 * shift_y, half_height=0.66)
        case "cup":
            _outline_block(sketch, 0.62 * shift_x, 0.95 + 0.15 * shift_y, half_height=0.42)


def _outline_mask(sketch: Sketch, y: float) -> None:
    left: list[Point] = [(0.34, y), (0.90, y + 0.02), (0.80, 0.85), (0.42, 1.24)]
    points = [(0, y - 0.10, 0.1), *left, (0, 1.34, 0.3), *mirrored(left)]
    sketch.add("occluder", points, closed=True)
    for k, pleat in enumerate((0.62, 0.82)):
        sketch.add(f"pleat{k}", [(-0.62, pleat), (0, pleat + 0.05), (0.62, pleat)])


def _outline_sunglasses(sketch: Sketch) -> None:
    for side, name in SIDES:
        x = side * 0.43
        lens = [(x - 0.36, -0.34), (x + 0.36, -0.34), (x + 0.30, 0.16), (x - 0.30, 0.16)]
        sketch.add(f"lens_{name}", lens, closed=True, lift=0.05)
    sketch.add("occluder", [(-0.95, -0.24), (0, -0.22, 0.1), (0.95, -0.24)])


def _outline_hand(sketch: Sketch, x: float, y: float, side: int) -> None:
    for k in range(4):
        tip = (x - side * 0.12 * abs(k - 1.5), y - 0.32 + 0.19 * k)
        sketch.add(f"finger{k}", [tip, (x + side * 1.5, y + 0.25 + 0.17 * k)], rim=True)


def _outline_block(sketch: Sketch, x: float, y: float, *, half_height: float) -> None:
    """A phone or a cup, a little narrower at its foot."""
    w, h = 0.36, half_height
    points = [(x - w, y - h), (x + w, y - h), (x + 0.9 * w, y + h), (x - 0.9 * w, y + h)]
    sketch.add("occluder", points, closed=True, rim=True)


def paint_occluder(pen: Pen, c: dict[str, Curve], look: Look, scene: Scene) -> None:
    """In colours of the scene; a hand in the subject's own skin."""
    colour = scene.colours[1]
    match scene.occluder:
        case "mask":
            pen.fill(mix((190, 215, 228), colour, 0.25), c["occluder"])
            for k in range(2):
                pen.stroke((150, 178, 194), c[f"pleat{k}"], 0.025)
        case "sunglasses":
            pen.stroke((25, 22, 26), c["occluder"], 0.06)
            for _, name in SIDES:
                pen.fill((34, 30, 36), c[f"lens_{name}"])
        case "hand":
            edge = mix(look.skin, (80, 30, 20), 0.45)
            skin = mix(look.skin, (80, 30, 20), 0.10)
            for k in range(4):
                finger = c[f"finger{k}"]
                pen.stroke(edge, finger, 0.22)
                pen.disc(edge, finger, 0.11)
                pen.stroke(skin, finger, 0.19)
                pen.disc(skin, finger, 0.095)
        case "phone":
            pen.fill((40, 42, 50), c["occluder"])
        case "cup":
            pen.fill(mix((235, 232, 225), colour, 0.5), c["occluder"])
