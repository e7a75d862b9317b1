"""How one image is taken: pose, framing, light, backdrop, occluder, camera."""

import math

from pretrain.data.drawing.colours import CLOTHES, WALLS, mix
from pretrain.data.drawing.scene import BACKDROPS, OCCLUDERS, Scene
from pretrain.data.synthetic.config import Style


def draw_scene(style: Style, u: list[float], z: list[float]) -> Scene:
    """Nuisance of one image from uniforms [32] and normals [24]."""
    degrees = math.pi / 180

    def cut(value: float, spread: float, limit: float) -> float:
        return max(-limit, min(limit, value * spread))

    first = WALLS[int(u[0] * len(WALLS))]
    second = WALLS[int(u[1] * len(WALLS))]
    clothes = CLOTHES[int(u[2] * len(CLOTHES))]
    backdrops = BACKDROPS[:2] if style.posed else BACKDROPS
    blobs = tuple((u[4 + 3 * k], u[5 + 3 * k], 0.06 + 0.12 * u[6 + 3 * k]) for k in range(4))
    occluder = "none"
    if u[16] < style.occluded:
        occluder = OCCLUDERS[1 + int(u[17] * (len(OCCLUDERS) - 1))]
    blurred, packed = u[18] < style.degraded, u[19] < style.degraded
    return Scene(
        yaw=cut(z[0], style.yaw, 40) * degrees,
        pitch=cut(z[1], 0.25 * style.yaw, 12) * degrees,
        roll=cut(z[2], style.roll, 20) * degrees,
        scale=1 + cut(z[3], 0.02 if style.posed else 0.05, 0.12),
        shift=(cut(z[4], 0.02 if style.posed else 0.05, 0.12), cut(z[5], 0.04, 0.1)),
        light=(cut(z[6], 0.7, 1.0), -0.4 + cut(z[7], 0.3, 0.6)),
        brightness=1.0 + cut(z[8], 0.04 if style.posed else 0.10, 0.25),
        contrast=1.0 + cut(z[9], 0.2, 0.5),
        warmth=cut(z[10], 0.5, 1.0),
        backdrop=backdrops[int(u[3] * len(backdrops))],
        colours=(first, mix(first, second, 0.6), clothes),
        blobs=blobs,
        occluder=occluder,
        occluder_shift=(2 * u[20] - 1, 2 * u[21] - 1),
        blur=0.003 + 0.008 * u[22] if blurred else 0.0,
        jpeg_quality=int(40 + 50 * u[23]) if packed else 0,
        grain=style.grain * 2 * u[24],
    )
