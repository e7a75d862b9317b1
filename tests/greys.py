"""Grey images whose labels follow from their numbers, for tests of what batches hold."""

import numpy as np

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
