"""`draw_face`: from outlines to pixels. The package's docstring describes the way."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pretrain.data.drawing.beard import outline_beard, paint_beard, paint_moustache
from pretrain.data.drawing.brows import outline_brows, paint_brows, paint_forehead
from pretrain.data.drawing.eyes import outline_eyes, paint_eyes
from pretrain.data.drawing.glasses import outline_glasses, paint_glasses
from pretrain.data.drawing.hair import covers_ears, outline_hair, paint_hair, paint_hair_behind
from pretrain.data.drawing.head import outline_head, paint_body, paint_ear, paint_skull
from pretrain.data.drawing.light import light, outline_spots
from pretrain.data.drawing.look import Look
from pretrain.data.drawing.mouth import outline_mouth, paint_mouth
from pretrain.data.drawing.nose import outline_nose, paint_nose
from pretrain.data.drawing.occluders import outline_occluder, paint_occluder
from pretrain.data.drawing.pen import Pen
from pretrain.data.drawing.scene import Scene, backdrop, photograph
from pretrain.data.drawing.signs import outline_signs, paint_signs
from pretrain.data.drawing.sketch import SIDES, Curve, Sketch
from pretrain.data.drawing.state import FaceState


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
    curves = outline(look, state, scene).project(
        scene, state.droop, unit=unit * factor, centre=fine, steps=steps
    )
    paint(Pen(canvas, unit * factor), curves, look, state, scene)
    # The unpainted canvas is zero, so the reduced colours are already weighted by coverage.
    layer = np.asarray(canvas.reduce(factor), dtype=np.float32)
    spots = curves["spots"][::steps] / np.float32(factor)
    lit = light(scene, look, state, spots, size, unit, centre)
    lit *= layer[..., :3]
    lit += backdrop(scene, size) * (scene.brightness * (1 - layer[..., 3:] / 255))
    return photograph(lit, scene, noise)


def outline(look: Look, state: FaceState, scene: Scene) -> Sketch:
    """Every outline of the picture, in face coordinates."""
    sketch = Sketch()
    outline_head(sketch, look, state)
    outline_hair(sketch, look)
    outline_beard(sketch, look, state)
    outline_eyes(sketch, look, state)
    outline_brows(sketch, look, state)
    outline_nose(sketch, look, state)
    outline_mouth(sketch, look, state)
    outline_signs(sketch, state)
    outline_glasses(sketch, look)
    outline_occluder(sketch, scene)
    outline_spots(sketch, look, state, scene)
    return sketch


def paint(pen: Pen, c: dict[str, Curve], look: Look, state: FaceState, scene: Scene) -> None:
    """The picture from back to front, in flat colours."""
    bare_ears = not covers_ears(look)
    paint_hair_behind(pen, c, look)
    paint_body(pen, c, look, clothes=scene.colours[2])
    if bare_ears:
        for _, name in SIDES:
            paint_ear(pen, c, look, name, width=0.025)
    paint_skull(pen, c, look)
    paint_beard(pen, c, look)
    paint_forehead(pen, c, look, state)
    paint_eyes(pen, c, look, state)
    paint_brows(pen, c, look, state)
    paint_moustache(pen, c, look)
    paint_mouth(pen, c, look, state)
    paint_nose(pen, c, look, state, light_x=scene.light[0])
    paint_signs(pen, c, look, state)
    paint_hair(pen, c, look)
    if bare_ears and abs(scene.yaw) > 0.2:  # the ear that a turned head shows lies before the hair
        paint_ear(pen, c, look, "left" if scene.yaw > 0 else "right", width=0.03)
    paint_glasses(pen, c, look)
    paint_occluder(pen, c, look, scene)
