"""Which mistakes are shown, against lists put in order by hand."""

from dataclasses import replace

import numpy as np

from finetune.data.annotations import Annotations
from finetune.data.columns import make_targets
from finetune.labels import ActionUnitSpace, ExpressionSpace
from finetune.reporting.worst import (
    spread,
    worst_action_units,
    worst_affect,
    worst_expressions,
)
from finetune.scoring.joined import join
from finetune.table import PredictionTable

SPACE = ExpressionSpace("three", ("Neutral", "Fear", "Anger"))
UNITS = ActionUnitSpace("two", (4, 12))


def joined(images="abcdef", videos=None, subjects=None, expression=None, affect=None, units=None):
    """Targets with their masks, and predictions, by task; videos and subjects a letter each."""
    n = len(images)
    known = {}
    columns = {}
    if expression:
        known["expression"], columns["expression"] = expression
        columns["expression_space"] = SPACE
    if affect:
        known["valence_arousal"], columns["valence_arousal"] = affect
    if units:
        known["action_units"], columns["action_units"] = units
        columns["action_unit_space"] = UNITS
    annotations = Annotations(
        list(images),
        make_targets(n, **known, expression_space=SPACE, action_unit_space=UNITS),
        videos=None if videos is None else list(videos),
        frames=None if videos is None else np.arange(n),
        subjects=None if subjects is None else list(subjects),
    )
    return join(PredictionTable(images=list(images), **columns), annotations)


#: Target 0 everywhere; the last row is not labelled. Rows 0, 2, 3 and 4 are wrong.
SCORES = np.array(
    [
        [0.3, 0.6, 0.1],
        [0.9, 0.05, 0.05],
        [0.05, 0.0, 0.95],
        [0.1, 0.8, 0.1],
        [0.2, 0.1, 0.7],
        [0.0, 1.0, 0.0],
    ]
)
EXPRESSION = ((np.zeros(6, np.int64), np.arange(6) < 5), SCORES)


def rows(mistakes):
    return [mistake.row for mistake in mistakes]


def test_the_surest_wrong_expressions_come_first():
    found = worst_expressions(joined(expression=EXPRESSION), 3)
    assert [(m.row, m.target, m.prediction, m.size) for m in found] == [
        (2, "Neutral", "Anger", 0.95),
        (3, "Neutral", "Fear", 0.8),
        (4, "Neutral", "Anger", 0.7),
    ]
    assert rows(worst_expressions(joined(expression=EXPRESSION), 12)) == [2, 3, 4, 0]


def test_a_second_frame_of_a_recording_comes_only_where_there_are_too_few_others():
    clips = joined(videos="xyzzxy", expression=EXPRESSION)
    assert rows(worst_expressions(clips, 2)) == [2, 4]  # 3 is of the clip of 2
    assert rows(worst_expressions(clips, 3)) == [2, 3, 4]  # 0 is of that of 4
    assert rows(worst_expressions(clips, 4)) == [2, 3, 4, 0]


def test_persons_of_one_video_are_one_recording():
    clips = joined(expression=EXPRESSION)
    names = ["a", "b", "v_left", "v_right", "c", "d"]
    known = replace(clips.annotations, videos=names, frames=np.arange(6))
    assert rows(worst_expressions(replace(clips, annotations=known), 2)) == [2, 4]


def test_stills_are_of_different_subjects_and_an_image_is_shown_once():
    assert rows(worst_expressions(joined(subjects="uvwwxy", expression=EXPRESSION), 2)) == [2, 4]
    assert rows(worst_expressions(joined("abccef", expression=EXPRESSION), 9)) == [2, 4, 0]


def test_recordings_of_one_subject_are_one_group():
    clips = joined(videos="abccde", subjects="uvwwxy", expression=EXPRESSION)
    assert rows(worst_expressions(clips, 2)) == [2, 4]
    clips = joined(videos="abcdef", subjects="uvwwxy", expression=EXPRESSION)
    assert rows(worst_expressions(clips, 2)) == [2, 4]


def test_equal_mistakes_keep_the_order_of_the_list():
    n = 400
    scores = np.where(np.arange(n)[:, None] % 3, [0.2, 0.8, 0.0], [0.3, 0.7, 0.0])
    names = [f"{row:03d}" for row in range(n)]
    same = joined(names, expression=((np.zeros(n, np.int64), np.ones(n, np.bool_)), scores))
    assert rows(worst_expressions(same, 5)) == [1, 2, 4, 5, 7]


def test_decisions_with_biases_are_what_is_wrong():
    table = joined(expression=EXPRESSION).table
    plain = joined(expression=EXPRESSION)
    biased = join(replace(table, biases=np.array([9.0, 0, 0])), plain.annotations)
    # Neutral is never certainly out but in row 2: 0.05 e^9 is more than 0.95 as well.
    assert worst_expressions(biased, 12) == []


def test_the_largest_distances_in_the_plane_come_first():
    known = np.array([[0.0, 0.0], [0.5, 0.5], [1.0, 1.0], [0.0, 0.2], [0.1, 0.1], [-1.0, -1.0]])
    guess = np.array([[0.3, 0.4], [0.5, 0.5], [-0.2, 0.5], [0.0, -0.2], [0.1, 0.2], [1.0, 1.0]])
    valid = np.ones((6, 2), np.bool_)
    valid[5, 0] = False  # valence alone is missing
    found = worst_affect(joined(affect=((known * valid, valid), guess)), 9)
    assert rows(found) == [2, 0, 3, 4]  # 1 is no mistake
    assert [round(m.size, 9) for m in found] == [1.3, 0.5, 0.4, 0.1]
    assert (found[0].target, found[0].prediction) == (
        "V +1.00, A +1.00",
        "V \N{MINUS SIGN}0.20, A +0.50",
    )


def test_with_valence_alone_the_distance_is_along_it():
    known = np.array([[0.0, 0.0]] * 6)
    guess = np.array([[0.1 * row, 1.0] for row in range(6)])
    valid = np.array([[True, False]] * 6)
    found = worst_affect(joined(affect=((known, valid), guess)), 2)
    assert [(m.row, m.prediction) for m in found] == [(5, "V +0.50"), (4, "V +0.40")]


def test_action_units_are_shown_once_as_far_as_there_are_others():
    known = np.array([[0, 1], [0, 1], [1, 1], [0, 0], [0, 0], [0, 0]])
    guess = np.array([[0.99, 0.9], [0.98, 0.9], [0.4, 0.9], [0.1, 0.7], [0.1, 0.1], [1.0, 1.0]])
    valid = np.arange(12).reshape(6, 2) < 10
    case = joined(units=((known * valid, valid), guess))
    found = worst_action_units(case, 2)
    assert [(m.row, m.target, m.prediction) for m in found] == [
        (0, "no AU4", "AU4"),
        (3, "no AU12", "AU12"),
    ]
    found = worst_action_units(case, 9)
    assert rows(found) == [0, 1, 3, 2]
    assert [round(m.size, 9) for m in found] == [0.99, 0.98, 0.7, 0.6]
    assert (found[3].target, found[3].prediction) == ("AU4", "no AU4")


def test_rows_without_a_prediction_are_no_mistakes():
    case = joined(expression=EXPRESSION)
    less = join(case.table.without(np.arange(6) == 2), case.annotations)
    assert rows(worst_expressions(less, 2)) == [3, 4]


def test_spread_lets_go_of_the_least_important_first():
    keys = [(1, "a", "x"), (2, "a", "y"), (3, "b", "x"), (4, "b", "y"), (1, "c", "z")]
    assert spread(keys, 1) == [0]
    assert spread(keys, 2) == [0, 3]  # b and y are both new
    assert spread(keys, 3) == [0, 1, 3]  # no other letter is left: 4 is the image of 0
    assert spread(keys, 9) == [0, 1, 2, 3]  # an image is never shown twice
    assert spread([], 4) == []
    assert spread(keys, 0) == []
