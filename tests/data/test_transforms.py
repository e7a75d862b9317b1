"""Crops: inside the image, drawn as documented, the same picture at every resolution."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pretrain.data.transforms import (
    CROP_DRAWS,
    AugmentationConfig,
    Crop,
    apply_crop,
    central_square,
    random_crop,
)

WHOLE = Crop(top=0.0, left=0.0, height=1.0, width=1.0, flip=False)
DEFAULT = AugmentationConfig()

reproducible = settings(max_examples=200, deadline=None, derandomize=True, database=None)
share = st.floats(0, 1, exclude_max=True)
aspects = st.floats(math.log(0.02), math.log(50)).map(math.exp)
draws = st.lists(share, min_size=CROP_DRAWS, max_size=CROP_DRAWS).map(np.array)


@st.composite
def configs(draw):
    scale = sorted((draw(st.floats(0.01, 1)), draw(st.floats(0.01, 1))))
    ratio = sorted((draw(st.floats(0.2, 5)), draw(st.floats(0.2, 5))))
    return AugmentationConfig(crop_scale=tuple(scale), crop_ratio=tuple(ratio))


def many_crops(aspect, config=DEFAULT, count=20_000):
    numbers = np.random.default_rng(0).random((count, CROP_DRAWS))
    return [random_crop(row, aspect, config) for row in numbers]


def photo(height, width):
    """A smooth picture, the same at every size, with the edges of its faces and none of its noise."""
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    waves = [
        np.add.outer(np.sin(a * y + c), np.cos(b * x)) * np.outer(np.cos(c * y), np.sin(a * x + 1))
        for a, b, c in [(9, 5, 3), (4, 13, 7), (11, 3, 5)]
    ]
    return np.clip(np.stack(waves, -1) * 60 + 128, 0, 255).astype(np.uint8)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def mean_difference(first, second):
    return np.abs(np.asarray(first, dtype=int) - np.asarray(second, dtype=int)).mean()


# ------------------------------------------------------------------------------------------- the box


@reproducible
@given(draws, aspects, configs())
@example(np.full(CROP_DRAWS, np.nextafter(1, 0)), 1.0, DEFAULT)
@example(np.zeros(CROP_DRAWS), 50.0, DEFAULT)
def test_the_box_lies_inside_the_image(numbers, aspect, config):
    crop = random_crop(numbers, aspect, config)
    assert 0 < crop.height <= 1
    assert 0 < crop.width <= 1
    assert 0 <= crop.top <= crop.top + crop.height <= 1 + 1e-12
    assert 0 <= crop.left <= crop.left + crop.width <= 1 + 1e-12


@reproducible
@given(draws, aspects, configs())
def test_the_box_has_the_drawn_area_and_a_permitted_ratio_or_is_as_large_as_can_be(
    numbers, aspect, config
):
    crop = random_crop(numbers, aspect, config)
    ratio = crop.width * aspect / crop.height
    low, high = config.crop_ratio
    assert low * (1 - 1e-9) <= ratio <= high * (1 + 1e-9)
    area = config.crop_scale[0] + (config.crop_scale[1] - config.crop_scale[0]) * numbers[0]
    # A box of that area fits the image when its width / height lies between these.
    fits = max(low, area * aspect) <= min(high, aspect / area)
    if fits:
        assert crop.height * crop.width == pytest.approx(area, rel=1e-9)
    else:
        assert max(crop.height, crop.width) == pytest.approx(1, abs=1e-12)
        assert crop.height * crop.width < area
        nearest = low if aspect < low else high
        assert ratio == pytest.approx(nearest, rel=1e-9)


def assert_uniform(values):
    """Kolmogorov-Smirnov at one in a thousand, for values that should be uniform in [0, 1]."""
    ordered = np.sort(values)
    ranks = np.arange(1, len(values) + 1) / len(values)
    distance = max((ranks - ordered).max(), (ordered - ranks + 1 / len(values)).max())
    assert distance < 1.95 / math.sqrt(len(values))


def test_the_area_is_uniform_on_square_images():
    areas = np.array([crop.height * crop.width for crop in many_crops(1.0)])
    low, high = DEFAULT.crop_scale
    assert_uniform((areas - low) / (high - low))


def test_the_ratio_is_log_uniform_on_square_images_where_all_of_them_fit():
    config = AugmentationConfig(crop_scale=(0.2, 0.75))
    logs = np.array([math.log(crop.width / crop.height) for crop in many_crops(1.0, config)])
    low, high = (math.log(bound) for bound in config.crop_ratio)
    assert_uniform((logs - low) / (high - low))


def test_the_ratio_stays_permitted_on_square_images():
    ratios = np.array([crop.width / crop.height for crop in many_crops(1.0)])
    assert ratios.min() >= 0.75 - 1e-9
    assert ratios.max() <= 4 / 3 + 1e-9
    assert abs(np.log(ratios).mean()) < 0.005  # wide and tall alike


@pytest.mark.parametrize("aspect", [0.6, 1.0, 1.7])
def test_the_position_is_uniform_and_independent_of_the_size(aspect):
    crops = [c for c in many_crops(aspect) if c.height < 0.999 and c.width < 0.999]
    down = np.array([crop.top / (1 - crop.height) for crop in crops])
    right = np.array([crop.left / (1 - crop.width) for crop in crops])
    assert_uniform(down)
    assert_uniform(right)
    areas = np.array([crop.height * crop.width for crop in crops])
    for first, second in ((down, right), (down, areas), (right, areas)):
        assert abs(np.corrcoef(first, second)[0, 1]) < 4 / math.sqrt(len(crops))


@pytest.mark.parametrize("aspect", [10.0, 0.1, 3.0, 1 / 3])
def test_panoramas_are_cropped_within_the_permitted_ratios(aspect):
    for crop in many_crops(aspect, count=2_000):
        ratio = crop.width * aspect / crop.height
        assert 0.75 - 1e-9 <= ratio <= 4 / 3 + 1e-9


def test_a_panorama_is_cut_to_the_nearest_ratio_at_full_height():
    config = AugmentationConfig(crop_scale=(0.5, 1.0))
    for crop in many_crops(10.0, config, count=200):
        assert crop.height == 1
        assert crop.width == pytest.approx(4 / 3 / 10)
    lefts = [crop.left for crop in many_crops(10.0, config, count=200)]
    assert min(lefts) < 0.05
    assert max(lefts) > 0.8  # anywhere along it


@reproducible
@given(draws)
def test_scale_one_keeps_the_whole_of_a_square_image(numbers):
    crop = random_crop(numbers, 1.0, AugmentationConfig(crop_scale=(1.0, 1.0), flip=False))
    assert crop == WHOLE


@reproducible
@given(draws, st.floats(0.75, 4 / 3))
def test_scale_one_keeps_the_whole_of_an_image_of_permitted_ratio(numbers, aspect):
    config = AugmentationConfig(crop_scale=(1.0, 1.0), flip=False)
    crop = random_crop(numbers, aspect, config)
    assert (crop.height, crop.width) == pytest.approx((1, 1), abs=1e-12)
    assert (crop.top, crop.left) == pytest.approx((0, 0), abs=1e-12)


def test_half_of_the_images_are_mirrored_whatever_their_crop():
    crops = many_crops(1.0)
    flips = np.array([crop.flip for crop in crops])
    assert abs(flips.mean() - 0.5) < 4 * 0.5 / math.sqrt(len(crops))
    for field in ("top", "left", "height", "width"):
        values = np.array([getattr(crop, field) for crop in crops])
        assert abs(np.corrcoef(flips, values)[0, 1]) < 4 / math.sqrt(len(crops))


def test_nothing_is_mirrored_without_flip_and_the_box_stays():
    still = AugmentationConfig(flip=False)
    for mirrored, plain in zip(
        many_crops(1.3, count=100), many_crops(1.3, still, count=100), strict=True
    ):
        assert not plain.flip
        assert (mirrored.top, mirrored.left, mirrored.height, mirrored.width) == (
            plain.top,
            plain.left,
            plain.height,
            plain.width,
        )


@pytest.mark.parametrize(
    ("aspect", "box"),
    [(1.0, (0, 0, 1, 1)), (2.0, (0, 0.25, 1, 0.5)), (0.5, (0.25, 0, 0.5, 1))],
)
def test_the_central_square_is_the_largest_in_the_middle(aspect, box):
    crop = central_square(aspect)
    assert (crop.top, crop.left, crop.height, crop.width) == pytest.approx(box)
    assert not crop.flip


# --------------------------------------------------------------------------------------- the pixels


def restated(image, crop, size):
    """The same with Pillow: cut at whole pixels, bicubic resize, mirror."""
    rows, columns = image.shape[:2]
    top = min(round(crop.top * rows), rows - 1)
    left = min(round(crop.left * columns), columns - 1)
    bottom = max(min(round((crop.top + crop.height) * rows), rows), top + 1)
    right = max(min(round((crop.left + crop.width) * columns), columns), left + 1)
    cut = Image.fromarray(image).crop((left, top, right, bottom))
    resized = np.asarray(cut.resize((size, size), Image.Resampling.BICUBIC))
    return (resized[:, ::-1] if crop.flip else resized).transpose(2, 0, 1)


@pytest.mark.parametrize("make", [photo, noise])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (90, 61), (30, 200), (17, 19)])
def test_pixels_agree_with_pillows_crop_and_resize(make, height, width):
    image = make(height, width)
    for crop in many_crops(width / height, count=12):
        result = apply_crop(image, crop, 32)
        assert mean_difference(result, restated(image, crop, 32)) < 0.5


@reproducible
@given(draws, st.integers(1, 40), st.integers(1, 40), st.integers(1, 24))
def test_any_size_of_image_works(numbers, height, width, size):
    image = noise(height, width)
    crop = random_crop(numbers, width / height, DEFAULT)
    result = apply_crop(image, crop, size)
    assert result.dtype == torch.uint8
    assert result.shape == (3, size, size)
    assert mean_difference(result, restated(image, crop, size)) < 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (1, 500), (500, 1)])
def test_images_of_one_pixel_or_line_work(height, width):
    image = noise(height, width)
    for crop in (WHOLE, central_square(width / height), *many_crops(width / height, count=20)):
        result = apply_crop(image, crop, 16)
        assert result.shape == (3, 16, 16)
        if (height, width) == (1, 1):
            np.testing.assert_array_equal(
                result, np.broadcast_to(image.reshape(3, 1, 1), result.shape)
            )


def test_the_whole_image_at_its_own_size_is_exact():
    image = noise(32, 32)
    np.testing.assert_array_equal(apply_crop(image, WHOLE, 32), image.transpose(2, 0, 1))


def test_a_box_of_the_wanted_size_is_cut_out_exactly():
    image = noise(40, 50)
    crop = Crop(top=5 / 40, left=11 / 50, height=16 / 40, width=16 / 50, flip=False)
    expected = image[5:21, 11:27].transpose(2, 0, 1)
    np.testing.assert_array_equal(apply_crop(image, crop, 16), expected)


def test_a_plain_colour_stays():
    image = np.full((33, 47, 3), (255, 0, 128), np.uint8)
    for crop in many_crops(47 / 33, count=20):
        result = apply_crop(image, crop, 24)
        np.testing.assert_array_equal(
            result, np.full((24, 24, 3), (255, 0, 128)).transpose(2, 0, 1)
        )


@pytest.mark.parametrize(("height", "width"), [(40, 50), (24, 24)])
def test_flip_is_a_mirror(height, width):
    image = noise(height, width)
    straight = apply_crop(image, WHOLE, 24)
    mirrored = apply_crop(image, Crop(0.0, 0.0, 1.0, 1.0, True), 24)
    assert torch.equal(mirrored, straight.flip(-1))
    assert not torch.equal(mirrored, straight)


def test_the_image_itself_stays_as_it_is():
    image = noise(24, 24)
    before = image.copy()
    for flip in (False, True):
        apply_crop(image, Crop(0.0, 0.0, 1.0, 1.0, flip), 24)
        apply_crop(image, Crop(0.1, 0.2, 0.5, 0.5, flip), 24)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(("height", "width"), [(512, 512), (640, 512), (400, 700)])
def test_the_same_draws_show_the_same_part_of_a_smaller_copy(height, width):
    image = photo(height, width)
    shrink = 256 / min(height, width)
    small = Image.fromarray(image).resize(
        (round(width * shrink), round(height * shrink)), Image.Resampling.BICUBIC
    )
    packed = np.asarray(small).copy()
    for numbers in np.random.default_rng(1).random((12, CROP_DRAWS)):
        full = random_crop(numbers, width / height, DEFAULT)
        less = random_crop(numbers, packed.shape[1] / packed.shape[0], DEFAULT)
        assert (less.top, less.left, less.height, less.width) == pytest.approx(
            (full.top, full.left, full.height, full.width), abs=2 / 256
        )
        assert less.flip == full.flip
        first, second = apply_crop(image, full, 64), apply_crop(packed, less, 64)
        assert mean_difference(first, second) < 1.5
        other = random_crop(1 - numbers, width / height, DEFAULT)
        if abs(other.top - full.top) + abs(other.left - full.left) > 0.1:
            # so the bound above tells one box from another
            assert mean_difference(first, apply_crop(image, other, 64)) > 3


# ------------------------------------------------------------------------------------------- config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("crop_scale", (0.0, 1.0)),
        ("crop_scale", (-0.5, 1.0)),
        ("crop_scale", (0.2, 1.5)),
        ("crop_scale", (0.9, 0.2)),
        ("crop_scale", (float("nan"), 1.0)),
        ("crop_ratio", (0.0, 1.0)),
        ("crop_ratio", (-1.0, 1.0)),
        ("crop_ratio", (2.0, 0.5)),
        ("crop_ratio", (0.5, float("nan"))),
    ],
)
def test_ranges_that_are_empty_or_reversed_are_refused_by_field_and_value(field, value):
    with pytest.raises(ValueError, match="expected 0 < low <= high") as caught:
        AugmentationConfig(**{field: value})
    assert str(caught.value).startswith(f"{field} {value}, ")


def test_a_range_of_one_value_is_taken():
    config = AugmentationConfig(crop_scale=(0.25, 0.25), crop_ratio=(1.0, 1.0))
    for crop in many_crops(1.0, config, count=50):
        assert (crop.height, crop.width) == pytest.approx((0.5, 0.5))


def test_a_read_only_image_is_cropped_without_a_warning(recwarn):
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    crop = Crop(top=0.1, left=0.2, height=0.5, width=0.5, flip=False)
    expected = apply_crop(image, crop, 10)
    image.flags.writeable = False
    torch.testing.assert_close(apply_crop(image, crop, 10), expected, rtol=0, atol=0)
    same_size = apply_crop(image, Crop(top=0, left=0, height=1, width=2 / 3, flip=False), 20)
    same_size += 1  # the result is the caller's own
    assert not recwarn.list
