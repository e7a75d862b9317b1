"""Labels stay with their images, whatever is done to the images."""

import numpy as np
import pytest
import torch
from greys import faces

from pretrain.data.colour import ColourConfig


def test_each_image_has_its_own_labels() -> None:
    batch = faces()[0, np.array([7, 2, 11])]
    assert batch.images[:, 0, 0, 0].tolist() == [70, 20, 110]
    assert batch.labels.valence_arousal[:, 0].tolist() == pytest.approx([0.35, 0.1, 0.55])
    assert batch.labels.valence_arousal_valid.tolist() == [[True, True], [True, True], [True, True]]
    assert batch.labels.expression.tolist() == [7, 2, 3]
    assert batch.labels.action_units[:, 0].tolist() == [1, 0, 1]
    assert batch.labels.expression_votes.argmax(1).tolist() == [7, 2, 3]


def test_a_replacement_brings_its_own_label() -> None:
    batch = faces(bad=(2, 3))[0, np.array([2, 5])]
    assert batch.images[:, 0, 0, 0].tolist() == [40, 50]
    assert batch.labels.expression.tolist() == [4, 5]
    assert batch.labels.valence_arousal[:, 0].tolist() == pytest.approx([0.2, 0.25])
    assert [name for name, _ in batch.bad] == ["2.png", "3.png"]


def test_no_vote_is_given_where_there_is_no_label() -> None:
    batch = faces()[0, np.array([5])]
    assert not batch.labels.expression_valid[0]
    assert batch.labels.expression_votes.sum() == 0


def test_colours_depend_on_the_epoch_and_not_on_the_batch() -> None:
    jittered = faces(colour=ColourConfig(probability=1.0))
    alone = jittered[1, np.array([6])].images[0]
    among = jittered[1, np.array([3, 6, 1])].images[1]
    assert torch.equal(alone, among)
    assert not torch.equal(alone, jittered[2, np.array([6])].images[0])


def test_views_are_masked_independently_and_alike_in_every_batch() -> None:
    masked = faces(masks=(2, 16))
    noise = masked[0, np.array([4, 8])].noise
    assert noise is not None
    assert noise.shape == (2, 2, 16)
    assert not torch.equal(noise[:, 0], noise[:, 1])
    again = masked[0, np.array([8])].noise
    assert again is not None
    assert torch.equal(again[0], noise[1])
