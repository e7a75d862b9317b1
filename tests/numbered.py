"""Images that say which row they are: a number in their pixels, which JPEG and packing keep."""

import numpy as np
from PIL import Image

#: A block of one colour survives JPEG; two digits of base 16 are 256 rows.
_SIDE, _STEP = 32, 16


def picture(number):
    """[32, 32, 3] whose left half says number // 16 and whose right half number % 16."""
    assert 0 <= number < 256
    pixels = np.empty((_SIDE, _SIDE, 3), np.uint8)
    pixels[:, : _SIDE // 2] = _STEP * (number // 16) + _STEP // 2
    pixels[:, _SIDE // 2 :] = _STEP * (number % 16) + _STEP // 2
    return pixels


def number_of(pixels):
    """The number in a picture, whatever its size."""
    height, width = pixels.shape[:2]
    rows = slice(height // 4, 3 * height // 4)
    left = pixels[rows, width // 8 : 3 * width // 8].mean()
    right = pixels[rows, 5 * width // 8 : 7 * width // 8].mean()
    return int(left // _STEP) * 16 + int(right // _STEP)


def write_picture(file, number):
    """Writes it as PNG or JPEG, by the ending."""
    file.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 95} if file.suffix.lower() in (".jpg", ".jpeg") else {}
    Image.fromarray(picture(number)).save(file, **options)
