"""Valence and arousal by place: how often, how far off, and in which direction.

B bins a side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finetune.labels import Floats

#: Bins a side of the density. Their middles are the multiples of 0.05: labels come in such steps,
#: and one on an edge would fall to either side as it rounds.
DENSITY_BINS = 41

#: Bins a side of the plane for errors; and for shifts, whose arrows would cross if they were more.
ERROR_BINS, SHIFT_BINS = 10, 5


@dataclass(frozen=True, kw_only=True)
class ErrorMap:
    """Errors by the place of the label; the first axis is valence, the second arousal.

    Attributes:
        edges: of the bins of both axes, [B + 1] from -1 to 1.
        counts: rows, [B, B].
        error: mean distance between prediction and label, [B, B]; NaN where there is no row.
        shift: mean of prediction - label, [B, B, 2]; NaN likewise.
    """

    edges: Floats
    counts: Floats
    error: Floats
    shift: Floats


def density(target: Floats, prediction: Floats) -> tuple[Floats, Floats]:
    """How many rows have which label and prediction.

    Args:
        target: [n] in [-1, 1].
        prediction: the same.

    Returns:
        Edges of the bins [B + 1], a little beyond -1 and 1; rows by label and prediction [B, B].
    """
    half = 1 / (DENSITY_BINS - 1)
    edges = np.linspace(-1 - half, 1 + half, DENSITY_BINS + 1)
    return edges, np.histogram2d(target, prediction, bins=(edges, edges))[0]


def error_map(target: Floats, prediction: Floats, bins: int) -> ErrorMap:
    """Errors over the plane of valence and arousal.

    Args:
        target: [n, 2] in [-1, 1].
        prediction: the same.
        bins: B.
    """
    # Rounded: a label of 0.4 is not to fall below an edge of 0.4.
    edges = np.round(np.linspace(-1, 1, bins + 1), 12)

    def summed(weights: Floats) -> Floats:
        grid = np.histogram2d(target[:, 0], target[:, 1], bins=(edges, edges), weights=weights)[0]
        return np.asarray(grid)

    off = prediction - target
    counts = summed(np.ones(len(target)))
    rows = np.where(counts > 0, counts, np.nan)
    shift = np.stack([summed(off[:, 0]) / rows, summed(off[:, 1]) / rows], -1)
    return ErrorMap(edges=edges, counts=counts, error=summed(np.hypot(*off.T)) / rows, shift=shift)
