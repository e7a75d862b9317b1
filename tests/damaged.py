"""Made image files, whole and broken in every way we could think of, each with what must come of it."""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Pixels = NDArray[np.uint8]

#: Turns and mirrors of it are all different, and lossless codecs cannot make it small.
NOISE: Pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)

_ROWS, _COLUMNS = np.mgrid[0:40, 0:56]
#: Smooth, so that lossy codecs keep it.
PICTURE: Pixels = np.stack(
    [4 * _COLUMNS, 6 * _ROWS, 255 - 2 * _COLUMNS - 3 * _ROWS], axis=-1
).astype(np.uint8)


@dataclass(frozen=True)
class Case:
    """A file and what must come of it.

    Attributes:
        name: of the file.
        data: its content.
        pixels: what must be decoded; None where it must be refused.
        reason: a part of the refusal's.
        tolerance: mean difference to the pixels; 0: they are exact.
        either: right-shaped pixels or a refusal: the format cannot show the damage.
    """

    name: str
    data: bytes
    pixels: Pixels | None = None
    reason: str = ""
    tolerance: float = 0
    either: bool = False


def encode(image: NDArray[np.generic] | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def whole_files() -> dict[str, bytes]:
    """A good file of every kind."""
    return {
        "baseline.jpg": encode(PICTURE, "JPEG", quality=92),
        "progressive.jpg": encode(PICTURE, "JPEG", quality=92, progressive=True),
        "restarts.jpg": encode(PICTURE, "JPEG", quality=92, restart_marker_rows=1),
        "noise.png": encode(NOISE),
        "lossy.webp": encode(PICTURE, "WEBP", quality=95),
        "lossless.webp": encode(NOISE, "WEBP", lossless=True),
        "noise.gif": encode(Image.fromarray(NOISE).quantize(256), "GIF"),
        "noise.bmp": encode(NOISE, "BMP"),
        "plain.tif": encode(NOISE, "TIFF"),
        "lzw.tif": encode(NOISE, "TIFF", compression="tiff_lzw"),
        "deflate.tif": encode(NOISE, "TIFF", compression="tiff_adobe_deflate"),
        "noise.ppm": encode(NOISE, "PPM"),
    }


@cache
def corpus() -> list[Case]:
    """All cases."""
    makers = (_whole, _cut, _no_images, _sizes, _bombs, _inks, _depths, _transparent, _turned)
    return [case for make in (*makers, _moving, _hurt) for case in make()]


def _palette_of(data: bytes) -> Pixels:
    with Image.open(io.BytesIO(data)) as image:
        table = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return table[np.asarray(image)]


def _whole() -> Iterator[Case]:
    for name, data in whole_files().items():
        lossy = name.endswith(".jpg") or name == "lossy.webp"
        truth = _palette_of(data) if name.endswith(".gif") else PICTURE if lossy else NOISE
        yield Case(name, data, truth, tolerance=3 if lossy else 0)
    jpeg = whole_files()["baseline.jpg"]
    for garbage in (b"\0", b"text behind", bytes(5000), jpeg[:300]):
        yield Case(f"behind-{len(garbage)}.jpg", jpeg + garbage, PICTURE, tolerance=3)
    yield Case("png-named.jpg", encode(NOISE), NOISE)
    yield Case("jpeg-named.png", jpeg, PICTURE, tolerance=3)
    # A profile with red and blue exchanged, which would show if it were applied.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = (
        profile.replace(b"rXYZ", b"....").replace(b"bXYZ", b"rXYZ").replace(b"....", b"bXYZ")
    )
    yield Case("profile.png", encode(NOISE, icc_profile=exchanged), NOISE)


def _cut() -> Iterator[Case]:
    """Every kind of file at 20 places, none of them behind the last pixel."""
    for name, data in whole_files().items():
        for place in range(20):
            cut = data[: 1 + (len(data) - 24) * place // 19]
            yield Case(f"cut-{place:02}-{name}", cut, reason=" ")


def _no_images() -> Iterator[Case]:
    yield Case("empty.jpg", b"", reason="empty file (0 bytes)")
    yield Case("text.png", b"no image\n", reason="a text file")
    yield Case("page.jpg", b"<!DOCTYPE html>\n<html>404 Not Found</html>", reason="a text file")
    yield Case("zeros.bmp", bytes(4096), reason="not an image format")
    yield Case("random.webp", NOISE.tobytes()[:3000], reason="not an image format")
    yield Case("archive.gif", b"PK\3\4" + bytes(64), reason="not an image format")
    yield Case("script.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\nshowpage\n", reason="a text file")


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(
    width: int, height: int, *extra: bytes, depth: int = 8, colour: int = 2, rows: bytes = b""
) -> bytes:
    """A PNG by hand: its claims, other chunks, scan lines."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [_chunk(b"IHDR", header), *extra, _chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*chunks, _chunk(b"IEND", b"")])


def _sizes() -> Iterator[Case]:
    yield Case("point.png", encode(NOISE[:1, :1]), NOISE[:1, :1])
    yield Case(
        "point.jpg", encode(np.zeros((1, 1, 3), np.uint8), "JPEG"), np.zeros((1, 1, 3), np.uint8)
    )
    wide = np.resize(NOISE, (10, 20_000, 3))
    yield Case("wide.png", encode(wide), wide)
    yield Case("tall.png", encode(wide.swapaxes(0, 1)), wide.swapaxes(0, 1))
    yield Case("large.png", png(12_000, 12_000), reason="12000 x 12000 px, expected at most")


def _claiming(data: bytes, place: int, form: str) -> bytes:
    """A good file that says it is 16,000 to 65,000 px wide and high."""
    side = 16_000 if form == "<HH" and data[:4] == b"RIFF" else 65_000
    size = struct.pack(form, side, side)
    return data[:place] + size + data[place + len(size) :]


def _bombs() -> Iterator[Case]:
    files, bomb = whole_files(), "bomb, expected at most"
    frame = files["baseline.jpg"].index(b"\xff\xc0") + 5
    yield Case("bomb.png", png(20_000, 20_000), reason=bomb)
    yield Case("bomb.jpg", _claiming(files["baseline.jpg"], frame, ">HH"), reason=bomb)
    yield Case("bomb.gif", _claiming(files["noise.gif"], 6, "<HH"), reason=bomb)
    yield Case("bomb.bmp", _claiming(files["noise.bmp"], 18, "<II"), reason=bomb)
    yield Case("bomb.webp", _claiming(files["lossy.webp"], 26, "<HH"), reason=bomb)
    yield Case("bomb.ppm", b"P6 65000 65000 255\n" + bytes(100), reason=bomb)
    packed = zlib.compress(bytes(50_000_000))
    dots = b"\0\1\2\3"
    for kind, head in ((b"zTXt", b"a\0\0"), (b"iCCP", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")):
        data = png(1, 1, _chunk(kind, head + packed), rows=dots)
        yield Case(f"bomb-{kind.decode()}.png", data, reason="too large")


def _inks() -> Iterator[Case]:
    """CMYK: in JPEG inverted, as Adobe does; in TIFF not."""
    inks = np.concatenate([255 - PICTURE, (_ROWS * 3)[..., None]], axis=-1).astype(np.uint8)
    rgb = (255.0 - inks[..., :3]) * (255.0 - inks[..., 3:]) / 255
    truth = np.round(rgb).astype(np.uint8)
    jpeg = encode(Image.fromarray(inks, "CMYK"), "JPEG", quality=98, subsampling=0)
    yield Case("inks.jpg", jpeg, truth, tolerance=2)
    adobe = jpeg.index(b"\xff\xee")
    yield Case("inks-unmarked.jpg", jpeg[:adobe] + jpeg[adobe + 16 :], truth, tolerance=2)
    # Adobe's other way to store inks, YCCK: the inverted picture as YCbCr, beside black.
    planes = Image.fromarray(inks[..., :3]).convert("YCbCr").split()
    four = Image.merge(
        "CMYK",
        [plane.point(lambda v: 255 - v) for plane in planes] + [Image.fromarray(inks[..., 3])],
    )
    ycck = bytearray(encode(four, "JPEG", quality=98, subsampling=0))
    ycck[ycck.index(b"\xff\xee") + 15] = 2
    yield Case("inks-ycck.jpg", bytes(ycck), truth, tolerance=3)
    yield Case("inks.tif", encode(Image.fromarray(inks, "CMYK"), "TIFF"), truth, tolerance=1)


def _depths() -> Iterator[Case]:
    values = np.random.default_rng(1).integers(0, 65536, (9, 7), dtype=np.uint16)
    grey = np.repeat(np.round(values / 257).astype(np.uint8)[..., None], 3, axis=-1)
    yield Case("16.png", encode(values), grey)
    yield Case("16.tif", encode(values, "TIFF"), grey)
    yield Case("16.pgm", encode(values, "PPM"), grey)
    three = np.random.default_rng(2).integers(0, 65536, (9, 7, 3), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in three)
    truth = np.round(three / 257).astype(np.uint8)
    yield Case("16-rgb.png", png(7, 9, depth=16, rows=rows), truth, tolerance=0.6)
    bits = NOISE[..., 0] > 127
    truth = np.repeat(np.where(bits, 255, 0).astype(np.uint8)[..., None], 3, axis=-1)
    yield Case("1-bit.png", encode(Image.fromarray(bits)), truth)
    yield Case("1-bit.tif", encode(Image.fromarray(bits), "TIFF", compression="group4"), truth)
    yield Case("floats.tif", encode(np.zeros((3, 3), np.float32), "TIFF"), reason="floating-point")


def _on_white(layers: Pixels) -> Pixels:
    alpha = layers[..., -1:].astype(float)
    mixed = np.floor((layers[..., :-1] * alpha + 255 * (255 - alpha)) / 255 + 0.5)
    return np.broadcast_to(mixed, (*layers.shape[:2], 3)).astype(np.uint8)


def _transparent() -> Iterator[Case]:
    layers = np.random.default_rng(3).integers(0, 256, (9, 7, 4), dtype=np.uint8)
    yield Case("layers.png", encode(layers), _on_white(layers))
    yield Case("layers.tif", encode(layers, "TIFF"), _on_white(layers))
    grey = np.ascontiguousarray(layers[..., 2:])
    yield Case("grey-layers.png", encode(Image.fromarray(grey, "LA")), _on_white(grey))
    palette = Image.fromarray(np.array([[0, 1, 2], [2, 1, 0]], np.uint8), "P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 10, 20, 30])
    red, white, dark = (255, 0, 0), (255, 255, 255), (10, 20, 30)
    truth = np.array([[red, white, dark], [dark, white, red]], np.uint8)
    yield Case("palette.png", encode(palette, transparency=1), truth)
    yield Case("palette.gif", encode(palette, "GIF", transparency=1), truth)
    rows = b"\0" + struct.pack(">2H", 0, 40_000)
    clear = _chunk(b"tRNS", struct.pack(">H", 40_000))
    truth = np.array([[(0, 0, 0), (255, 255, 255)]], np.uint8)
    yield Case("16-clear.png", png(2, 1, clear, depth=16, colour=0, rows=rows), truth)


def exif(*fields: tuple[int, int, int, bytes]) -> bytes:
    """EXIF of (tag, type, count, value)."""
    entries = b"".join(struct.pack(">HHI", *field[:3]) + field[3] for field in fields)
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", len(fields)) + entries + bytes(4)


def _turned() -> Iterator[Case]:
    # How an upright picture is stored, so that the turn of its orientation undoes it.
    stored = {
        1: NOISE,
        2: np.fliplr(NOISE),
        3: np.rot90(NOISE, 2),
        4: np.flipud(NOISE),
        5: np.rot90(np.flipud(NOISE), -1),
        6: np.rot90(NOISE),
        7: np.rot90(np.flipud(NOISE)),
        8: np.rot90(NOISE, -1),
    }
    for number, pixels in stored.items():
        turned = exif((0x112, 3, 1, bytes([0, number, 0, 0])))
        lying = np.ascontiguousarray(pixels)
        yield Case(f"turned-{number}.png", encode(lying, exif=turned), NOISE)
        yield Case(
            f"turned-{number}.webp", encode(lying, "WEBP", lossless=True, exif=turned), NOISE
        )
        jpeg = encode(lying, "JPEG", quality=98, subsampling=0, exif=turned)
        yield Case(f"turned-{number}.jpg", jpeg, NOISE, tolerance=3)
    sideways = (0x112, 3, 1, b"\0\6\0\0")
    broken = {
        "no-number": exif(sideways, (0x11A, 11, 1, b"\x7f\xc0\0\0")),
        "text-for-number": exif(sideways, (0x128, 2, 2, b"a\0\0\0")),
    }
    for name, data in broken.items():
        yield Case(f"exif-{name}.png", encode(np.rot90(NOISE).copy(), exif=data), NOISE)
    for name, data in {
        "header": b"Exif\0\0M\xff\0*\0\0\0\x08",
        "short": exif(sideways)[:14],
        "far": b"Exif\0\0MM\0*\xff\xff\xff\x08",
        "153": exif((0x112, 3, 1, b"\0\x99\0\0")),
    }.items():
        yield Case(f"exif-{name}.png", encode(NOISE, exif=data), NOISE)
        yield Case(f"exif-{name}.webp", encode(NOISE, "WEBP", lossless=True, exif=data), NOISE)


def _moving() -> Iterator[Case]:
    first, second = Image.fromarray(PICTURE).quantize(64), Image.fromarray(NOISE).quantize(64)
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        frames = [frame.convert("RGB") for frame in (first, second)]
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        truth = np.asarray(frames[0])
        yield Case(f"moving-{kind}.{kind.lower()}", data, truth)
        hurt = bytearray(data)
        for place in range(len(data) * 3 // 4, len(data) * 3 // 4 + 40):
            hurt[place] ^= 0x55
        yield Case(f"second-hurt-{kind}.{kind.lower()}", bytes(hurt), truth)
    pair = encode(PICTURE, "MPO", save_all=True, append_images=[Image.fromarray(NOISE)])
    yield Case("pair.jpg", pair, PICTURE, tolerance=3)
    yield Case("second-cut.jpg", pair[: len(pair) * 3 // 4], PICTURE, tolerance=3)


def _hurt() -> Iterator[Case]:
    """Bytes that were changed or never written, in files of the right length."""
    jpeg = encode(NOISE, "JPEG", quality=98, subsampling=0)
    for share in (0.5, 0.7, 0.9):
        kept = int(len(jpeg) * share)
        rest = bytes(len(jpeg) - kept)
        yield Case(f"zeros-from-{share}.jpg", jpeg[:kept] + rest, reason=" ")
        yield Case(f"cut-and-ended-{share}.jpg", jpeg[:kept] + b"\xff\xd9", either=True)
    pair = encode(NOISE, "MPO", quality=98, save_all=True, append_images=[Image.fromarray(NOISE)])
    zeros = pair[: len(pair) * 3 // 10] + bytes(len(pair) * 7 // 10)
    yield Case("zeros-in-pair.jpg", zeros, reason="without its end")
    thumbnail = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + encode(NOISE[:8, :8], "JPEG")
    within = encode(NOISE, "JPEG", quality=98, subsampling=0, exif=thumbnail)
    yield Case("thumbnail.jpg", within, NOISE, tolerance=3)
    kept = len(within) * 7 // 10
    zeros = within[:kept] + bytes(len(within) - kept)
    yield Case("zeros-but-thumbnail.jpg", zeros, reason="without its end")
    for name, data in whole_files().items():
        for place in range(5):
            flipped = bytearray(data)
            flipped[len(data) * (4 + place) // 10] ^= 1 << place
            checked = name.endswith(".png")  # the one with checksums
            yield Case(
                f"flip-{place}-{name}", bytes(flipped), reason=" " * checked, either=not checked
            )


#: Names of files that are no files, or whose names are hard to print.
ODD = {"dangling.jpg", "pipe.jpg", "device.jpg", "line\nbreak.jpg", os.fsdecode(b"bytes-\xff.jpg")}


def write_odd(folder: Path) -> None:
    """Writes :data:`ODD` and a folder with an image's name, which holds nothing."""
    (folder / "dangling.jpg").symlink_to("nowhere.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.jpg")
    for name in ("line\nbreak.jpg", os.fsdecode(b"bytes-\xff.jpg")):
        (folder / name).write_bytes(b"")
    (folder / "folder.jpg").mkdir()
