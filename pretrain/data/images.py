"""Decoding: any image file becomes uint8 RGB [H, W, 3], upright, or is refused by name."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pretrain.errors import UserError

Pixels = NDArray[np.uint8]

#: Endings of files that a folder source lists (Pillow reads the content, not the ending).
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
)

#: What is tried on a file's content, whatever its ending. Pillow knows more, but some of those
#: start other programs (EPS runs Ghostscript), and none is a way to keep photographs.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM")

#: Larger images are refused before their pixels are read: a small file can claim any size.
MAX_PIXELS = 100_000_000


class BadImage(UserError):  # noqa: N818 - it is what it says, not a fault of the program
    """A file that is no readable image.

    Attributes:
        name: which.
        reason: why, in a few words.
    """

    def __init__(self, name: str, reason: str) -> None:
        # A name may hold anything but a slash; a line break in it must not become one in a log.
        self.name = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
        self.reason = reason
        super().__init__(f"{self.name}: {reason}")

    def __reduce__(self) -> tuple[type[BadImage], tuple[str, str]]:
        """Worker processes hand it over."""
        return BadImage, (self.name, self.reason)


def decode(data: bytes | Path, name: str) -> Pixels:
    """Decodes an image file.

    Grey, palette, 1-bit, CMYK, YCbCr and Lab become RGB; 16 bits are scaled to 8, not cut off;
    transparency is laid over white; the EXIF orientation is applied; of an animation the first
    frame counts.

    Args:
        data: the file's bytes, or its path.
        name: what an error calls it.

    Returns:
        [H, W, 3] uint8.

    Raises:
        BadImage: not an image, truncated, or above :data:`MAX_PIXELS`.
    """
    if isinstance(data, Path) and data.exists() and not data.is_file():
        raise BadImage(name, "not a regular file")  # a pipe would keep its reader waiting
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's notes on odd metadata; faults still raise
            stream = io.BytesIO(data) if isinstance(data, bytes) else data
            with Image.open(stream, formats=_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise BadImage(
                        name, f"{image.width} x {image.height} px, expected at most {MAX_PIXELS} px"
                    )
                return np.array(_to_rgb(ImageOps.exif_transpose(image)))
    except BadImage:
        raise
    except UnidentifiedImageError:
        raise BadImage(name, _what_it_is(data)) from None
    except Image.DecompressionBombError:
        raise BadImage(name, f"decompression bomb, expected at most {MAX_PIXELS} px") from None
    except OSError as error:
        raise BadImage(name, error.strerror or " ".join(str(error).split())) from None
    except Exception as error:  # codecs raise SyntaxError, struct.error, IndexError and more
        raise BadImage(name, f"{type(error).__name__}: {' '.join(str(error).split())}") from None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I"):
        return Image.fromarray(_sixteen_to_eight(np.asarray(image))).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels, which have no defined range")
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
    return image.convert("RGB")


def _sixteen_to_eight(pixels: NDArray[np.generic]) -> Pixels:
    """0..65535 to 0..255. Mode "I" holds 16-bit PNGs in older Pillows."""
    wide = pixels.astype(np.int64)
    if wide.min() < 0 or wide.max() > 65535:
        raise ValueError("32-bit integer pixels, expected at most 16 bits")
    return ((wide + 128) // 257).astype(np.uint8)


def _what_it_is(data: bytes | Path) -> str:
    if isinstance(data, bytes):
        head = data[:64]
    else:
        with data.open("rb") as file:
            head = file.read(64)
    if not head:
        return "empty file (0 bytes)"
    readable = all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)
    return "a text file, not an image" if readable else "not an image format that is known"
