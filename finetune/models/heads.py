"""Heads: what turns features or scores into answers."""

from __future__ import annotations

from torch import nn


def two_layers(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Linear, ReLU, linear: [B, inputs] to [B, outputs]."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def hidden_of_equal_parameters(inputs: int, outputs: int, parameters: int) -> int:
    """The hidden width with which :func:`two_layers` comes nearest to a number of parameters.

    At least 1. Systems that differ in what a head reads are compared at equal parameters.
    """
    # There are hidden * (inputs + 1 + outputs) + outputs of them.
    return max(1, round((parameters - outputs) / (inputs + 1 + outputs)))
