"""Behaviour of the images without faces."""

from collections import Counter

import numpy as np
import pytest

from pretrain.data.non_faces import KINDS, NonFaces, NonFacesConfig
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces


def test_image_depends_on_seed_and_index_alone() -> None:
    first, second = NonFaces(NonFacesConfig(count=50)), NonFaces(NonFacesConfig(count=90))
    images = {i: first.image(i) for i in range(20)}
    for i in (13, 2, 19, 0):
        np.testing.assert_array_equal(second.image(i), images[i])
    other = NonFaces(NonFacesConfig(count=50, seed=1)).image(0)
    assert not np.array_equal(other, images[0])
    assert len({image.tobytes() for image in images.values()}) == 20


@pytest.mark.parametrize("size", [32, 33, 64, 112, 224])
def test_every_kind_at_every_size_gives_rgb_bytes_with_contrast(size: int) -> None:
    images = NonFaces(NonFacesConfig(count=40, size=size))
    seen = set()
    for i in range(24):
        image = images.image(i)
        seen.add(images.kind(i))
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8
        assert image.std() > 4
    assert seen == set(KINDS)


def test_half_are_dead_leaves() -> None:
    images = NonFaces(NonFacesConfig(count=1000))
    counts = Counter(images.kind(i) for i in range(1000))
    assert 430 < counts["leaves"] < 570
    assert min(counts.values()) > 100


def test_names_are_unique_and_slice_like_a_list() -> None:
    names = NonFaces(NonFacesConfig(count=1_000_000)).names
    assert len(names) == 1_000_000
    assert names[-1] == "n0999999"
    assert names[2:4] == ["n0000002", "n0000003"]
    assert len(set(NonFaces(NonFacesConfig(count=500)).names)) == 500
    with pytest.raises(IndexError):
        names[1_000_000]


def symmetry(image: np.ndarray) -> float:
    """Correlation of an image with its mirror image."""
    grey = image.astype(float).mean(-1)
    return float(np.corrcoef(grey.ravel(), grey[:, ::-1].ravel())[0, 1])


def test_faces_are_symmetric_and_non_faces_are_not() -> None:
    nothing = NonFaces(NonFacesConfig(count=60))
    faces = SyntheticFaces(SyntheticConfig(count=60, style="posed"))
    assert np.median([symmetry(faces.image(i)) for i in range(60)]) > 0.6
    assert abs(np.median([symmetry(nothing.image(i)) for i in range(60)])) < 0.2


@pytest.mark.parametrize(
    ("name", "value"), [("count", 0), ("size", 16), ("size", 64.0), ("seed", -3)]
)
def test_a_refused_value_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name} {value!r}, expected "):
        NonFacesConfig(**{name: value})  # type: ignore[arg-type]
