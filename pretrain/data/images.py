"""Decoding: any image file becomes uint8 RGB [H, W, 3], upright, or is refused by name."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pretrain.data import jpeg
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

_ORIENTATION = 0x0112

#: What makes an image upright, by its EXIF orientation.
_TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
    frame counts. A colour profile is not applied: the pixels are as they are stored.

    What a format cannot show stays unseen: a changed byte in a format without checksums, a JPEG
    whose pixels were cut but whose end marker was put back.

    Args:
        data: the file's bytes, or its path.
        name: what an error calls it.

    Returns:
        [H, W, 3] uint8.

    Raises:
        BadImage: not an image, truncated, or above :data:`MAX_PIXELS`.
    """
    head = b""
    try:
        if isinstance(data, Path) and data.exists() and not data.is_file():
            raise BadImage(name, "not a regular file")  # a pipe would keep its reader waiting
        # Opened here and not by Pillow, which maps some files into memory: a file that shrinks
        # while it is read would then kill the process.
        with io.BytesIO(data) if isinstance(data, bytes) else data.open("rb") as file:
            head = file.read(64)
            file.seek(0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's notes on odd metadata; faults raise
                return _pixels(file, name)
    except BadImage:
        raise
    except UnidentifiedImageError:
        raise BadImage(name, _what_it_is(head)) from None
    except Image.DecompressionBombError:
        raise BadImage(name, f"decompression bomb, expected at most {MAX_PIXELS} px") from None
    except OSError as error:
        raise BadImage(name, error.strerror or " ".join(str(error).split())) from None
    except Exception as error:  # codecs raise SyntaxError, struct.error, IndexError and more
        raise BadImage(name, f"{type(error).__name__}: {' '.join(str(error).split())}") from None


def read_file(path: Path, name: str) -> bytes:
    """The bytes of an image file.

    Raises:
        BadImage: it cannot be read, or is no regular file.
    """
    try:
        if path.exists() and not path.is_file():
            raise BadImage(name, "not a regular file")  # a pipe would keep its reader waiting
        return path.read_bytes()
    except OSError as error:
        raise BadImage(name, error.strerror or str(error)) from None


def _pixels(file: BinaryIO, name: str) -> Pixels:
    if jpeg.is_one(file):
        content = file.read()
        if (pixels := jpeg.decode_plain(content, MAX_PIXELS)) is not None:
            return pixels
        file = io.BytesIO(content)
    with Image.open(file, formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise BadImage(
                name, f"{image.width} x {image.height} px, expected at most {MAX_PIXELS} px"
            )
        scan = file.tell()  # Pillow has read a JPEG's header, which may hold a whole thumbnail
        image.load()
        if image.format in ("JPEG", "MPO") and not _ends(file, scan):
            raise BadImage(name, "a JPEG without its end: truncated, or only zeros are left")
        return np.array(_to_rgb(_upright(image)))


def _ends(file: BinaryIO, scan: int) -> bool:
    """Whether a JPEG has an end marker after the place where its pixels begin.

    Zeros are valid pixels: a file that was given its size but not its content (a download that was
    broken off, a crash) would decode. Among pixels 255 is followed by 0 or by another marker.
    """
    file.seek(scan)
    last = b""
    while block := file.read(1 << 16):
        if b"\xff\xd9" in last + block:
            return True
        last = block[-1:]
    return False


def is_turned(image: Image.Image) -> bool:
    """Whether its EXIF says that the stored pixels are to be turned or mirrored."""
    return _turn(image) is not None


def _upright(image: Image.Image) -> Image.Image:
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What its EXIF orientation asks for; broken EXIF does not cost the image."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's notes on broken EXIF
            return _TURNS.get(image.getexif().get(_ORIENTATION))
    except Exception:  # SyntaxError, struct.error, TypeError: as many as ways to break it
        return None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I"):
        stored = np.asarray(image)
        grey = _sixteen_to_eight(stored)
        if isinstance(clear := image.info.get("transparency"), int):
            grey[stored == clear] = 255
        return Image.fromarray(grey).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels, which have no defined range")
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
    return image.convert("RGB")


def _sixteen_to_eight(pixels: NDArray[np.generic]) -> Pixels:
    """0..65535 to 0..255. Mode "I" holds 16-bit PNGs in older Pillows."""
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError("32-bit integer pixels, expected at most 16 bits")
    wide = pixels.astype(np.uint32)
    wide += 128
    wide //= 257
    return wide.astype(np.uint8)


def _what_it_is(head: bytes) -> str:
    if not head:
        return "empty file (0 bytes)"
    readable = all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)
    return "a text file, not an image" if readable else "not an image format that is known"
