"""Colour jitter as a function of five uniform numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torchvision.transforms.functional as F
from numpy.typing import NDArray
from torch import Tensor

#: Uniform numbers that one image takes, always.
COLOUR_DRAWS = 5


@dataclass(frozen=True, kw_only=True)
class ColourConfig:
    """Random changes of colour. The defaults change nothing.

    Attributes:
        probability: that an image is changed, in [0, 1].
        brightness: largest change of the brightness, a share of it.
        contrast: largest change of the contrast, a share of it.
        saturation: largest change of the saturation, a share of it.
        hue: largest turn of the hue, in turns, up to 0.5.
    """

    probability: float = 0.0
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1

    def __post_init__(self) -> None:
        """Refuses what is no share."""
        for name, most in (
            ("probability", 1.0),
            ("brightness", 1.0),
            ("contrast", 1.0),
            ("saturation", 1.0),
            ("hue", 0.5),
        ):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} {getattr(self, name)}, expected in [0, {most:g}]")


def jitter_colours(image: Tensor, draws: NDArray[np.float64], config: ColourConfig) -> Tensor:
    """Brightness, contrast, saturation and hue, in this order.

    Args:
        image: [3, H, W] uint8.
        draws: [5] in [0, 1): whether, and how far each.
        config: the ranges.
    """
    if draws[0] >= config.probability:
        return image
    for adjust, most, draw in zip(
        (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation),
        (config.brightness, config.contrast, config.saturation),
        draws[1:4].tolist(),
        strict=True,
    ):
        image = adjust(image, 1 + most * (2 * draw - 1))
    changed: Tensor = F.adjust_hue(image, config.hue * (2 * float(draws[4]) - 1))
    return changed
