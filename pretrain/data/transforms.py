"""Random resized crop and flip as a function of five uniform numbers.

The box is in shares of the image's sides, so it is the same part of the picture whether the image
was packed smaller, decoded at a scale or cropped on the accelerator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pretrain.data.images import Pixels

#: Uniform numbers that one crop takes, always.
CROP_DRAWS = 5


@dataclass(frozen=True, kw_only=True)
class AugmentationConfig:
    """Random resized crop and flip.

    ``crop_scale: [1, 1]`` only resizes (and flips) images whose shape lies in ``crop_ratio``.

    Attributes:
        crop_scale: smallest and largest share of the image's area that is kept, in (0, 1].
        crop_ratio: smallest and largest width / height of the crop.
        flip: mirror every second image, at random.
    """

    crop_scale: tuple[float, float] = (0.2, 1.0)
    crop_ratio: tuple[float, float] = (0.75, 4 / 3)
    flip: bool = True

    def __post_init__(self) -> None:
        """Refuses empty or reversed ranges."""
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"crop_scale {self.crop_scale}, expected 0 < low <= high <= 1")
        low, high = self.crop_ratio
        if not 0 < low <= high:
            raise ValueError(f"crop_ratio {self.crop_ratio}, expected 0 < low <= high")


@dataclass(frozen=True)
class Crop:
    """A box in shares of the image's sides, each in [0, 1], and whether to mirror it."""

    top: float
    left: float
    height: float
    width: float
    flip: bool


def random_crop(draws: NDArray[np.float64], aspect: float, config: AugmentationConfig) -> Crop:
    """The crop for five uniform numbers.

    The area is uniform in ``crop_scale`` and the ratio log-uniform among those in ``crop_ratio``
    that fit into the image at this area. (Drawing both until they fit, the usual way, takes a
    varying number of draws and prefers small crops.) Where none fits, an image too wide or tall for
    its area, the largest crop of the nearest ratio is taken.

    Args:
        draws: [5] in [0, 1): area, ratio, vertical and horizontal position, flip.
        aspect: width / height of the image.
        config: the ranges.
    """
    area = _between(config.crop_scale, draws[0])
    fitting = max(config.crop_ratio[0], area * aspect), min(config.crop_ratio[1], aspect / area)
    if fitting[0] <= fitting[1]:
        ratio = math.exp(_between((math.log(fitting[0]), math.log(fitting[1])), draws[1]))
    else:
        ratio = min(max(aspect, config.crop_ratio[0]), config.crop_ratio[1])
    width = min(1.0, math.sqrt(area * ratio / aspect))
    height = min(1.0, math.sqrt(area * aspect / ratio))
    if fitting[0] > fitting[1]:  # keep the ratio: shrink whichever side was not cut
        width, height = min(width, height * ratio / aspect), min(height, width * aspect / ratio)
    return Crop(
        top=(1 - height) * float(draws[2]),
        left=(1 - width) * float(draws[3]),
        height=height,
        width=width,
        flip=config.flip and bool(draws[4] < 0.5),
    )


def central_square(aspect: float) -> Crop:
    """The largest square in the middle: how images are shown and evaluated."""
    height, width = min(1.0, aspect), min(1.0, 1 / aspect)
    return Crop(top=(1 - height) / 2, left=(1 - width) / 2, height=height, width=width, flip=False)


def apply_crop(image: Pixels, crop: Crop, size: int) -> Tensor:
    """Cuts, resizes (bicubic, antialiased) and mirrors: [H, W, 3] uint8 to [3, size, size] uint8.

    The box is rounded to whole pixels of the image at hand, at least one.
    """
    rows, columns = image.shape[:2]
    top, bottom = _whole_pixels(crop.top, crop.height, rows)
    left, right = _whole_pixels(crop.left, crop.width, columns)
    box = image[top:bottom, left:right]
    if not box.flags.writeable:  # a memory map, which torch may not hold
        box = box.copy()
    # A view with channels last in memory: the resize then works on bytes, without a float copy.
    pixels = torch.from_numpy(box).permute(2, 0, 1).unsqueeze(0)
    if pixels.shape[-2:] != (size, size):
        pixels = F.interpolate(pixels, size=(size, size), mode="bicubic", antialias=True)
    return (pixels.flip(-1) if crop.flip else pixels)[0]


def _whole_pixels(start: float, length: float, pixels: int) -> tuple[int, int]:
    first = min(round(start * pixels), pixels - 1)
    return first, max(first + 1, min(round((start + length) * pixels), pixels))


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * float(share)
