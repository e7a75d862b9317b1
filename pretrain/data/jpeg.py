"""Plain JPEGs through libjpeg-turbo itself: the pixels of Pillow, sooner."""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray

_START = b"\xff\xd8\xff"

#: A larger file is left to Pillow, which does not read all of it at once.
_MAX_BYTES = 1 << 25

#: Segments that need more than decoding: APP1 may turn the image (EXIF, XMP), APP14 names other
#: colours than the usual ones.
_SPECIAL = (0xE1, 0xEE)

_START_OF_SCAN = 0xDA

#: Markers without a length; what follows them would be taken for one. 0xFF is a fill byte.
_BARE = (0x00, 0x01, *range(0xD0, 0xDA), 0xFF)


def is_one(file: BinaryIO) -> bool:
    """Whether a file, which is rewound, is a JPEG that fits into memory."""
    start, size = file.read(len(_START)), file.seek(0, io.SEEK_END)
    file.seek(0)
    return start == _START and size <= _MAX_BYTES


def decode_plain(data: bytes, max_pixels: int) -> NDArray[np.uint8] | None:
    """Decodes a JPEG that is only that: grey or YCbCr, upright, whole.

    Broken segments that no pixel depends on (JFIF, ICC) are not looked at; Pillow refuses some.

    Args:
        data: the file.
        max_pixels: larger ones are not decoded.

    Returns:
        [H, W, 3] uint8; None where anything about the file asks for a closer look.
    """
    scan = _scan_of_plain(data)
    if scan is None or data.rfind(b"\xff\xd9") < scan:  # without its end: perhaps only zeros follow
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours not in ("YCbCr", "Gray") or height * width > max_pixels:
            return None
        # The slower transform and upsampling are Pillow's; the fast ones give other pixels.
        return simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False)  # type: ignore[no-any-return]
    except (ValueError, KeyError):  # broken, or merely odd (4:4:1 is a KeyError): it is strict
        return None


def _scan_of_plain(data: bytes) -> int | None:
    """Where the pixels begin; None where there are none, or a special segment comes first."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _SPECIAL or marker in _BARE or length < 2:
            return None
        at += 2 + length
        if marker == _START_OF_SCAN:
            return at
    return None
