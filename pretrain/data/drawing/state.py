"""What a face shows at one instant."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 17, 20, 23, 24, 25, 26)
"""The facial actions that can be drawn (FACS numbers), in the order of every intensity array."""

SIGNS = ("smile_lines", "tears", "sweat", "flare", "tongue", "pout", "smirk")
"""Unlabelled facial signs, one per expression: what shows an expression besides its AUs."""


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

    @cached_property
    def au(self) -> dict[int, float]:
        """AU number -> intensity."""
        return dict(zip(ACTION_UNITS, self.action_units.tolist(), strict=True))

    @cached_property
    def sign(self) -> dict[str, float]:
        """Name of an unlabelled sign -> strength."""
        return dict(zip(SIGNS, self.signs.tolist(), strict=True))

    @property
    def jaw_drop(self) -> float:
        """How far AU26 lowers the chin, in face units."""
        return 0.17 * self.au[26]
