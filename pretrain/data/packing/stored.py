"""One image of a source as a pack stores it."""

from __future__ import annotations

import hashlib
import io
import warnings
import zlib
from dataclasses import dataclass

from PIL import Image

from pretrain.data.images import BadImage, Pixels, decode, is_turned
from pretrain.data.packing.format import PackSettings
from pretrain.data.packing.near_duplicates import difference_hash
from pretrain.data.sources import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A picture on its way into a shard.

    Attributes:
        source_index: which image of the source.
        data: what is stored.
        height: of what is stored.
        width: of what is stored.
        source_height: of the image, upright.
        source_width: of the image, upright.
        aspect: width / height of the original, which crops follow.
        pixels: 16 bytes that equal those of another image with the same shape and pixels only.
        crc32: of ``data``.
        near: difference hash of the picture.
    """

    source_index: int
    data: bytes
    height: int
    width: int
    source_height: int
    source_width: int
    aspect: float
    pixels: bytes
    crc32: int
    near: bytes


def store(source: Source, index: int, settings: PackSettings) -> Stored | str:
    """Decodes, checks, fits and encodes an image.

    Returns:
        The picture, or why it is refused.
    """
    try:
        file = source.encoded(index)
        pixels = source.image(index) if file is None else decode(file, source.names[index])
    except BadImage as error:
        return error.reason
    height, width = pixels.shape[:2]
    if min(height, width) < settings.min_side:
        return f"{width} x {height} px, expected at least {settings.min_side} px a side"
    aspect = source.aspect(index) or width / height
    picture = fit_picture(pixels, aspect, settings)
    if settings.format == "raw":
        data = picture.tobytes()
    elif file is not None and _may_stay(file, picture, pixels, settings):
        data = file
    else:
        try:
            data = _encode(picture, settings.quality)
        except (OSError, ValueError) as error:  # a side above 65,535 px
            return f"{picture.width} x {picture.height} px: no JPEG: {error}"
    return Stored(
        source_index=index,
        data=data,
        height=picture.height,
        width=picture.width,
        source_height=height,
        source_width=width,
        aspect=aspect,
        pixels=_digest(pixels),
        crc32=zlib.crc32(data),
        near=difference_hash(picture),
    )


def fit_picture(pixels: Pixels, aspect: float, settings: PackSettings) -> Image.Image:
    """The picture in its stored size: bicubic, antialiased; JPEGs are never enlarged.

    Args:
        pixels: of the image.
        aspect: width / height of the original; ``pixels`` may have been squashed.
        settings: of the pack.
    """
    height, width = pixels.shape[:2]
    picture = Image.fromarray(pixels)
    if settings.fit == "crop":
        box_width = max(1, round(width * min(1, 1 / aspect)))
        box_height = max(1, round(height * min(1, aspect)))
        left, top = (width - box_width) // 2, (height - box_height) // 2
        picture = picture.crop((left, top, left + box_width, top + box_height))
    shorter = min(picture.size)
    side = settings.size if settings.format == "raw" else min(settings.size, shorter)
    if settings.fit == "keep":
        target = (round(width * side / shorter), round(height * side / shorter))
    else:
        target = (side, side)
    if picture.size == target:
        return picture
    return picture.resize(target, Image.Resampling.BICUBIC)


def _may_stay(file: bytes, picture: Image.Image, pixels: Pixels, settings: PackSettings) -> bool:
    """Whether the file already is what would be made of it; encoding again would only lose."""
    if settings.fit != "keep" or not file.startswith(b"\xff\xd8"):
        return False
    with warnings.catch_warnings(), Image.open(io.BytesIO(file), formats=["JPEG"]) as image:
        warnings.simplefilter("ignore")  # Pillow's notes on odd metadata
        return (
            image.format == "JPEG"
            and image.mode in ("L", "RGB")
            and not is_turned(image)
            and image.size == picture.size == (pixels.shape[1], pixels.shape[0])
        )


def _encode(picture: Image.Image, quality: int) -> bytes:
    """JPEG with colour in full resolution.

    The picture was usually made smaller, and has colour detail for every pixel. Halving that again
    (4:2:0) blurs lips and eyes: on coloured faces of 100 px it saves 16 % of the bytes for 1.3 dB.
    Tables made for the picture (``optimize``) saved 14 % on mostly grey faces of 96 px, for nothing
    but time of packing.
    """
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality, subsampling=0, optimize=True)
    return stream.getvalue()


def _digest(pixels: Pixels) -> bytes:
    digest = hashlib.blake2b(f"{pixels.shape}".encode(), digest_size=16)
    digest.update(pixels.data if pixels.flags.c_contiguous else pixels.tobytes())
    return digest.digest()
