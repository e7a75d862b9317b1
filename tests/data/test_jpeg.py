"""Plain JPEGs without Pillow: the same pixels, and nothing that asks for a closer look."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pretrain.data.jpeg import decode_plain

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def plain(data, max_pixels=10_000):
    return decode_plain(data, max_pixels)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 50),
    smooth=st.integers(1, 8),
    mode=st.sampled_from(["RGB", "L"]),
    options=st.fixed_dictionaries(
        {
            "quality": st.integers(1, 100),
            "subsampling": st.integers(0, 2),
            "progressive": st.booleans(),
            "optimize": st.booleans(),
            "restart_marker_blocks": st.sampled_from([0, 3]),
            "icc_profile": st.sampled_from([None, b"profile" * 9]),
        }
    ),
)
def test_its_pixels_are_those_of_pillow(rows, columns, smooth, mode, options):
    small = Image.fromarray(PIXELS[: -(-rows // smooth), : -(-columns // smooth)])
    data = encoded(small.resize((columns, rows)).convert(mode), **options)
    found = plain(data)
    assert found is not None
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))


def exif(orientation):
    found = Image.Exif()
    found[0x0112] = orientation
    return found


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.fromarray(PIXELS), exif=exif(6)),
        encoded(Image.fromarray(PIXELS), xmp=b"<x:xmpmeta tiff:Orientation='6'/>"),
        encoded(Image.fromarray(PIXELS).convert("CMYK")),
        encoded(Image.fromarray(PIXELS), keep_rgb=True),
        encoded(Image.fromarray(PIXELS)).replace(b"\xff\xd8\xff", b"\xff\xd8\x00", 1),
        b"\xff\xd8\xff",
        b"",
    ],
    ids=["exif", "xmp", "cmyk", "rgb", "no jpeg", "three bytes", "nothing"],
)
def test_what_is_more_than_plain_is_left_to_pillow(data):
    assert plain(data) is None


def test_a_sampling_that_the_library_has_no_name_for_is_left_to_pillow():
    data = encoded(Image.fromarray(PIXELS), subsampling=0)
    frame = data.index(b"\xff\xc0")
    data = bytearray(data)
    assert data[frame + 11] == 0x11
    data[frame + 11] = 0x14  # luma four times as high as chroma
    assert plain(bytes(data)) is None


def test_a_fill_byte_hides_no_segment():
    plainly = encoded(Image.fromarray(PIXELS))
    assert plain(plainly[:2] + b"\xff" + plainly[2:]) is None
    assert plain(plainly[:2] + b"\xff\x01" + plainly[2:]) is None


def test_large_ones_are_not_decoded():
    data = encoded(Image.fromarray(PIXELS))
    assert plain(data, 2000) is not None
    assert plain(data, 1999) is None


def test_a_part_of_the_file_is_not_taken_for_the_whole():
    thumbnail = encoded(Image.fromarray(PIXELS[:8, :8]))
    segment = b"\xff\xed" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = encoded(Image.fromarray(PIXELS))
    whole = whole[:2] + segment + whole[2:]  # a thumbnail has an end marker of its own
    assert plain(whole) is not None
    for kept in range(0, len(whole) - 2, 7):
        assert plain(whole[:kept]) is None
        assert plain(whole[:kept] + bytes(len(whole) - kept)) is None
