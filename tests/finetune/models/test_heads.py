"""Heads and how many parameters they have."""

import pytest

from finetune.models.heads import hidden_of_equal_parameters, two_layers


def parameters(inputs, hidden, outputs=2):
    return sum(parameter.numel() for parameter in two_layers(inputs, hidden, outputs).parameters())


@pytest.mark.parametrize("inputs", [8, 28, 768, 776, 1280])
def test_no_other_hidden_width_comes_nearer(inputs):
    wanted = parameters(28, 256)
    assert wanted == 7938
    found = hidden_of_equal_parameters(inputs, 2, wanted)
    distance = {h: abs(parameters(inputs, h) - wanted) for h in range(1, 800)}
    assert distance[found] == min(distance.values())


def test_the_published_head_is_its_own_equal():
    assert hidden_of_equal_parameters(28, 2, 7938) == 256


def test_a_head_has_at_least_one_hidden_unit():
    assert hidden_of_equal_parameters(100_000, 2, 7938) == 1
