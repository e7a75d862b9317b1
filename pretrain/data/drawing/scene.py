"""How a face is seen, and what of that is no part of the face: backdrop, camera, file format."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pretrain.data.drawing.colours import Colour

OCCLUDERS = ("none", "hand", "mask", "sunglasses", "phone", "cup")
BACKDROPS = ("plain", "gradient", "bokeh", "room")


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


def backdrop(scene: Scene, size: int) -> NDArray[np.float32]:
    """[size or 1, size or 1, 3] background in grey levels 0..255."""
    first, second = (np.array(colour, dtype=np.float32) for colour in scene.colours[:2])
    t = (np.arange(size, dtype=np.float32) + 0.5) / size
    match scene.backdrop:
        case "plain":
            return first[None, None]
        case "gradient":
            return np.asarray(first + (second - first) * t[:, None, None], dtype=np.float32)
        case "room":
            wall = 1 / (1 + np.exp((t - 0.62) / 0.015))
            x = scene.blobs[0][0] if scene.blobs else 0.3
            frame = np.exp(-(((t - x) / 0.16) ** 8))
            window = (wall * np.exp(-(((t - 0.25) / 0.2) ** 8)))[:, None] * frame
            base = second + (first - second) * wall[:, None, None]
            return np.asarray(base + (window * 60)[:, :, None], dtype=np.float32)
        case _:
            blobs = np.array(scene.blobs, dtype=np.float32).reshape(-1, 3)
            gx = np.exp(-(((t[None] - blobs[:, :1]) / blobs[:, 2:]) ** 4))
            gy = np.exp(-(((t[None] - blobs[:, 1:2]) / blobs[:, 2:]) ** 4))
            glow = np.minimum(gy.T @ gx, 1.0)[..., None]
            return np.asarray(first + (second - first) * glow, dtype=np.float32)


def photograph(
    picture: NDArray[np.float32], scene: Scene, noise: np.random.Generator | None
) -> NDArray[np.uint8]:
    """What camera and file format do: grain, bright end of the curve, 8 bits, blur, JPEG.

    Args:
        picture: [size, size, 3] grey levels, overwritten.
        scene: how much of each.
        noise: source of the grain; None draws none.
    """
    if scene.grain and noise is not None:
        grain = noise.standard_normal((*picture.shape[:2], 1), dtype=np.float32)
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
        image = image.filter(ImageFilter.BoxBlur(scene.blur * len(pixels)))
    if scene.jpeg_quality:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=scene.jpeg_quality)
        image = Image.open(buffer)
    return np.array(image)
