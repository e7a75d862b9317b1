"""ArcFace's margin against the angle itself, at its edges, and only where a label is."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from finetune.objectives.margin import MarginConfig, with_margin

ALL = torch.tensor([True])


def margined(cosine, *, angle, scale=30.0, dtype=torch.float32):
    logits = scale * torch.tensor([[cosine, 0.1]], dtype=dtype)
    return with_margin(logits, torch.tensor([0]), ALL, scale=scale, angle=angle)


@given(st.floats(-0.87, 0.999), st.floats(0.05, 0.5))
def test_the_angle_of_the_right_class_grows_by_the_margin(cosine, angle):
    found = margined(cosine, angle=angle)
    assert found[0, 0].item() == pytest.approx(30 * math.cos(math.acos(cosine) + angle), abs=1e-3)
    assert found[0, 1].item() == pytest.approx(3.0)


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.01, 1.5))
def test_a_smaller_angle_is_never_worth_less(one, other, angle):
    low, high = sorted((one, other))
    assert margined(low, angle=angle)[0, 0] <= margined(high, angle=angle)[0, 0] + 1e-4
    assert margined(low, angle=angle)[0, 0] <= 30 * low + 1e-3


@pytest.mark.parametrize("cosine", [1.0, -1.0, 1.0000001, -1.0000001])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_loss_and_gradient_are_finite_at_the_edges(cosine, dtype):
    logits = (30 * torch.tensor([[cosine, 0.1]])).to(dtype).requires_grad_()
    found = with_margin(logits, torch.tensor([0]), ALL, scale=30.0, angle=0.5)
    F.cross_entropy(found, torch.tensor([0])).backward()
    assert found.isfinite().all()
    assert logits.grad.isfinite().all()


def test_rows_without_a_label_stay_and_may_hold_any_class():
    logits = torch.randn(3, 4)
    valid = torch.tensor([True, False, False])
    found = with_margin(logits, torch.tensor([2, -1, 99]), valid, scale=30.0, angle=0.5)
    assert torch.equal(found[1:], logits[1:])
    changed = found[0] != logits[0]
    assert changed.tolist() == [False, False, True, False]


def test_no_angle_is_a_softmax_over_cosines():
    logits = torch.randn(3, 4)
    valid = torch.ones(3, dtype=torch.bool)
    assert with_margin(logits, torch.tensor([0, 1, 2]), valid, scale=30.0, angle=0.0) is logits


def test_the_margin_warms_up():
    config = MarginConfig(angle=0.4, warmup_epochs=4)
    assert [config.at(epoch) for epoch in (0, 1, 4, 9)] == pytest.approx([0, 0.1, 0.4, 0.4])
    assert MarginConfig(angle=0.4, warmup_epochs=0).at(0) == 0.4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"angle": -0.1}, "angle -0.1, expected in"),
        ({"angle": 1.6}, "angle 1.6, expected in"),
        ({"warmup_epochs": -1}, "warmup_epochs -1"),
    ],
)
def test_what_is_no_margin_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        MarginConfig(**changes)
