"""Difference hashes and the search for close ones, against comparing every pair."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pretrain.data.packing.near_duplicates import THRESHOLD, difference_hash, near_pairs
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces


def bits(one, other):
    return sum(bin(a ^ b).count("1") for a, b in zip(one, other, strict=True))


def flipped(hash_, positions):
    value = np.unpackbits(np.asarray(hash_, np.uint8))
    value[list(positions)] ^= 1
    return np.packbits(value)


def pairs(hashes):
    return [tuple(map(int, pair)) for pair in zip(*near_pairs(np.array(hashes)), strict=True)]


def face(index):
    faces = SyntheticFaces(SyntheticConfig(count=50, size=128, subjects=50))
    return Image.fromarray(faces.image(index))


def test_a_gradient_has_the_hash_known_by_hand():
    ramp = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (128, 1))
    rises_to_the_right = Image.fromarray(np.repeat(ramp[..., None], 3, axis=2))
    assert difference_hash(rises_to_the_right) == b"\xff" * 16 + b"\x00" * 16
    assert difference_hash(rises_to_the_right.transpose(Image.Transpose.ROTATE_270)) == (
        b"\x00" * 16 + b"\xff" * 16
    )
    assert difference_hash(Image.new("RGB", (50, 70), "red")) == bytes(32)


@pytest.mark.parametrize("change", ["jpeg", "smaller", "larger", "grey", "brighter"])
def test_a_changed_copy_of_a_face_is_near_and_other_faces_are_not(change):
    def altered(image):
        stream = BytesIO()
        image.save(stream, "JPEG", quality=60)
        return {
            "jpeg": lambda: Image.open(stream),
            "smaller": lambda: image.resize((77, 77)),
            "larger": lambda: image.resize((200, 200)),
            "grey": lambda: image.convert("L").convert("RGB"),
            "brighter": lambda: image.point(lambda value: min(255, value + 8)),
        }[change]()

    hashes = [difference_hash(face(index)) for index in range(12)]
    for index, own in enumerate(hashes):
        copy = difference_hash(altered(face(index)))
        assert bits(copy, own) <= THRESHOLD
        assert all(bits(copy, o) > THRESHOLD for i, o in enumerate(hashes) if i != index)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 40), st.sampled_from([0, 1, 5, 11]))
def test_every_pair_up_to_eleven_bits_apart_is_found(seed, count, apart):
    rng = np.random.default_rng(seed)
    hashes = [rng.integers(0, 256, 32, dtype=np.uint8)]
    while len(hashes) < count:
        if rng.random() < 0.5:
            near = hashes[rng.integers(len(hashes))]
            hashes.append(flipped(near, rng.choice(256, apart, replace=False)))
        else:
            hashes.append(rng.integers(0, 256, 32, dtype=np.uint8))
    found = {later: (earlier, distance) for later, earlier, distance in pairs(hashes)}
    for later in range(count):
        distances = [bits(hashes[later], hashes[earlier]) for earlier in range(later)]
        if distances and min(distances) <= 11:
            earlier, distance = found[later]
            assert distance == min(distances)
            assert distances[earlier] == distance
        elif later in found:
            earlier, distance = found[later]
            assert distance == distances[earlier] <= THRESHOLD


def test_the_threshold_is_the_last_distance_that_counts():
    start = np.zeros(32, np.uint8)
    one_band = range(0, 256, 12)
    inside, outside = (flipped(start, one_band[:bits]) for bits in (THRESHOLD, THRESHOLD + 1))
    assert pairs([start, inside]) == [(1, 0, THRESHOLD)]
    assert pairs([start, outside]) == []


def test_equal_hashes_are_paired_with_the_first_and_the_list_stays_linear():
    same = np.full((5000, 32), 77, np.uint8)
    assert pairs(same) == [(later, 0, 0) for later in range(1, 5000)]
    assert pairs(same[:1]) == []


def test_an_earlier_picture_is_nearer_than_the_first_of_its_kind():
    start = np.zeros(32, np.uint8)
    hashes = [start, flipped(start, range(8)), flipped(start, range(9)), start]
    assert pairs(hashes) == [(1, 0, 8), (2, 1, 1), (3, 0, 0)]


def test_a_film_of_many_frames_gives_a_pair_a_frame():
    rng, frame, film = np.random.default_rng(0), np.zeros(32, np.uint8), []
    for _ in range(20_000):
        frame = flipped(frame, rng.choice(256, 2, replace=False))
        film.append(frame)
    found = pairs(film)
    assert 19_900 < len(found) < 20_000
    assert all(earlier < later for later, earlier, _ in found)
