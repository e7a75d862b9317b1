"""Mixtures: how often an image is listed, where it comes from, which copies are partial."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.data.mixture import Mixture
from pretrain.data.order import sample_ids
from pretrain.data.sources import Source, SourceError


class Numbers(Source):
    """Images painted with their index, plus a base."""

    def __init__(self, count, base=0, names=None):
        self.base = base
        self.names = names or [f"{index}.png" for index in range(count)]

    def image(self, index):
        assert 0 <= index < len(self.names)
        return np.full((1, 1, 3), self.base + index, np.uint8)

    def aspect(self, index):
        return None if index == 0 else float(self.base + index)


def values(source):
    return [int(source.image(index)[0, 0, 0]) for index in range(len(source.names))]


def test_weights_are_passes_over_a_source():
    mixture = Mixture([(Numbers(2), 1), (Numbers(2, 10), 2.5), (Numbers(3, 20), 0.5)])
    assert values(mixture) == [0, 1, 10, 11, 10, 11, 10, 11, 20, 21, 22]
    assert list(mixture.names) == [
        *("0/0.png", "0/1.png"),
        *("1/0.png", "1/1.png") * 3,
        *("2/0.png", "2/1.png", "2/2.png"),
    ]
    assert mixture.partial == ((range(6, 8), 0.5), (range(8, 11), 0.5))


def test_whole_weights_have_no_partial_copy():
    assert Mixture([(Numbers(3), 1), (Numbers(2), 3.0)]).partial == ()


def test_aspects_are_those_of_the_sources():
    mixture = Mixture([(Numbers(2), 1), (Numbers(2, 10), 2)])
    assert [mixture.aspect(i) for i in range(6)] == [None, 1.0, None, 11.0, None, 11.0]


def test_equal_names_are_different_samples():
    names = ["a.png", "a.png", "b.png"]
    mixture = Mixture([(Numbers(3, 0, names), 2), (Numbers(3, 10, names), 1.5)])
    assert len(set(sample_ids(mixture.names).tolist())) == len(mixture.names) == 12


def test_mixtures_can_be_mixed():
    inner = Mixture([(Numbers(1), 1), (Numbers(1, 5), 1)])
    outer = Mixture([(Numbers(1, 9), 1), (inner, 2)])
    assert list(outer.names) == ["0/0.png", "1/0/0.png", "1/1/0.png", "1/0/0.png", "1/1/0.png"]
    assert values(outer) == [9, 0, 5, 0, 5]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.75])), min_size=1)
)
def test_the_copies_follow_each_other_without_a_gap(parts):
    sources = [Numbers(count, 10 * number) for number, (count, _) in enumerate(parts[:20])]
    kept = [
        (source, weight)
        for source, (_, weight) in zip(sources, parts, strict=False)
        if weight * len(source.names) >= 1
    ]
    if not kept:
        return
    mixture = Mixture(kept)
    expected = []
    for source, weight in kept:
        expected += values(source) * int(np.ceil(weight))
    assert values(mixture) == expected
    taken = len(mixture.names) - sum(len(copy) * (1 - share) for copy, share in mixture.partial)
    assert taken == pytest.approx(sum(weight * len(source.names) for source, weight in kept))
    for copy, share in mixture.partial:
        assert 0 < share < 1
        assert len({mixture.names[index].split("/")[0] for index in copy}) == 1


@pytest.mark.parametrize("weight", [0, -1, -0.5, 0.1])
def test_a_weight_that_takes_no_image_is_refused(weight):
    with pytest.raises(SourceError) as caught:
        Mixture([(Numbers(1), 1), (Numbers(4), weight)])
    message = str(caught.value)
    assert message.startswith(f"mixture: weight {weight} takes none of the 4 images of part 1")
    assert "\n" not in message
