"""Predictions smoothed over the frames of a video by a Gaussian of the distance in frames.

Source: our own; that smoothing by frame distance helps on sparse frames is common knowledge of the
ABAW challenges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from finetune.labels import Floats, Integers
from finetune.postprocessing.columns import predictions, refuse_steps, with_predictions, with_step
from finetune.postprocessing.timeline import timelines
from finetune.table import PredictionTable, Step, TableError

#: How many standard deviations away a frame still counts.
REACH = 4

#: The widest standard deviation in frames: some five minutes.
MAX_WIDTH = 10_000

#: Rows that are weighted at once.
_BLOCK = 128


def smooth(
    table: PredictionTable,
    widths: Mapping[str, float],
    *,
    fitted_on: Sequence[str] = (),
    remarks: Sequence[str] = (),
) -> PredictionTable:
    """Smooths every task by its own width; nothing crosses the border of a video.

    A prediction becomes the weighted mean of the model's predictions of all frames of its video
    that are at most 4 standard deviations away. A frame counts once, however many rows it has.
    Filled rows count nowhere: they are copies, and would weigh what they were copied from twice;
    they are given the mean of the model's frames around them, and stay as they are where there are
    none. Null rows stay null.

    Args:
        table: of videos.
        widths: standard deviation in frames by task, 0 to :data:`MAX_WIDTH`; 0, or no entry, leaves
            the task alone. If all are 0 the table is given back as it is.
        fitted_on: groups of rows whose labels the widths were fitted on.
        remarks: what a reader of the scores has to know.

    Raises:
        TableError: stills, no frame numbers, a task that the table lacks, a table that is smooth
            already.
    """
    asked = {task: float(width) for task, width in widths.items() if width}
    if not asked:
        return table
    parts = predictions(table)
    for task, width in asked.items():
        assert 0 < width <= MAX_WIDTH
        if task not in parts:
            raise TableError(f"smoothing of {task}: the table has {', '.join(parts)} alone")
    refuse_steps(table.about, ["smooth"], "predictions that nobody has smoothed")
    smoothed = {task: parts[task].copy() for task in asked}
    for line in timelines(table):
        there = table.present[line.rows]
        rows, at = line.rows[there], line.at[there]
        for task, width in asked.items():
            known = line.values(parts[task])
            found, weight = gaussian_means(at, line.frames, known, width)
            smoothed[task][rows[weight > 0]] = found[weight > 0]
    step = Step(
        name="smooth",
        settings={"widths": asked, "unit": "frames"},
        fitted_on=tuple(fitted_on),
        remarks=("non-causal: later frames of a video are used as well", *remarks),
    )
    return with_step(with_predictions(table, smoothed), step)


def gaussian_means(
    at: Integers, frames: Integers, values: Floats, width: float
) -> tuple[Floats, Floats]:
    """Weighted means around frame numbers.

    Args:
        at: [n] where, ascending.
        frames: [m] that are known, ascending, each once.
        values: [m, C] of them.
        width: standard deviation in frames.

    Returns:
        The means [n, C], and the weights that they are of [n]; where that is 0, no frame is near
        enough, and the mean is NaN.
    """
    reach = int(REACH * width)
    # Distances are whole numbers: the weight of each, and 0 for all beyond.
    weight_of = np.append(np.exp(-0.5 * (np.arange(reach + 1) / width) ** 2), 0)
    means = np.full((len(at), values.shape[1]), np.nan)
    weights = np.zeros(len(at))
    for start in range(0, len(at), _BLOCK):
        block = slice(start, start + _BLOCK)
        here = at[block]
        near = slice(
            np.searchsorted(frames, here[0] - reach, "left"),
            np.searchsorted(frames, here[-1] + reach, "right"),
        )
        apart = np.abs(here[:, None] - frames[near])
        weight = weight_of[np.minimum(apart, reach + 1)]
        weights[block] = weight.sum(1)
        some = weights[block] > 0
        means[block][some] = (weight[some] @ values[near]) / weights[block][some, None]
    return means, weights
