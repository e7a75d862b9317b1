"""Labels stay with their images, whatever is done to the images."""

import numpy as np
import pytest
import torch

from finetune.batches import LabelledFaces
from finetune.labels import ACTION_UNIT_SPACES, EXPRESSION_SPACES, Targets
from pretrain.data.colour import ColourConfig
from pretrain.data.images import BadImage, Pixels
from pretrain.data.sources import Source
from pretrain.data.transforms import AugmentationConfig

COUNT = 12
WHOLE = AugmentationConfig(crop_scale=(1, 1), crop_ratio=(1, 1), flip=False)


class Grey(Source):
    """Image i is as grey as i; some cannot be read."""

    def __init__(self, bad: tuple[int, ...] = ()) -> None:
        self.names, self.bad = [f"{index}.png" for index in range(COUNT)], bad

    def image(self, index: int) -> Pixels:
        if index in self.bad:
            raise BadImage(self.names[index], "broken")
        return np.full((16, 16, 3), 10 * index, np.uint8)


def targets() -> Targets:
    """The valence of image i is i / 20, its expression i modulo 8, its AU1 whether i is odd."""
    n = np.arange(COUNT)
    units = np.zeros((COUNT, 12), np.int64)
    units[:, 0] = n % 2
    return Targets(
        valence_arousal=np.stack([n / 20, -n / 20], 1),
        valence_arousal_valid=np.stack([n % 3 > 0, n % 4 > 0], 1),
        expression=n % 8,
        expression_valid=n % 5 > 0,
        action_units=units,
        action_units_valid=np.ones((COUNT, 12), np.bool_),
        expression_space=EXPRESSION_SPACES["aff_wild2_8"],
        action_unit_space=ACTION_UNIT_SPACES["aff_wild2_12"],
    )


def faces(bad: tuple[int, ...] = (), **options: object) -> LabelledFaces:
    known = {"augmentation": WHOLE, "colour": ColourConfig()} | options
    return LabelledFaces(Grey(bad), targets(), described="greys", seed=3, image_size=16, **known)


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
    masked = faces(views=2, num_patches=16)
    noise = masked[0, np.array([4, 8])].noise
    assert noise is not None
    assert noise.shape == (2, 2, 16)
    assert not torch.equal(noise[:, 0], noise[:, 1])
    again = masked[0, np.array([8])].noise
    assert again is not None
    assert torch.equal(again[0], noise[1])
