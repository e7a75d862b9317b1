"""Losses against hand-computed values, their sums and counts, and what they leave alone."""

import math

import numpy as np
import pytest
import torch

from finetune.losses import affinity_loss, cross_entropy, partition_loss

LOGITS = torch.tensor([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0], [5.0, -1.0, 3.0]], dtype=torch.float64)
FEATURES = torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 3.0]], dtype=torch.float64)
CENTRES = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 3.0]], dtype=torch.float64)
EXPRESSION = torch.tensor([2, 0, 1])
VALID = torch.tensor([True, True, False])


def test_cross_entropy_by_hand():
    total, count = cross_entropy(LOGITS, EXPRESSION, VALID)
    first = math.log(math.exp(2) + 1 + math.exp(1)) - 1
    assert total.item() == pytest.approx(first + math.log(3))
    assert count.item() == 2


def test_affinity_by_hand():
    total, count = affinity_loss(FEATURES, EXPRESSION, VALID, CENTRES)
    spread = np.var([0, 2, 1], ddof=1) + np.var([0, 0, 3], ddof=1)  # 1 + 3
    assert total.item() == pytest.approx(((1 - 1) ** 2 + (2 - 3) ** 2 + 0 + 1) / spread)
    assert total.item() == pytest.approx(2 / 4)
    assert count.item() == 2


def test_partition_by_hand():
    heads = torch.tensor([[[0.0, 2.0], [4.0, 2.0]], [[1.0, 1.0], [1.0, 3.0]]], dtype=torch.float64)
    total, count = partition_loss(heads)
    variance = (8 + 0 + 0 + 2) / 4
    assert total.item() == pytest.approx(2 * math.log(1 + 2 / variance))
    assert count.item() == 2


def test_partition_falls_as_heads_part_and_is_finite_where_they_agree():
    heads = torch.randn(4, 3, 8, generator=torch.Generator().manual_seed(0))
    near, far = (partition_loss(heads * scale)[0].item() for scale in (1.0, 3.0))
    assert far < near
    same = torch.ones(4, 3, 8, requires_grad=True)
    total, _ = partition_loss(same)
    total.backward()
    assert math.isfinite(total.item())
    assert torch.isfinite(same.grad).all()


@pytest.mark.parametrize("loss", ["cross_entropy", "affinity"])
def test_sums_over_rows_do_not_depend_on_the_split(loss):
    def of(rows):
        labels = EXPRESSION[rows], VALID[rows]
        if loss == "cross_entropy":
            return torch.stack(cross_entropy(LOGITS[rows], *labels))
        return torch.stack(affinity_loss(FEATURES[rows], *labels, CENTRES))

    torch.testing.assert_close(of([0, 1, 2]), of([0]) + of([1]) + of([2]))


@pytest.mark.parametrize("label", [-1, -5, 99])
def test_what_is_not_valid_neither_counts_nor_is_changed(label):
    expression = EXPRESSION.clone()
    expression[2] = label
    kept = expression.clone()
    logits, features = (t.clone().requires_grad_() for t in (LOGITS, FEATURES))
    for total, count in (
        cross_entropy(logits, expression, VALID),
        affinity_loss(features, expression, VALID, CENTRES),
    ):
        total.backward()
        assert count.item() == 2
    assert torch.equal(expression, kept)
    assert (logits.grad[2] == 0).all()
    assert (features.grad[2] == 0).all()
    assert (logits.grad[:2] != 0).all()


def test_nothing_valid_gives_zero_with_zero_gradients():
    nothing = torch.zeros(3, dtype=torch.bool)
    logits, features, centres = (t.clone().requires_grad_() for t in (LOGITS, FEATURES, CENTRES))
    for total, count in (
        cross_entropy(logits, EXPRESSION, nothing),
        affinity_loss(features, EXPRESSION, nothing, centres),
    ):
        total.backward()
        assert (total.item(), count.item()) == (0, 0)
    for tensor in (logits, features, centres):
        assert (tensor.grad == 0).all()


def test_affinity_draws_features_to_their_centre_and_centres_learn():
    features, centres = FEATURES.clone().requires_grad_(), CENTRES.clone().requires_grad_()
    affinity_loss(features, EXPRESSION, torch.ones(3, dtype=torch.bool), centres)[0].backward()
    towards = CENTRES[EXPRESSION] - FEATURES
    assert ((-features.grad * towards) >= 0).all()
    assert (centres.grad != 0).any(1).all()
