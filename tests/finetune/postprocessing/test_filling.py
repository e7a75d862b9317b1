"""Null rows filled from their own video: values by hand."""

from dataclasses import replace

import numpy as np
import pytest
from filmed import frames_of, numbers

from finetune.postprocessing.filling import fill
from finetune.table import PredictionTable, TableError


def test_the_nearest_frame_counts_and_of_two_the_earlier():
    table = frames_of(
        *(("a", 1, 0.1), ("a", 4, None), ("a", 7, 0.7)),  # as near to either
        *(("a", 20, None), ("a", 30, 0.3), ("a", 99, None)),  # beyond the last
    )
    filled = fill(table, "nearest")
    assert numbers(filled) == [0.1, 0.1, 0.7, 0.3, 0.3, 0.3]
    assert filled.filled == ["", "nearest", "", "nearest", "", "nearest"]


def test_interpolation_is_linear_in_the_frame_number_and_flat_beyond_the_ends():
    table = frames_of(
        *(("a", 1, None), ("a", 5, 0.2), ("a", 6, None), ("a", 15, 0.7), ("a", 40, None)),
    )
    filled = fill(table, "interpolate")
    assert numbers(filled) == [0.2, 0.2, 0.25, 0.7, 0.7]
    assert filled.filled == ["interpolate", "", "interpolate", "", "interpolate"]


@pytest.mark.parametrize("method", ["nearest", "interpolate"])
def test_nothing_comes_from_another_video_and_rows_may_lie_in_any_order(method):
    rows = [
        *(("b", 2, None), ("a", 3, 0.9), ("a_left", 3, None), ("b", 90, 0.4), ("a", 2, None)),
        ("a_left", 50, 0.6),
    ]
    assert numbers(fill(frames_of(*rows), method)) == [0.4, 0.9, 0.6, 0.4, 0.9, 0.6]


@pytest.mark.parametrize("method", ["nearest", "interpolate"])
def test_a_null_row_of_a_known_frame_gets_the_mean_of_that_frame(method):
    table = frames_of(("a", 1, 0.0), ("a", 5, 0.2), ("a", 5, None), ("a", 5, 0.4), ("a", 9, 1.0))
    assert numbers(fill(table, method)) == [0.0, 0.2, 0.3, 0.4, 1.0]


def test_a_video_without_any_prediction_stays_null_unless_the_mean_is_asked_for():
    table = frames_of(("a", 1, 0.2), ("a", 2, None), ("b", 1, None), ("c", 1, 0.6), ("b", 2, None))
    left = fill(table, "nearest")
    assert numbers(left) == [0.2, 0.2, None, 0.6, None]
    assert left.about.steps[-1].settings["null"] == 2
    filled = fill(table, "nearest", "mean")
    assert numbers(filled) == [0.2, 0.2, 0.4, 0.6, 0.4]  # of the model's rows, not the filled one
    assert filled.filled == ["", "nearest", "mean", "", "mean"]
    step = filled.about.steps[-1]
    assert (step.name, step.fitted_on) == ("fill", ())
    assert step.settings["rows"] == {"nearest": 1, "mean": 2}
    assert step.settings["null"] == 0
    assert [remark.split(":")[0] for remark in step.remarks] == [
        "non-causal",
        "2 rows hold the mean of the table",
    ]


def test_stills_have_no_neighbours():
    table = replace(frames_of(("a", 1, 0.2), ("a", 2, None)), videos=None, frames=None)
    assert numbers(fill(table, "nearest")) == [0.2, None]
    assert numbers(fill(table, None, "mean")) == [0.2, 0.2]


def test_what_was_filled_before_fills_nothing():
    once = fill(frames_of(("a", 1, 0.2), ("b", 1, None), ("c", 1, 0.4)), None, "mean")
    table = replace(
        once, images=["1", "2", "3"], videos=["b", "b", "b"], frames=np.array([1, 5, 9])
    )
    again = fill(table.without(np.array([False, False, True])), "nearest")
    assert numbers(again) == [0.2, 0.3, 0.2]  # row 1 is nearer, but a copy
    assert again.filled == ["", "mean", "nearest"]


def test_a_table_without_gaps_says_nothing_and_the_input_stays_as_it_was():
    table = frames_of(("a", 1, 0.2), ("a", 2, 0.3))
    filled = fill(table, "interpolate", "mean")
    assert filled.filled is None
    assert filled.about.steps[-1].remarks == ()
    gaps = frames_of(("a", 1, 0.2), ("a", 2, None))
    fill(gaps, "nearest", "mean")
    assert numbers(gaps) == [0.2, None]
    assert (gaps.filled, gaps.about.steps) == (None, ())


def test_what_cannot_be_filled_is_refused():
    nothing = frames_of(("a", 1, None), ("a", 2, None))
    with pytest.raises(TableError, match="no row has a prediction, expected some for the mean"):
        fill(nothing, "nearest", "mean")
    unnumbered = replace(frames_of(("a", 1, 0.1), ("a", 2, None)), frames=None)
    with pytest.raises(TableError, match="without frame numbers, expected the columns video and"):
        fill(unnumbered, "nearest")


def test_a_table_of_one_task_is_filled():
    table = PredictionTable(
        images=["1", "2", "3"],
        videos=["a"] * 3,
        frames=np.array([1, 2, 3]),
        valence_arousal=np.array([[-1.0, 1.0], [np.nan] * 2, [1.0, 0.5]]),
    )
    assert fill(table, "interpolate").valence_arousal.tolist() == [[-1, 1], [0, 0.75], [1, 0.5]]
