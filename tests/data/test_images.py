"""Decoding: every kind of image becomes upright RGB; what is no image is refused by name."""

import io
import os
import pickle
import random
import struct
import zlib

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, features

from pretrain.data import images
from pretrain.data.images import BadImage, decode
from pretrain.errors import UserError

ROWS, COLUMNS = np.mgrid[0:40, 0:56]
#: A smooth picture without symmetries, so that lossy codecs keep it and every turn shows.
PICTURE = np.stack([4 * COLUMNS, 6 * ROWS, 255 - 2 * COLUMNS - 3 * ROWS], axis=-1).astype(np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (21, 13, 3), dtype=np.uint8)


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(
        buffer, kind, **options
    )
    return buffer.getvalue()


def chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(width, height, *, depth=8, colour=2, pixels=b"", extra=b""):
    """A PNG written by hand, for what Pillow cannot write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


def scanlines(rows):
    """Rows of 16-bit values, each after PNG's filter byte."""
    return b"".join(b"\0" + np.asarray(row, ">u2").tobytes() for row in rows)


def mean_difference(first, second):
    return np.abs(first.astype(int) - second.astype(int)).mean()


def grey_as_rgb(grey):
    return np.repeat(np.asarray(grey)[..., None], 3, axis=-1)


# -------------------------------------------------------------------------------------- kinds of pixels


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_rgb_comes_back_exactly(kind):
    pixels = decode(encode(NOISE, kind), "x")
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    np.testing.assert_array_equal(pixels, NOISE)


def test_a_path_and_its_bytes_decode_alike(tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(encode(NOISE))
    np.testing.assert_array_equal(decode(path, "x"), decode(path.read_bytes(), "x"))


def test_grey_becomes_three_equal_channels():
    np.testing.assert_array_equal(decode(encode(NOISE[..., 0]), "x"), grey_as_rgb(NOISE[..., 0]))


def test_one_bit_images_become_black_and_white():
    bits = NOISE[..., 0] > 127
    pixels = decode(encode(Image.fromarray(bits)), "x")
    np.testing.assert_array_equal(pixels, grey_as_rgb(np.where(bits, 255, 0)))


def test_two_bit_grey_is_spread_over_the_whole_range():
    pixels = decode(png(4, 1, depth=2, colour=0, pixels=b"\0" + bytes([0b00011011])), "x")
    np.testing.assert_array_equal(pixels[0, :, 0], [0, 85, 170, 255])


def palette_image():
    image = Image.fromarray(np.array([[0, 1, 2], [2, 1, 0]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 10, 20, 30])
    return image


def test_a_palette_is_looked_up():
    red, green, dark = (255, 0, 0), (0, 255, 0), (10, 20, 30)
    expected = np.array([[red, green, dark], [dark, green, red]])
    np.testing.assert_array_equal(decode(encode(palette_image()), "x"), expected)


def test_a_transparent_palette_entry_becomes_white():
    white, red, dark = (255, 255, 255), (255, 0, 0), (10, 20, 30)
    expected = np.array([[red, white, dark], [dark, white, red]])
    pixels = decode(encode(palette_image(), transparency=1), "x")
    np.testing.assert_array_equal(pixels, expected)


def test_a_half_transparent_palette_entry_is_mixed_with_white():
    pixels = decode(encode(palette_image(), transparency=bytes([255, 255, 51])), "x")
    np.testing.assert_array_equal(pixels[0], [(255, 0, 0), (0, 255, 0), (206, 208, 210)])


def test_a_transparent_colour_becomes_white():
    pixels = bytes([0, 1, 2, 3, 9, 9, 9])
    image = png(2, 1, pixels=pixels, extra=chunk(b"tRNS", struct.pack(">3H", 9, 9, 9)))
    np.testing.assert_array_equal(decode(image, "x")[0], [(1, 2, 3), (255, 255, 255)])


def test_transparency_is_laid_over_white():
    colour, alpha = np.meshgrid(np.arange(256), np.arange(256))
    layers = np.stack([colour, 255 - colour, np.full_like(colour, 100), alpha], -1)
    pixels = decode(encode(layers.astype(np.uint8)), "x")
    exact = (layers[..., :3] * alpha[..., None] + 255 * (255 - alpha[..., None])) / 255
    np.testing.assert_array_equal(pixels, np.floor(exact + 0.5))
    np.testing.assert_array_equal(pixels[0], np.full((256, 3), 255))
    np.testing.assert_array_equal(pixels[255], layers[255, :, :3])


def test_grey_with_transparency_is_laid_over_white():
    layers = np.array([[[0, 0], [0, 255], [200, 255], [100, 51]]], np.uint8)
    pixels = decode(encode(Image.fromarray(layers, "LA")), "x")
    np.testing.assert_array_equal(pixels, grey_as_rgb([[255, 0, 200, 224]]))


def test_sixteen_bit_grey_is_scaled_and_not_cut_off():
    values = np.arange(65536).reshape(256, 256)
    expected = grey_as_rgb(np.round(values / 257))
    hand_written = png(256, 256, depth=16, colour=0, pixels=scanlines(values))
    np.testing.assert_array_equal(decode(hand_written, "x"), expected)
    for kind in ("PNG", "TIFF"):
        written = encode(values.astype(np.uint16), kind)
        np.testing.assert_array_equal(decode(written, "x"), expected)


def test_sixteen_bit_big_endian_tiff_is_scaled():
    values = np.array([[0, 128, 129], [257, 32768, 65535]], ">u2")
    image = Image.frombytes("I;16B", (3, 2), values.tobytes())
    expected = grey_as_rgb([[0, 0, 1], [1, 128, 255]])
    np.testing.assert_array_equal(decode(encode(image, "TIFF"), "x"), expected)


def test_ten_bit_pgm_is_scaled():
    values = np.array([0, 512, 1023], ">u2").tobytes()
    np.testing.assert_array_equal(decode(b"P5 3 1 1023\n" + values, "x")[0, :, 0], [0, 128, 255])


def test_sixteen_bit_rgb_is_scaled():
    values = np.random.default_rng(1).integers(0, 65536, (9, 7, 3))
    pixels = decode(png(7, 9, depth=16, pixels=scanlines(values.reshape(9, 21))), "x")
    assert np.abs(pixels - values / 257).max() <= 1


def test_sixteen_bit_transparency_is_laid_over_white():
    rows = [[0, 0, 65535, 65535, 65535, 0, 0, 0]]  # opaque blue, invisible red
    pixels = decode(png(2, 1, depth=16, colour=6, pixels=scanlines(rows)), "x")
    np.testing.assert_array_equal(pixels[0], [(0, 0, 255), (255, 255, 255)])


@pytest.mark.parametrize("options", [{"quality": 92}, {"quality": 92, "progressive": True}])
def test_jpeg_is_close_to_the_original(options):
    assert mean_difference(decode(encode(PICTURE, "JPEG", **options), "x"), PICTURE) < 2


def test_grey_jpeg_is_close_to_the_original():
    pixels = decode(encode(PICTURE[..., 2], "JPEG", quality=92), "x")
    assert mean_difference(pixels, grey_as_rgb(PICTURE[..., 2])) < 2


def test_cmyk_jpeg_has_the_right_colours():
    inks = encode(Image.fromarray(PICTURE).convert("CMYK"), "JPEG", quality=95)
    assert mean_difference(decode(inks, "x"), PICTURE) < 3
    red = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    assert mean_difference(decode(red, "x"), np.full((16, 16, 3), (255, 0, 0))) < 3


@pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="older Pillows refuse it")
def test_ycbcr_tiff_has_the_right_colours():
    stored = encode(Image.fromarray(PICTURE).convert("YCbCr"), "TIFF")
    assert mean_difference(decode(stored, "x"), PICTURE) < 2


def test_lab_tiff_has_the_right_colours():
    original = Image.fromarray(PICTURE // 2 + 64)  # inside the gamut
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    stored = ImageCms.profileToProfile(original, srgb, lab, outputMode="LAB")
    assert mean_difference(decode(encode(stored, "TIFF"), "x"), np.asarray(original)) < 3


@pytest.mark.skipif(not features.check("webp"), reason="Pillow without WebP")
def test_webp_is_close_to_the_original():
    assert mean_difference(decode(encode(PICTURE, "WEBP", quality=95), "x"), PICTURE) < 4
    np.testing.assert_array_equal(decode(encode(NOISE, "WEBP", lossless=True), "x"), NOISE)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF"])
def test_of_several_frames_the_first_counts(kind):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue", "lime")]
    moving = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(moving, "x"), np.full((4, 5, 3), (255, 0, 0)))


@pytest.mark.parametrize(("kind", "ending"), [("PNG", ".jpg"), ("JPEG", ".png"), ("BMP", ".gif")])
def test_the_content_counts_and_not_the_ending(tmp_path, kind, ending):
    path = tmp_path / f"image{ending}"
    path.write_bytes(encode(PICTURE, kind))
    assert mean_difference(decode(path, "x"), PICTURE) < 2


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_a_single_pixel_works(mode):
    assert decode(encode(Image.new(mode, (1, 1))), "x").shape == (1, 1, 3)


# ---------------------------------------------------------------------------------- EXIF orientation

#: How an upright picture is stored under each orientation: where row 0 and column 0 lie.
STORED = {
    1: lambda up: up,  # top, left
    2: lambda up: up[:, ::-1],  # top, right
    3: lambda up: up[::-1, ::-1],  # bottom, right
    4: lambda up: up[::-1],  # bottom, left
    5: lambda up: up.swapaxes(0, 1),  # left, top
    6: lambda up: up[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda up: up[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda up: up[::-1].swapaxes(0, 1),  # left, bottom
}


def oriented(upright, orientation, kind, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    return encode(stored, kind, exif=exif.tobytes(), **options)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_stand_upright_whatever_their_exif_orientation(orientation):
    np.testing.assert_array_equal(decode(oriented(NOISE, orientation, "PNG"), "x"), NOISE)
    np.testing.assert_array_equal(decode(oriented(NOISE, orientation, "TIFF"), "x"), NOISE)
    pixels = decode(oriented(PICTURE, orientation, "JPEG", quality=92), "x")
    assert pixels.shape == PICTURE.shape
    assert mean_difference(pixels, PICTURE) < 2


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0neither byte order",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\1" * 50,  # more entries than there are
        b"Exif\0\0MM\0*\xff\xff\xff\x08",  # a directory beyond the end
        b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x99\0\0\0\0\0\0",  # orientation 153
        b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\2\0\0\0\1\0\6\0\0\0\0\0\0",  # orientation as text
    ],
)
def test_broken_exif_does_not_cost_the_image(exif):
    whole = encode(PICTURE, "JPEG", quality=92)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    np.testing.assert_array_equal(decode(whole[:2] + segment + whole[2:], "x"), decode(whole, "x"))


# ------------------------------------------------------------------------------------------ refusals


def refusal(data, name="folder/broken.jpg"):
    """The reason why an image is refused, after checking the error's form."""
    with pytest.raises(BadImage) as caught:
        decode(data, name)
    error = caught.value
    assert error.name == name
    assert str(error) == f"{name}: {error.reason}"
    assert error.reason.isprintable()  # so in one line
    assert 5 < len(error.reason) < 100
    return error.reason


@pytest.mark.parametrize("cut", range(20))
@pytest.mark.parametrize(
    "options",
    [
        {"kind": "JPEG"},
        {"kind": "JPEG", "progressive": True},
        {"kind": "PNG"},
        {"kind": "GIF"},
        {"kind": "BMP"},
        {"kind": "TIFF"},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_truncated_files_are_refused(options, cut):
    whole = encode(np.random.default_rng(2).integers(0, 256, (48, 64, 3), np.uint8), **options)
    # Short of the trailer, which holds no pixels: 16 bytes with PNG's last checksum.
    refusal(whole[: 1 + (len(whole) - 24) * cut // 19])


@pytest.mark.parametrize(("kind", "trailer"), [("JPEG", 2), ("PNG", 30), ("GIF", 2)])
def test_a_file_cut_in_its_trailer_is_refused_or_complete(kind, trailer):
    whole = encode(NOISE, kind)
    pixels = decode(whole, "x")
    for missing in range(1, trailer + 1):
        try:
            np.testing.assert_array_equal(decode(whole[:-missing], "x"), pixels)
        except BadImage as error:
            assert error.reason


def test_too_little_pixel_data_is_refused():
    assert "truncated" in refusal(png(50, 50, pixels=b"\0" * 100))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file (0 bytes)"),
        (b"not an image\n", "a text file, not an image"),
        (b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>", "a text file, not an image"),
        (b"\xff\xd8\xff", "not an image format that is known"),
        (b"\x89PNG\r\n\x1a\n", "not an image format that is known"),
        (bytes(1000), "not an image format that is known"),
        (random.Random(0).randbytes(5000), "not an image format that is known"),
        (b"PK\3\4" + bytes(100), "not an image format that is known"),
    ],
    ids=["empty", "text", "html", "jpeg magic", "png magic", "zeros", "random", "zip"],
)
def test_what_is_no_image_is_refused_with_what_it_is(tmp_path, data, reason):
    assert refusal(data) == reason
    path = tmp_path / "image.jpg"
    path.write_bytes(data)
    assert refusal(path) == reason


def test_huge_claims_are_refused_before_any_pixel_is_read():
    # 1.2 GB of pixels claimed by 60 bytes; Pillow's own limit
    assert "expected at most 100000000 px" in refusal(png(20_000, 20_000))
    # between our limit and the one at which Pillow raises
    assert refusal(png(12_000, 10_000)) == "12000 x 10000 px, expected at most 100000000 px"
    # a real bomb: 18 MB of zeros deflate to 18 kB
    bomb = png(12_000, 12_000, depth=1, colour=0, pixels=bytes(12_000 * 1_501))
    assert len(bomb) < 20_000
    assert refusal(bomb) == "12000 x 12000 px, expected at most 100000000 px"


def test_the_limit_is_the_largest_image_that_is_read(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 6)
    assert decode(encode(NOISE[:2, :3]), "x").shape == (2, 3, 3)
    assert "7 x 1 px" in refusal(encode(NOISE[:1, :7]))


def test_pixels_without_a_range_are_refused():
    assert "floating-point" in refusal(encode(np.zeros((3, 3), np.float32), "TIFF"))


@pytest.mark.parametrize("value", [65_536, -1])
def test_integers_beyond_sixteen_bits_are_refused(value):
    assert "32-bit integer" in refusal(encode(np.array([[0, value]], np.int32), "TIFF"))


def test_a_folder_with_an_images_name_is_refused(tmp_path):
    folder = tmp_path / "folder.jpg"
    folder.mkdir()
    assert refusal(folder) == "not a regular file"


def test_a_missing_file_is_refused(tmp_path):
    assert refusal(tmp_path / "missing.jpg") == "No such file or directory"


def test_a_link_to_itself_is_refused(tmp_path):
    link = tmp_path / "loop.jpg"
    link.symlink_to("loop.jpg")
    assert "symbolic links" in refusal(link)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(tmp_path):
    path = tmp_path / "locked.png"
    path.write_bytes(encode(NOISE))
    path.chmod(0)
    assert refusal(path) == "Permission denied"


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "BMP"]),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4),
)
def test_damaged_bytes_give_pixels_or_a_refusal_and_nothing_else(kind, damages):
    data = bytearray(encode(PICTURE[:16, :16], kind))
    for place, change in damages:
        data[place % len(data)] ^= change
    try:
        pixels = decode(bytes(data), "x")
    except BadImage as error:
        assert error.name == "x"
        assert error.reason
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3


def test_a_refusal_survives_pickling():
    error = pickle.loads(pickle.dumps(BadImage("a folder/b.jpg", "truncated")))
    assert type(error) is BadImage
    assert isinstance(error, UserError)
    assert (error.name, error.reason) == ("a folder/b.jpg", "truncated")
    assert str(error) == "a folder/b.jpg: truncated"


def test_formats_that_start_other_programs_are_refused():
    with pytest.raises(BadImage, match="not an image"):
        decode(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n", "x.jpg"
        )


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.jpg")
    with pytest.raises(BadImage, match="not a regular file"):
        decode(tmp_path / "x.jpg", "x.jpg")


def test_a_name_cannot_break_a_line():
    assert str(BadImage("a\nerror: b\udcff.jpg", "empty")) == r"a\nerror: b\udcff.jpg: empty"


def test_an_end_marker_is_found_wherever_it_lies_in_a_large_jpeg():
    """Padding may stand before a marker: it moves the end to every place around a megabyte."""
    whole = encode(PICTURE, "JPEG", quality=92)
    pixels = decode(whole, "x")
    scan = whole.index(b"\xff\xda") + 14
    for place in range(2**20 - 2, 2**20 + 3):
        padding = b"\xff" * (scan + place - len(whole))
        padded = whole[:-2] + padding + whole[-2:]
        np.testing.assert_array_equal(decode(padded, "x"), pixels)
