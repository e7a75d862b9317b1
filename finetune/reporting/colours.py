"""The few colours of the page, told apart by people with any colour vision, and in grey.

Sources: Okabe & Ito 2008, "Color universal design" (blue and vermilion); the ramps are ours, from
light to dark in one hue.
"""

from __future__ import annotations

import numpy as np

from finetune.labels import Floats

INK, MUTED, LINE = "#17212b", "#566573", "#d8dee4"
BLUE, VERMILION = "#0072b2", "#c44e00"

#: For counts and shares.
BLUES = ("#eef4fa", "#bcd7ec", "#6aa9d6", "#2474b0", "#08386b")
#: For errors.
BROWNS = ("#fdf3e3", "#f9d6a0", "#ee9f52", "#c65f1c", "#73280b")

#: From this place of a ramp on, text on it is white.
DARK = 0.55


def ramp_colours(places: Floats, ramp: tuple[str, ...]) -> Floats:
    """Colours of places in [0, 1] of a ramp: [..., 3], 0 to 255."""
    steps = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in ramp], np.float64)
    at = np.linspace(0, 1, len(ramp))
    return np.stack([np.interp(places, at, steps[:, i]) for i in range(3)], -1)


def ramp_colour(place: float, ramp: tuple[str, ...]) -> str:
    """The colour of one place, as HTML writes it."""
    red, green, blue = (round(float(part)) for part in ramp_colours(np.array(place), ramp))
    return f"#{red:02x}{green:02x}{blue:02x}"
