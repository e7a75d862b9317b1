"""Smoothing against its definition, row by row; borders, gaps, duplicates and filled rows."""

import math
from dataclasses import replace

import numpy as np
import pytest
from filmed import filmed, frames_of, numbers
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.postprocessing.columns import TASKS
from finetune.postprocessing.filling import fill
from finetune.postprocessing.smoothing import smooth
from finetune.table import TableError


def every(width):
    return dict.fromkeys(TASKS, width)


def restated(rows, width, places=None):
    """The definition: a double loop over rows, a frame of several rows counting once."""
    found = []
    for video, frame, number in rows if places is None else [rows[place] for place in places]:
        by_frame = {}
        for other, at, value in rows:
            if other == video and value is not None and abs(at - frame) <= 4 * width:
                by_frame.setdefault(at, []).append(value)
        if number is None:
            found.append(None)
            continue
        weights = {at: math.exp(-((at - frame) ** 2) / (2 * width**2)) for at in by_frame}
        total = sum(weights[at] * sum(by_frame[at]) / len(by_frame[at]) for at in by_frame)
        found.append(round(total / sum(weights.values()), 9))
    return found


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "a_left", "a_right"]),
        st.one_of(st.integers(1, 30), st.integers(1, 3000)),
        st.one_of(st.none(), st.floats(0, 1).map(lambda x: round(x, 6))),
    ),
    min_size=1,
    max_size=25,
)


@given(rows=ROWS, width=st.sampled_from([0.1, 0.25, 1, 2.5, 10, 80, 700]))
@settings(max_examples=150, deadline=None)
def test_it_is_the_mean_over_frames_weighted_by_their_distance(rows, width):
    assert numbers(smooth(frames_of(*rows), every(width))) == pytest.approx(
        restated(rows, width), abs=2e-9
    )


def test_long_videos_are_the_same_as_row_by_row():
    table, _ = filmed(rows=1200, videos=2)  # several blocks of rows a video
    rows = list(zip(table.videos, table.frames.tolist(), table.action_units[:, 3], strict=True))
    found = smooth(table, every(7)).action_units[:, 3]
    places = [0, 1, 127, 128, 129, 400, 599, 600, 1199]
    np.testing.assert_allclose(found[places], restated(rows, 7, places), atol=2e-9)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_order_of_rows_does_not_matter(seed):
    table, _ = filmed(rows=60, videos=3)
    order = np.random.default_rng(seed).permutation(60)
    one, other = smooth(table, every(9)).select(order), smooth(table.select(order), every(9))
    for task in TASKS:
        np.testing.assert_allclose(getattr(one, task), getattr(other, task), atol=1e-12)


def test_frames_are_far_apart_by_number_not_by_row():
    table = frames_of(("a", 1, 0.0), ("a", 2, 1.0), ("a", 50, 0.0), ("a", 51, 0.0))
    near = math.exp(-0.5)
    expected = [near / (1 + near), 1 / (1 + near), 0.0, 0.0]
    assert numbers(smooth(table, every(1))) == [round(value, 9) for value in expected]


def test_persons_and_parts_of_a_video_are_not_mixed():
    table = frames_of(("a_left", 1, 0.0), ("a_right", 1, 1.0), ("video45_1", 2, 0.2))
    assert numbers(smooth(table, every(100))) == [0.0, 1.0, 0.2]


def test_a_constant_stays_and_probabilities_add_up_to_one():
    constant = frames_of(*[("a", frame, 0.3) for frame in (1, 2, 3, 50, 51)], ("b", 1, 1.0))
    assert numbers(smooth(constant, every(5))) == [0.3] * 5 + [1.0]
    table, _ = filmed(rows=300, videos=3)
    smoothed = smooth(table, every(20))
    np.testing.assert_allclose(smoothed.expression.sum(1), table.expression.sum(1), atol=1e-12)
    assert smoothed.valence_arousal.std() < table.valence_arousal.std()


def test_null_rows_stay_null_and_count_nowhere():
    table = frames_of(("a", 1, 0.2), ("a", 2, None), ("a", 3, 0.6))
    without = frames_of(("a", 1, 0.2), ("a", 3, 0.6))
    first, last = numbers(smooth(without, every(2)))
    assert numbers(smooth(table, every(2))) == [first, None, last]


def test_duplicates_count_once_and_come_out_equal():
    table = frames_of(("a", 1, 0.0), ("a", 1, 0.0), ("a", 1, 0.0), ("a", 2, 1.0))
    plain = numbers(smooth(frames_of(("a", 1, 0.0), ("a", 2, 1.0)), every(1)))
    assert numbers(smooth(table, every(1))) == [plain[0]] * 3 + [plain[1]]
    unlike = numbers(smooth(frames_of(("a", 1, 0.2), ("a", 1, 0.4)), every(1)))
    assert unlike == [0.3, 0.3]


def test_filled_rows_are_smoothed_but_smooth_nothing():
    rows = [("a", 1, 0.0), ("a", 2, 1.0), ("a", 3, None), ("a", 90, None), ("b", 1, None)]
    filled = fill(frames_of(*rows), "nearest", "mean")
    assert numbers(filled) == [0.0, 1.0, 1.0, 1.0, 0.5]
    first, second, third, *far = numbers(smooth(filled, every(1)))
    assert [first, second] == numbers(smooth(frames_of(*rows[:2]), every(1)))
    one, two = math.exp(-0.5), math.exp(-2)
    assert third == round(one / (one + two), 9)  # from frames 2 and 1
    assert far == [1.0, 0.5]  # no frame of the model is near: as filled


def test_every_task_has_its_own_width_and_none_is_off():
    table, _ = filmed(rows=60, videos=3)
    smoothed = smooth(table, {"valence_arousal": 20, "expression": 0})
    assert (smoothed.valence_arousal != table.valence_arousal).any()
    assert smoothed.expression is table.expression
    assert smoothed.action_units is table.action_units
    assert smooth(table, every(0)) is table
    step = smoothed.about.steps[-1]
    assert step.settings["widths"] == {"valence_arousal": 20.0}
    assert step.remarks[0].startswith("non-causal")


def test_what_cannot_be_smoothed_is_refused():
    table = frames_of(("a", 1, 0.0), ("a", 2, 1.0))
    with pytest.raises(TableError, match="went through the step smooth, expected predictions that"):
        smooth(smooth(table, every(1)), every(1))
    with pytest.raises(TableError, match="without videos, expected the columns video and frame"):
        smooth(replace(table, videos=None), every(1))
    with pytest.raises(TableError, match="without frame numbers"):
        smooth(replace(table, frames=None), every(1))
    alone = replace(table, expression=None, expression_space=None)
    with pytest.raises(TableError, match="expression: the table has valence_arousal, action_units"):
        smooth(alone, every(1))


def test_the_input_stays_as_it_was():
    table = frames_of(("a", 1, 0.0), ("a", 2, 1.0))
    smooth(table, every(1))
    assert numbers(table) == [0.0, 1.0]
    assert table.about.steps == ()
