"""Which patches stay visible, and how the indices are applied."""

import math
from fractions import Fraction
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.models.masking import split_patches, take, visible_count

noises = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        st.just(n), st.integers(1, n - 1), st.integers(1, 4), st.integers(0, 2**31), st.booleans()
    )
)


def drawn(case):
    num_patches, visible, batch, seed, tied = case
    noise = torch.rand(batch, num_patches, generator=torch.Generator().manual_seed(seed))
    return (noise * 4).floor() / 4 if tied else noise, visible


@pytest.mark.parametrize(
    ("num_patches", "mask_ratio", "visible"),
    [
        (196, 0.75, 49),
        (196, 0.5, 98),
        (196, 0.9, 19),
        (100, 0.9, 10),
        (100, 0.7, 30),
        (256, 0.75, 64),
        (196, 0.99, 1),
        (2, 0.5, 1),
    ],
)
def test_visible_count_is_the_share_that_stays_rounded_down(num_patches, mask_ratio, visible):
    assert visible_count(num_patches, mask_ratio) == visible


@given(num_patches=st.integers(2, 2000), hundredths=st.integers(1, 99))
def test_visible_count_is_exact_for_decimal_ratios(num_patches, hundredths):
    exact = math.floor(num_patches * (1 - Fraction(hundredths, 100)))
    if 0 < exact < num_patches:
        assert visible_count(num_patches, hundredths / 100) == exact
    else:
        with pytest.raises(ValueError, match="mask_ratio"):
            visible_count(num_patches, hundredths / 100)


@pytest.mark.parametrize(
    ("num_patches", "mask_ratio"), [(4, 0.9), (196, 1.0), (196, 0.0), (1, 0.5)]
)
def test_a_ratio_that_leaves_nothing_on_one_side_is_refused_by_value(num_patches, mask_ratio):
    with pytest.raises(ValueError, match=rf"mask_ratio {mask_ratio} .* of {num_patches} patches"):
        visible_count(num_patches, mask_ratio)


@given(noises)
@settings(deadline=None)
def test_the_split_is_a_partition_of_the_patches(case):
    noise, visible = drawn(case)
    seen, masked = split_patches(noise, visible)
    assert seen.dtype == masked.dtype == torch.int64
    assert seen.shape == (len(noise), visible)
    every = torch.cat([seen, masked], dim=1).sort(dim=1).values
    assert torch.equal(every, torch.arange(noise.shape[1]).expand_as(every))


@given(noises)
@settings(deadline=None)
def test_the_lowest_noise_stays_visible_and_ties_go_to_the_first_patch(case):
    noise, visible = drawn(case)
    seen, masked = split_patches(noise, visible)
    for row, shown, hidden in zip(noise.tolist(), seen.tolist(), masked.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda patch: (row[patch], patch))
        assert shown == order[:visible]
        assert hidden == order[visible:]


@given(noises)
@settings(deadline=None)
def test_samples_are_split_independently_of_each_other(case):
    noise, visible = drawn(case)
    seen, masked = split_patches(noise, visible)
    for index in range(len(noise)):
        alone = split_patches(noise[index : index + 1], visible)
        assert torch.equal(alone[0][0], seen[index])
        assert torch.equal(alone[1][0], masked[index])


def test_every_patch_is_visible_equally_often():
    draws, num_patches, visible = 20_000, 16, 4
    noise = torch.rand(draws, num_patches, generator=torch.Generator().manual_seed(1))
    seen, _ = split_patches(noise, visible)
    counts = torch.bincount(seen.flatten(), minlength=num_patches)
    share = visible / num_patches
    bound = 5 * math.sqrt(draws * share * (1 - share))  # five deviations of a binomial count
    assert (counts - draws * share).abs().max() < bound


def test_every_subset_of_patches_is_equally_likely():
    draws = 12_000
    noise = torch.rand(draws, 5, generator=torch.Generator().manual_seed(2))
    seen, _ = split_patches(noise, 2)
    subsets = [tuple(sorted(row)) for row in seen.tolist()]
    bound = 5 * math.sqrt(draws * 0.1 * 0.9)
    for subset in combinations(range(5), 2):
        assert abs(subsets.count(subset) - draws / 10) < bound


def test_take_gathers_the_named_tokens_of_each_sample():
    tokens = torch.arange(2 * 4 * 3).view(2, 4, 3)
    indices = torch.tensor([[3, 0], [1, 1]])
    taken = take(tokens, indices)
    assert torch.equal(taken[0], tokens[0, [3, 0]])
    assert torch.equal(taken[1], tokens[1, [1, 1]])


def test_take_shares_tokens_without_a_batch():
    tokens = torch.arange(4 * 3).view(1, 4, 3)
    taken = take(tokens, torch.tensor([[3], [0]]))
    assert torch.equal(taken[:, 0], tokens[0, [3, 0]])
