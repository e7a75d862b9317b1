"""Drawn faces by index: determinism, names, splits, sizes."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces
from pretrain.data.synthetic.config import SPLITS, STYLES
from pretrain.data.synthetic.subjects import subject


def test_image_state_and_labels_depend_on_the_index_alone() -> None:
    config = SyntheticConfig(count=300, subjects=40, seed=3)
    first, second = SyntheticFaces(config), SyntheticFaces(config)
    order = np.random.default_rng(0).permutation(40).tolist()
    before = {i: (first.image(i), first.labels(i), first.state(i)) for i in range(40)}
    subject.cache_clear()
    for i in order:
        labels, image = second.labels(i), second.image(i)
        np.testing.assert_array_equal(image, before[i][0])
        assert labels == before[i][1]
        np.testing.assert_array_equal(second.state(i).action_units, before[i][2].action_units)


def test_a_longer_list_and_another_size_keep_the_same_people_and_labels() -> None:
    config = SyntheticConfig(count=50)
    small, large = SyntheticFaces(config), SyntheticFaces(replace(config, count=5000, size=96))
    assert list(small.names) == large.names[:50]
    assert [small.labels(i) for i in range(50)] == [large.labels(i) for i in range(50)]
    np.testing.assert_array_equal(small.image(7), SyntheticFaces(replace(config, count=9)).image(7))


def test_global_random_state_is_neither_used_nor_touched(faces: SyntheticFaces) -> None:
    np.random.seed(1)  # noqa: NPY002
    first = faces.image(5)
    after = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert after == np.random.random()  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(first, faces.image(5))


def test_different_indices_seeds_and_splits_give_different_images(faces: SyntheticFaces) -> None:
    images = {faces.image(i).tobytes() for i in range(60)}
    images |= {SyntheticFaces(SyntheticConfig(count=9, seed=s)).image(0).tobytes() for s in (1, 2)}
    images |= {SyntheticFaces(SyntheticConfig(count=9, split=s)).image(0).tobytes() for s in SPLITS}
    assert len(images) == 60 + 2 + len(SPLITS) - 1  # the pretrain split is already there


def test_negative_and_outside_indices_behave_like_a_list(faces: SyntheticFaces) -> None:
    np.testing.assert_array_equal(faces.image(-1), faces.image(len(faces) - 1))
    with pytest.raises(IndexError):
        faces.image(len(faces))


def test_splits_share_no_subject_and_names_are_unique() -> None:
    seen: dict[str, str] = {}
    for split in SPLITS:
        faces = SyntheticFaces(SyntheticConfig(count=2000, subjects=100, split=split))
        assert len(set(faces.names)) == len(faces) == 2000
        for name in faces.names:
            assert seen.setdefault(name.split("/")[0], split) == split
    assert len(seen) == 5 * 100  # and every subject is used
    looks = {repr(subject(0, int(name[1:])).look) for name in seen}
    assert len(looks) == len(seen)


def test_name_and_label_agree_on_the_subject(faces: SyntheticFaces) -> None:
    for i in range(20):
        assert faces.names[i] == f"{faces.labels(i)['subject']}/{i:07d}"


def test_names_of_a_million_images_are_cheap_sequences() -> None:
    names = SyntheticFaces(SyntheticConfig(count=1_000_000)).names
    assert len(names) == 1_000_000
    assert names[-1] == names[999_999] == names[999_990:][-1]


@pytest.mark.parametrize("style", STYLES)
def test_every_size_gives_rgb_bytes_with_contrast(style: str) -> None:
    for size in (32, 48, 64, 80, 96, 112, 160, 224):
        faces = SyntheticFaces(SyntheticConfig(count=500, size=size, style=style, seed=size))
        for i in (0, 1):
            image = faces.image(i)
            assert image.shape == (size, size, 3)
            assert image.dtype == np.uint8
            assert image.flags.writeable
            assert image.std() > 15


def test_images_are_not_dominated_by_nuisance_free_corners(faces: SyntheticFaces) -> None:
    images = np.stack([faces.image(i) for i in range(80)]).astype(float)
    assert images.std((1, 2, 3)).min() > 10
    assert images.std(0).mean() > 20  # images differ from one another everywhere


def test_a_copy_in_another_process_draws_the_same(faces: SyntheticFaces) -> None:
    copy = pickle.loads(pickle.dumps(faces))
    np.testing.assert_array_equal(copy.image(3), faces.image(3))
    assert list(copy.names) == list(faces.names)
