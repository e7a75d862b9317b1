"""Losses against hand-computed values, metrics and scikit-learn; sums, counts, what they leave alone."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from finetune import metrics
from finetune.losses import (
    affinity_loss,
    binary_cross_entropy,
    ccc_loss,
    cross_entropy,
    partition_loss,
    soft_cross_entropy,
)

reproducible = settings(max_examples=60, deadline=None, derandomize=True, database=None)

LOGITS = torch.tensor([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0], [5.0, -1.0, 3.0]], dtype=torch.float64)
FEATURES = torch.tensor([[1.0, 2.0], [0.0, -1.0], [3.0, 3.0]], dtype=torch.float64)
CENTRES = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 3.0]], dtype=torch.float64)
EXPRESSION = torch.tensor([2, 0, 1])
VALID = torch.tensor([True, True, False])
VOTES = torch.tensor([[0.5, 0.0, 0.5], [0.1, 0.7, 0.2], [1.0, 0.0, 0.0]], dtype=torch.float64)
UNITS = torch.tensor([[1, 0, 1], [0, 0, 1], [1, 1, 0]])
UNITS_VALID = torch.tensor([[True, True, False], [False, True, True], [False, False, False]])
WEIGHT = torch.tensor([0.5, 3.0, 2.0], dtype=torch.float64)
SERIES = torch.tensor([0.5, -0.25, 0.125], dtype=torch.float64)
OTHER = torch.tensor([0.25, -0.75, 0.5], dtype=torch.float64)

#: Answers, and the loss of them by (answers, rows); the labels are those above.
SUMS = {
    "cross_entropy": (LOGITS, lambda x, r: cross_entropy(x, EXPRESSION[r], VALID[r])),
    "weighted": (LOGITS, lambda x, r: cross_entropy(x, EXPRESSION[r], VALID[r], WEIGHT)),
    "soft": (LOGITS, lambda x, r: soft_cross_entropy(x, VOTES[r], VALID[r])),
    "weighted soft": (LOGITS, lambda x, r: soft_cross_entropy(x, VOTES[r], VALID[r], WEIGHT)),
    "binary": (LOGITS, lambda x, r: binary_cross_entropy(x, UNITS[r], UNITS_VALID[r])),
    "positives": (LOGITS, lambda x, r: binary_cross_entropy(x, UNITS[r], UNITS_VALID[r], WEIGHT)),
    "affinity": (FEATURES, lambda x, r: affinity_loss(x, EXPRESSION[r], VALID[r], CENTRES)),
}
#: With those that are exempt from the split.
LOSSES = SUMS | {"ccc": (SERIES, lambda x, r: ccc_loss(x, OTHER[r], VALID[r]))}
ALL = slice(None)


def test_cross_entropy_by_hand():
    total, count = cross_entropy(LOGITS, EXPRESSION, VALID)
    first = math.log(math.exp(2) + 1 + math.exp(1)) - 1
    assert total.item() == pytest.approx(first + math.log(3))
    assert count.item() == 2


def test_weights_of_classes_change_the_sum_and_not_the_count():
    total, count = cross_entropy(LOGITS, EXPRESSION, VALID, WEIGHT)
    first = math.log(math.exp(2) + 1 + math.exp(1)) - 1
    assert total.item() == pytest.approx(2 * first + 0.5 * math.log(3))
    assert count.item() == 2


def test_cross_entropy_of_votes_by_hand():
    total, count = soft_cross_entropy(LOGITS, VOTES, VALID)
    whole = math.log(math.exp(2) + 1 + math.exp(1))
    assert total.item() == pytest.approx((whole - 2) / 2 + (whole - 1) / 2 + math.log(3))
    assert count.item() == 2
    total, count = soft_cross_entropy(LOGITS, VOTES, VALID, WEIGHT)
    second = (0.1 * 0.5 + 0.7 * 3 + 0.2 * 2) * math.log(3)
    assert total.item() == pytest.approx((whole - 2) * 0.25 + (whole - 1) * 1.0 + second)
    assert count.item() == 2


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_all_votes_for_one_expression_are_its_label(weight):
    votes = torch.eye(3, dtype=torch.float64)[EXPRESSION]
    torch.testing.assert_close(
        soft_cross_entropy(LOGITS, votes, VALID, weight),
        cross_entropy(LOGITS, EXPRESSION, VALID, weight),
    )


def test_cross_entropies_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    logits, labels, valid = rng.normal(size=(40, 5)), rng.integers(5, size=40), rng.random(40) < 0.7
    rows = (torch.from_numpy(array) for array in (logits, labels, valid))
    total, count = cross_entropy(*rows)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    known = log_loss(labels[valid], shares[valid], labels=range(5), normalize=False)
    assert (total.item(), count.item()) == (pytest.approx(known), valid.sum())
    units, there = rng.integers(2, size=(40, 5)), rng.random((40, 5)) < 0.7
    entries = (torch.from_numpy(array) for array in (logits, units, there))
    total, count = binary_cross_entropy(*entries)
    known = log_loss(units[there], 1 / (1 + np.exp(-logits[there])), normalize=False)
    assert (total.item(), count.item()) == (pytest.approx(known), there.sum())


def test_binary_cross_entropy_counts_entries_and_weighs_positives():
    total, count = binary_cross_entropy(LOGITS, UNITS, UNITS_VALID)
    there = math.log(1 + math.exp(-2))  # of the one positive that is labelled with a logit of 2
    assert total.item() == pytest.approx(there + 3 * math.log(2))
    assert count.item() == 4
    total, count = binary_cross_entropy(LOGITS, UNITS, UNITS_VALID, WEIGHT)
    assert total.item() == pytest.approx(0.5 * there + (1 + 1 + 2) * math.log(2))
    assert count.item() == 4


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


@pytest.mark.parametrize("loss", SUMS)
def test_sums_over_rows_do_not_depend_on_the_split(loss):
    answers, of = SUMS[loss]
    parts = [torch.stack(of(answers[rows], rows)) for rows in ([0, 1, 2], [0], [1], [2])]
    torch.testing.assert_close(parts[0], sum(parts[1:]))
    whole = torch.stack(of(answers[[0, 1]], [0, 1])) + parts[3]
    torch.testing.assert_close(parts[0], whole)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_the_values(loss):
    answers, of = LOSSES[loss]
    answers = answers.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: of(x, ALL)[0], answers)


@pytest.mark.parametrize("label", [-1, -5, 99])
def test_labels_that_are_not_valid_neither_count_nor_are_changed(label):
    expression, units = EXPRESSION.clone(), UNITS.clone()
    expression[2] = label
    units[~UNITS_VALID] = label
    kept = expression.clone(), units.clone()
    logits, features = (t.clone().requires_grad_() for t in (LOGITS, FEATURES))
    for total, count in (
        cross_entropy(logits, expression, VALID, WEIGHT),
        affinity_loss(features, expression, VALID, CENTRES),
    ):
        total.backward()
        assert count.item() == 2
    assert torch.equal(expression, kept[0])
    assert (logits.grad[2] == 0).all()
    assert (features.grad[2] == 0).all()
    assert (logits.grad[:2] != 0).all()
    logits.grad = None
    total, _ = binary_cross_entropy(logits, units, UNITS_VALID)
    total.backward()
    assert total.item() == binary_cross_entropy(LOGITS, UNITS, UNITS_VALID)[0].item()
    assert torch.equal(units, kept[1])
    assert torch.equal(logits.grad != 0, UNITS_VALID)


@pytest.mark.parametrize("garbage", [math.nan, math.inf, -math.inf, 1e30])
def test_garbage_that_is_not_valid_reaches_neither_value_nor_gradient(garbage):
    def spoiled(tensor, valid):
        return tensor.where(valid if valid.shape == tensor.shape else valid[:, None], garbage)

    cases = [
        (ccc_loss, SERIES, OTHER, VALID),
        (soft_cross_entropy, LOGITS, VOTES, VALID),
        (binary_cross_entropy, LOGITS, UNITS.double(), UNITS_VALID),
        (lambda x, _, valid: cross_entropy(x, EXPRESSION, valid), LOGITS, VOTES, VALID),
        (
            lambda x, _, valid: affinity_loss(x, EXPRESSION, valid, CENTRES),
            FEATURES,
            VOTES,
            VALID,
        ),
    ]
    for loss, answers, labels, valid in cases:
        clean = answers.clone().requires_grad_()
        loss(clean, labels, valid)[0].backward()
        dirty = spoiled(answers, valid).requires_grad_()
        bad = spoiled(labels, valid)
        kept = bad.clone()
        total, _ = loss(dirty, bad, valid)
        total.backward()
        assert total.item() == loss(answers, labels, valid)[0].item()
        assert torch.equal(dirty.grad, clean.grad)
        assert torch.equal(bad.nan_to_num(7), kept.nan_to_num(7))


@pytest.mark.parametrize("loss", ["cross_entropy", "soft", "binary", "affinity", "ccc"])
def test_nothing_valid_gives_zero_with_zero_gradients(loss):
    nothing = torch.zeros(3, dtype=torch.bool)
    answers = LOSSES[loss][0].clone().requires_grad_()
    centres = CENTRES.clone().requires_grad_()
    total, count = {
        "cross_entropy": lambda: cross_entropy(answers, EXPRESSION, nothing, WEIGHT),
        "soft": lambda: soft_cross_entropy(answers, VOTES, nothing),
        "binary": lambda: binary_cross_entropy(answers, UNITS, nothing[:, None].expand(3, 3)),
        "affinity": lambda: affinity_loss(answers, EXPRESSION, nothing, centres),
        "ccc": lambda: ccc_loss(answers, OTHER * math.nan, nothing),
    }[loss]()
    total.backward()
    assert (total.item(), count.item()) == (0, 0)
    assert (answers.grad == 0).all()
    assert centres.grad is None or (centres.grad == 0).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(loss, precision):
    answers, of = LOSSES[loss]
    halved = answers.to(precision)
    with torch.autocast("cpu", precision):
        total, _ = of(halved, ALL)
    assert total.dtype == torch.float32 or loss == "affinity"  # its centres are float64 here
    exact, _ = of(halved.double(), ALL)
    assert total.item() == pytest.approx(exact.item(), rel=1e-5)


def test_affinity_draws_features_to_their_centre_and_centres_learn():
    features, centres = FEATURES.clone().requires_grad_(), CENTRES.clone().requires_grad_()
    affinity_loss(features, EXPRESSION, torch.ones(3, dtype=torch.bool), centres)[0].backward()
    towards = CENTRES[EXPRESSION] - FEATURES
    assert ((-features.grad * towards) >= 0).all()
    assert (centres.grad != 0).any(1).all()


def test_ccc_by_hand():
    prediction = torch.tensor([0.0, 1.0, 0.5], dtype=torch.float64)
    target = torch.tensor([0.5, 1.0, 9.0], dtype=torch.float64)
    total, count = ccc_loss(prediction, target, VALID)
    # Over two rows: deviations of 1/2 and 1/4, means 1/4 apart.
    known = 2 * (1 / 8) / (1 / 4 + 1 / 16 + 1 / 16)
    assert total.item() == pytest.approx(2 * (1 - known))
    assert count.item() == 2


def rows_of(*columns):
    prediction, target, valid = zip(*columns, strict=True)
    return (
        torch.tensor(prediction, dtype=torch.float64) / 1000,
        torch.tensor(target, dtype=torch.float64) / 1000,
        torch.tensor(valid),
    )


#: On a grid of 1e-3, often with equal values.
VALUE = st.integers(-1000, 1000) | st.sampled_from([0, 100, 500])
ROWS = st.lists(st.tuples(VALUE, VALUE, st.booleans()), min_size=1, max_size=20)


@reproducible
@given(ROWS)
def test_the_ccc_loss_is_one_minus_the_metric_of_the_valid_rows(rows):
    prediction, target, valid = rows_of(*rows)
    total, count = ccc_loss(prediction, target, valid)
    if valid.sum() < 2:
        assert (total.item(), count.item()) == (0, 0)
        return
    known = metrics.ccc(target=target.numpy(), prediction=prediction.numpy(), valid=valid.numpy())
    assert count.item() == valid.sum().item()
    assert total.item() == pytest.approx(count.item() * (1 - float(known)), abs=1e-9)


@reproducible
@given(ROWS)
def test_the_ccc_loss_is_bounded_symmetric_and_nothing_where_series_are_equal(rows):
    prediction, target, valid = rows_of(*rows)
    prediction.requires_grad_()
    total, count = ccc_loss(prediction, target, valid)
    total.backward()
    assert torch.isfinite(prediction.grad).all()
    assert -1e-9 <= total.item() <= 2 * count.item() + 1e-9
    assert ccc_loss(target, prediction, valid)[0].item() == pytest.approx(total.item(), abs=1e-9)
    itself, count = ccc_loss(target, target, valid)
    constant = len(set(target[valid].tolist())) == 1
    assert itself.item() == pytest.approx(count.item() if constant else 0, abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, -0.7, 1.0])
@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [2, 3, 7, 100])
def test_a_constant_has_no_concordance_to_the_last_bit(value, precision, n):
    constant = torch.full((n,), value, dtype=precision, requires_grad=True)
    total, count = ccc_loss(constant, constant.detach(), torch.ones(n, dtype=torch.bool))
    total.backward()
    assert (total.item(), count.item()) == (n, n)
    assert (constant.grad == 0).all()


def test_a_constant_prediction_learns_to_follow_the_target():
    target = torch.tensor([-0.5, 0.0, 0.75, 0.0])
    prediction = torch.zeros(4, requires_grad=True)
    for _ in range(200):
        (gradient,) = torch.autograd.grad(
            ccc_loss(prediction, target, torch.ones(4, dtype=torch.bool))[0], prediction
        )
        prediction = (prediction - 0.05 * gradient).detach().requires_grad_()
    known = metrics.ccc(target=target.numpy(), prediction=prediction.detach().numpy())
    assert known > 0.99


def test_one_valid_row_has_no_concordance():
    prediction = torch.tensor([0.5, math.nan], requires_grad=True)
    target = torch.tensor([0.25, math.nan])
    total, count = ccc_loss(prediction, target, torch.tensor([True, False]))
    total.backward()
    assert (total.item(), count.item()) == (0, 0)
    assert (prediction.grad == 0).all()


@pytest.mark.parametrize("scale", [1e-30, 1e-19, 1e-17, 1e-12, 1e-8, 1e-4])
def test_gradients_stay_finite_however_close_all_values_are(scale):
    rng = torch.Generator().manual_seed(0)
    prediction = (scale * torch.randn(64, generator=rng)).requires_grad_()
    target = scale * torch.randn(64, generator=rng)
    total, _ = ccc_loss(prediction, target, torch.ones(64, dtype=torch.bool))
    total.backward()
    assert torch.isfinite(prediction.grad).all()
    assert 0 <= total.item() <= 128


def test_the_ccc_loss_does_not_move_with_both_series():
    rng = torch.Generator().manual_seed(0)
    prediction, target = 0.01 * torch.randn(2, 50, generator=rng)
    every = torch.ones(50, dtype=torch.bool)
    near, far = (ccc_loss(prediction + by, target + by, every)[0].item() for by in (0, 0.9))
    assert far == pytest.approx(near, rel=1e-4)


def test_a_prediction_that_is_no_number_is_not_hidden():
    prediction = torch.tensor([0.5, math.nan, 0.1])
    total, _ = ccc_loss(prediction, torch.tensor([0.5, 0.1, 0.2]), torch.ones(3, dtype=torch.bool))
    assert math.isnan(total.item())
