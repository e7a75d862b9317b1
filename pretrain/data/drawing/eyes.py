"""Eyeballs and lids: AU5, AU6, AU7, gaze and the state's lids."""

from pretrain.data.drawing.colours import mix
from pretrain.data.drawing.look import Look
from pretrain.data.drawing.pen import VISIBLE, Pen
from pretrain.data.drawing.sketch import SIDES, Curve, Sketch
from pretrain.data.drawing.state import FaceState


def outline_eyes(sketch: Sketch, look: Look, state: FaceState) -> None:
    """Lid curves, the skin around them, irises, crow's feet."""
    au = state.au
    half = 0.215 * look.eye_size
    upper = 0.125 * look.eye_size * (1 + 0.75 * au[5] - 0.38 * au[7] + 0.42 * state.lids)
    upper = max(upper, 0.03)
    lower = 0.080 * look.eye_size * (1 + 0.10 * au[5] - 0.75 * au[7] - 0.55 * au[6])
    lower -= 0.04 * au[6] * au[7]
    y, tilt = -0.10, -look.eye_tilt
    for side, name in SIDES:
        x = side * (0.41 * look.eye_gap)
        inner, outer = x - side * half, x + side * half
        top = [
            (x - side * 0.55 * half, y - 0.78 * upper),
            (x, y - upper + 0.3 * tilt),
            (x + side * 0.6 * half, y - 0.80 * upper + 0.6 * tilt),
        ]
        low = [
            (x - side * 0.5 * half, y + 0.80 * lower),
            (x + side * 0.05, y + lower),
            (x + side * 0.6 * half, y + 0.78 * lower + 0.6 * tilt),
        ]
        sketch.add(f"lid_{name}", [(inner, y + 0.02), *top, (outer, y + tilt)])
        sketch.add(f"low_{name}", [(inner, y + 0.02), *low, (outer, y + tilt)])
        # Skin from the lids up to the socket and down to the bag hides the covered iris.
        near, far = x - side * 0.5 * half, x + side * 0.5 * half
        socket = [(inner, y), (near, y - 0.25), (x, y - 0.30), (far, y - 0.26), (outer, y + tilt)]
        sketch.add(f"socket_{name}", socket)
        bag = [(inner, y), (near, y + 0.2), (x, y + 0.24), (far, y + 0.2), (outer, y + tilt)]
        sketch.add(f"bag_{name}", bag)
        sketch.add(f"crease_{name}", [(px, py - 0.045 - 0.02 * au[5]) for px, py in top])
        sketch.add(f"pouch_{name}", [(px, py + 0.06) for px, py in low])
        gaze = (x + 0.095 * state.gaze[0], y - 0.02 - 0.055 * state.gaze[1])
        sketch.add(f"iris_{name}", [gaze, gaze])
        sketch.add(f"glint_{name}", [(gaze[0] - 0.035, gaze[1] - 0.04)] * 2)
        for k, dy in enumerate((-0.10, 0.0, 0.09)):
            crow = [(outer + side * 0.03, y + 0.3 * dy), (outer + side * (0.15 - dy**2), y + dy)]
            sketch.add(f"crow{k}_{name}", crow)


def paint_eyes(pen: Pen, c: dict[str, Curve], look: Look, state: FaceState) -> None:
    """Eyeballs, then the lids that hide what of the iris they cover, then folds."""
    skin, au = look.skin, state.au
    dark = mix(skin, (60, 25, 25), 0.55)
    lash = mix(look.hair, (20, 14, 14), 0.8)
    lid = mix(skin, (90, 45, 50), 0.14 + 0.16 * look.lashes)
    iris = 0.105 * look.eye_size
    pouch = 0.25 * look.age + 0.45 * au[6] + 0.45 * au[7]
    crow = 0.25 * look.age + 0.35 * au[6]
    for _, name in SIDES:
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
        if pouch > VISIBLE:
            pen.stroke(mix(skin, dark, 0.6 * pouch), c[f"pouch_{name}"], 0.022)
        if crow > VISIBLE:
            for k in range(3):
                pen.stroke(mix(skin, dark, 0.8 * crow), c[f"crow{k}_{name}"], 0.022)
