"""Images that two lists share under other names: which are found, how many were compared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encoded, listed

from finetune.data.images import LabelledImages
from finetune.data.look_alikes import LookAlike, Looks, likenesses, look_at
from finetune.data.synthetic import annotate
from pretrain.data.packing.near_duplicates import THRESHOLD
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces

reproducible = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def compared(first, second, most=100):
    (found,) = likenesses({"train": look_at(first, most), "test": look_at(second, most)})
    return found


def test_equal_files_and_pictures_that_look_alike_are_found(tmp_path):
    first = {f"t/{number}.png": encoded(number) for number in range(6)}
    first["again.png"] = encoded(4)
    second = {
        "new.png": encoded(100),
        "copy.png": encoded(4),
        "smaller.png": encoded(2, side=48),
        "photo.jpg": encoded(5, kind="JPEG"),
    }
    found = compared(listed(tmp_path / "a", first), listed(tmp_path / "b", second))
    assert (found.one, found.other) == ("train", "test")
    assert (found.compared, found.of) == ((7, 4), (7, 4))
    assert [(p.image, p.like, p.same_file) for p in found.pairs] == [
        ("copy.png", "t/4.png", True),
        ("smaller.png", "t/2.png", False),
        ("photo.jpg", "t/5.png", False),
    ]
    assert found.pairs[0].bits == 0
    assert all(pair.bits <= THRESHOLD for pair in found.pairs)


def test_the_lines_name_the_nearest_and_how_many_were_compared(tmp_path):
    first = {f"t/{number}.png": encoded(number) for number in range(6)}
    second = {f"v/{number}.png": encoded(number) for number in range(2, 7)}
    found = compared(listed(tmp_path / "a", first), listed(tmp_path / "b", second))
    assert found.line(same_file=True) == (
        "images of test that are files of train: 4 (v/2.png = t/2.png; v/3.png = t/3.png;"
        " v/4.png = t/4.png; ...); compared 5 of 5 with 6 of 6"
    )
    assert found.line(same_file=False) == ""
    pairs = (
        LookAlike(image="b", like="y", same_file=False, bits=9),
        LookAlike(image="a", like="x", same_file=False, bits=3),
    )
    like = type(found)(one="o", other="p", compared=(2000, 5), of=(30_000, 6), pairs=pairs)
    assert like.line(same_file=False) == (
        "images of p that look like images of o: 2 (a ~ x, 3 bits apart; b ~ y, 9 bits apart);"
        " compared 5 of 6 with 2,000 of 30,000"
    )


def test_absent_and_unreadable_images_are_left_out_and_repeated_ones_count_once(tmp_path):
    files = {
        "a.png": encoded(0),
        "gone.png": None,
        "torn.png": encoded(1)[:200],
        "text.png": b"no image\n",
        "b.png": encoded(2),
    }
    images = listed(tmp_path, files, "a.png", "gone.png", "b.png")
    found = look_at(images, 100)
    assert found.names == ("a.png", "b.png")
    assert (len(found), found.of) == (2, 4)
    assert compared(images, listed(tmp_path / "none", {"x.png": None})).pairs == ()
    assert compared(listed(tmp_path / "none", {"x.png": None}), images).compared == (0, 2)


@pytest.mark.parametrize(
    ("most", "expected"), [(3, [0, 3, 6]), (4, [0, 2, 5, 7]), (10, range(10)), (0, [])]
)
def test_a_bounded_number_is_looked_at_evenly_spaced(tmp_path, most, expected):
    images = listed(tmp_path, {f"{number}.png": encoded(number) for number in range(10)})
    found = look_at(images, most)
    assert found.names == tuple(f"{number}.png" for number in expected)
    assert found.of == 10


def test_images_without_files_are_compared_by_their_pixels():
    first, second = (
        SyntheticFaces(SyntheticConfig(count=3, size=48, subjects=3, seed=seed)) for seed in (0, 1)
    )
    ours, theirs = (LabelledImages(source, annotate(source)) for source in (first, second))
    assert [pair.same_file for pair in compared(ours, ours).pairs] == [True] * 3
    assert not any(pair.same_file for pair in compared(ours, theirs).pairs)


def looks(hashes):
    names = tuple(f"{place}" for place in range(len(hashes)))
    files = tuple(name.encode() for name in names)
    return Looks(names, files, np.array(hashes, np.uint8).reshape(-1, 32), len(hashes))


def flipped(hash_, positions):
    bits = np.unpackbits(hash_)
    bits[positions] ^= 1
    return np.packbits(bits)


@reproducible
@given(st.integers(0, 2**32), st.integers(0, 12), st.integers(0, 12))
def test_each_is_paired_with_the_first_of_the_nearest(seed, ours, theirs):
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 256, 32, dtype=np.uint8)
    others = [
        flipped(start, rng.choice(256, rng.integers(0, 24), replace=False)) for _ in range(theirs)
    ]
    images = [
        flipped(start, rng.choice(256, rng.integers(0, 24), replace=False)) for _ in range(ours)
    ]
    (found,) = likenesses({"one": looks(others), "other": _renamed(looks(images))})
    expected = []
    for row, image in enumerate(images):
        bits = [int(np.unpackbits(image ^ other).sum()) for other in others]
        if bits and min(bits) <= THRESHOLD:
            expected.append((f"x{row}", str(bits.index(min(bits))), min(bits)))
    assert [(p.image, p.like, p.bits) for p in found.pairs] == expected


def _renamed(found):
    names = tuple(f"x{name}" for name in found.names)
    return Looks(names, tuple(b"x" + file for file in found.files), found.hashes, found.of)


def test_a_nearer_picture_of_its_own_list_hides_none_of_the_other():
    start = np.zeros(32, np.uint8)
    film = [flipped(start, range(6, 6 + frame)) for frame in range(8)]
    other = flipped(start, range(5))
    (found,) = likenesses({"one": looks([other]), "other": _renamed(looks(film))})
    assert [pair.bits for pair in found.pairs] == list(range(5, 13))


def test_more_images_than_are_compared_at_once_lose_none():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (2500, 32), dtype=np.uint8)
    (found,) = likenesses({"one": looks(hashes[::-1]), "other": _renamed(looks(hashes))})
    assert [(p.image, p.like, p.bits) for p in found.pairs] == [
        (f"x{row}", str(2499 - row), 0) for row in range(2500)
    ]


def test_every_two_lists_are_compared(tmp_path):
    same = look_at(listed(tmp_path, {"a.png": encoded(0)}), 1)
    found = likenesses({"train": same, "validation": same, "test": same})
    assert [(f.one, f.other, len(f.pairs)) for f in found] == [
        ("train", "validation", 1),
        ("train", "test", 1),
        ("validation", "test", 1),
    ]
