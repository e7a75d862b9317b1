"""The pixel target, the loss and the way back to pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.models.reconstruction import (
    patch_statistics,
    pixel_target,
    pixels_from_prediction,
    reconstruction_loss,
)

seeds = st.integers(0, 2**31)


def pixels(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_statistics_are_numpys_with_unbiased_variance_and_epsilon(seed):
    patches = pixels(seed, 2, 5, 48) * 1.7 + 0.3
    mean, deviation = patch_statistics(patches)
    array = patches.double().numpy()
    np.testing.assert_allclose(mean, array.mean(-1, keepdims=True), rtol=1e-4, atol=1e-6)
    expected = np.sqrt(array.var(-1, ddof=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(deviation, expected, rtol=1e-5)


def test_statistics_by_hand():
    mean, deviation = patch_statistics(torch.tensor([[[1.0, 2.0, 3.0]]]))
    assert mean.item() == 2.0
    assert deviation.item() == pytest.approx((1 + 1e-6) ** 0.5, rel=1e-7)  # 2/2, not 2/3


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_target_per_patch_is_numpys(seed):
    patches = pixels(seed, 2, 5, 48) * 1.7 + 0.3
    array = patches.double().numpy()
    centred = array - array.mean(-1, keepdims=True)
    expected = centred / np.sqrt(array.var(-1, ddof=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(pixel_target(patches, per_patch=True), expected, atol=1e-5)


def test_target_without_normalisation_is_the_pixels():
    patches = pixels(0, 2, 3, 12)
    assert torch.equal(pixel_target(patches, per_patch=False), patches)


def test_a_flat_patch_has_a_finite_target_of_zero():
    target = pixel_target(torch.full((1, 2, 48), 0.25), per_patch=True)
    assert torch.equal(target, torch.zeros(1, 2, 48))


@pytest.mark.parametrize("per_patch", [True, False])
@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_un_normalising_inverts_the_target(per_patch, seed):
    patches = pixels(seed, 2, 5, 48) * 0.4 - 1
    back = pixels_from_prediction(pixel_target(patches, per_patch), patches, per_patch)
    torch.testing.assert_close(back, patches, rtol=0, atol=1e-5)


def test_a_prediction_is_given_the_brightness_and_contrast_of_its_own_patch():
    patches = torch.tensor([[[0.0, 2.0, 4.0], [9.0, 10.0, 11.0]]])
    back = pixels_from_prediction(torch.ones(1, 2, 3), patches, per_patch=True)
    expected = torch.tensor([[[4.0, 4.0, 4.0], [11.0, 11.0, 11.0]]])  # mean + deviation
    torch.testing.assert_close(back, expected)


def test_loss_by_hand():
    prediction = torch.tensor([[[1.0, 2.0], [0.0, 0.0]], [[3.0, 1.0], [5.0, 5.0]]])
    target = torch.tensor([[[0.0, 0.0], [0.0, 2.0]], [[3.0, 1.0], [4.0, 4.0]]])
    # per patch: (1 + 4)/2, (0 + 4)/2, 0, (1 + 1)/2
    assert reconstruction_loss(prediction, target).item() == 5.5


def test_loss_is_a_sum_over_patches_and_does_not_depend_on_how_they_are_split():
    prediction, target = pixels(0, 4, 6, 12), pixels(1, 4, 6, 12)
    parts = [reconstruction_loss(prediction[i : i + 1], target[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(sum(parts), reconstruction_loss(prediction, target))


def test_loss_of_half_precision_is_computed_in_float32():
    prediction = torch.full((1, 1, 4), 256.0, dtype=torch.bfloat16)
    loss = reconstruction_loss(prediction, torch.full((1, 1, 4), 257.0))
    assert loss.dtype == torch.float32
    assert loss.item() == 1.0  # bfloat16 has no 257
