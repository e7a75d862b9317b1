"""Colour jitter: a function of its numbers, and nothing else."""

import numpy as np
import pytest
import torch

from pretrain.data.colour import ColourConfig, jitter_colours

IMAGE = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8))
ALWAYS = ColourConfig(probability=1.0)


def test_the_middle_of_every_range_changes_nothing() -> None:
    draws = np.array([0.0, 0.5, 0.5, 0.5, 0.5])
    assert (jitter_colours(IMAGE, draws, ALWAYS).int() - IMAGE.int()).abs().max() <= 1


def test_brightness_is_a_factor() -> None:
    draws = np.array([0.0, 1.0, 0.5, 0.5, 0.5])
    only = ColourConfig(probability=1.0, contrast=0, saturation=0, hue=0)
    expected = (IMAGE.double() * 1.4).clamp(max=255)
    assert (jitter_colours(IMAGE, draws, only).double() - expected).abs().max() <= 1


def test_the_first_number_decides_whether() -> None:
    draws = np.array([0.3, 1.0, 1.0, 1.0, 1.0])
    assert torch.equal(jitter_colours(IMAGE, draws, ColourConfig(probability=0.3)), IMAGE)
    assert not torch.equal(jitter_colours(IMAGE, draws, ColourConfig(probability=0.31)), IMAGE)


def test_the_image_that_is_given_stays_as_it_is() -> None:
    before = IMAGE.clone()
    jitter_colours(IMAGE, np.array([0.0, 0.9, 0.9, 0.9, 0.9]), ALWAYS)
    assert torch.equal(IMAGE, before)


@pytest.mark.parametrize(("name", "value"), [("hue", 0.6), ("probability", 1.1), ("contrast", -1)])
def test_what_is_no_share_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} {value}"):
        ColourConfig(**{name: value})
