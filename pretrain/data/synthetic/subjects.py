"""The people: how they look and which AUs they show with which expression."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pretrain.data.drawing.colours import ACCENTS, HAIRS, IRISES, SKINS, mix, pick
from pretrain.data.drawing.look import BEARDS, HAIR_STYLES, Look
from pretrain.data.synthetic.expressions import ACTION_MATRIX

GIVEN_HAIR = {  # shares of `HAIR_STYLES` by the two ways of growing up that the drawing knows
    True: (0.30, 0.18, 0.10, 0.04, 0.0, 0.12, 0.02, 0.13, 0.11, 0.0),
    False: (0.05, 0.06, 0.12, 0.27, 0.18, 0.12, 0.10, 0.02, 0.01, 0.07),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A person: how they look and how they express.

    Attributes:
        name: unique over all splits, e.g. "s000012".
        look: appearance.
        gain: expressivity, a factor on AU intensities.
        habits: [8, 16] which AUs this person shows with which expression, 0 or 1.
    """

    name: str
    look: Look
    gain: float
    habits: NDArray[np.float64]


@lru_cache(maxsize=8192)
def subject(seed: int, number: int) -> Subject:
    """The subject with a number that is unique over all splits; a pure function, cached."""
    rng = np.random.Generator(np.random.PCG64((seed, 1, number)))
    u, z = rng.random(24).tolist(), rng.standard_normal(48)
    habits = (rng.random(ACTION_MATRIX.shape) < ACTION_MATRIX).astype(np.float64)
    gain = float(np.exp(0.22 * max(-2.0, min(2.0, z[22]))))
    return Subject(name=f"s{number:06d}", look=_look(u, z), gain=gain, habits=habits)


def _look(u: list[float], z: NDArray[np.float64]) -> Look:
    """Appearance from uniforms [14 or more] and normals [22 or more]."""
    n = z.tolist()
    beardable = u[0] < 0.5
    hair_style = HAIR_STYLES[int(np.searchsorted(np.cumsum(GIVEN_HAIR[beardable]), u[1] * 0.999))]
    skin = pick(SKINS, u[2], z[0:3], 3.0)
    # Dark hair goes with every skin, fair hair mostly with fair skin.
    shade = u[3] * (1.0 if u[2] < 0.45 else 0.35)
    hair = pick(HAIRS, shade, z[3:6], 5.0)
    age = u[4] ** 2
    if age > 0.62:
        hair = mix(hair, (205, 202, 200), min(1.0, (age - 0.5) * 1.8))
    iris = pick(IRISES, u[5] * (1.0 if u[2] < 0.5 else 0.3), z[6:9], 6.0)
    rouge = (196, 74, 84) if not beardable else (186, 96, 88)
    lips = mix(skin, rouge, 0.45 + (0.35 * u[6] if not beardable else 0.1))
    beard = BEARDS[int(np.searchsorted((0.48, 0.66, 0.75, 0.85, 1.0), u[7]))]

    def near(index: int, spread: float) -> float:
        return 1.0 + spread * float(max(-2.0, min(2.0, n[index])))

    return Look(
        skin=skin,
        hair=hair,
        iris=iris,
        lips=lips,
        accent=ACCENTS[int(u[8] * len(ACCENTS))],
        hair_style=hair_style,
        beard=beard if beardable else "none",
        glasses="none" if u[9] > 0.24 else "round" if u[10] < 0.55 else "square",
        jaw=near(10, 0.06) * (1.03 if beardable else 0.95),
        chin=near(11, 0.03),
        width=near(12, 0.04),
        eye_size=near(13, 0.07) * (0.98 if beardable else 1.08),
        eye_gap=near(14, 0.035),
        eye_tilt=0.02 + 0.025 * n[15],
        brow_thickness=near(16, 0.22) * (1.15 if beardable else 0.85),
        brow_arch=max(0.1, near(17, 0.4)),
        nose_width=near(18, 0.12),
        nose_length=near(19, 0.06),
        mouth_width=near(20, 0.07),
        lip_fullness=near(21, 0.18) * (0.92 if beardable else 1.12),
        age=age,
        resting_brow=max(0.0, u[11] - 0.6) * 2.2,
        resting_mouth=max(0.0, u[12] - 0.6) * 2.2,
        lashes=0.15 * u[13] if beardable else 0.4 + 0.6 * u[13],
    )
