"""Predictions in memory: what is refused, what is decided, what other label spaces make of them."""

from dataclasses import replace

import numpy as np
import pytest
from tables import EIGHT, TWELVE, guessed, labelled

from finetune.labels import ActionUnitSpace, ExpressionSpace, expression_space
from finetune.table import PredictionTable, TableError

THREE = ExpressionSpace("three", ("Neutral", "Anger", "Contempt"))


def table(expression, **more):
    expression = np.array(expression, np.float64)
    return PredictionTable(
        images=[f"{row}.jpg" for row in range(len(expression))],
        expression=expression,
        expression_space=THREE,
        **more,
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valence_arousal": [[0, 0], [0, 1.5]]}, r"row 2 \(1.jpg\): arousal 1.5, expected in \[-1, 1\]"),
        ({"valence_arousal": [[np.nan, 0], [0, 0]]}, r"row 1 \(0.jpg\): arousal 0, expected null, as"),
        ({"valence_arousal": [[0, np.nan], [0, 0]]}, r"row 1 \(0.jpg\): arousal null, expected in \[-1"),
        ({"action_units": [[0.5], [-0.1]]}, r"row 2 \(1.jpg\): AU4 -0.1, expected in \[0, 1\]"),
        ({"action_units": [[0.5], [np.nan]]}, r"row 2 \(1.jpg\): AU4 null, expected in \[0, 1\]"),
        (
            {"expression": [[0.5, 0.5, 0], [0.5, 0.7, 0]]},
            r"row 2 \(1.jpg\): expressions add up to 1.2, expected probabilities that add up to 1",
        ),
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused_by_row_and_column(change, message):
    known = {
        "valence_arousal": np.zeros((2, 2)),
        "expression": np.array([[1.0, 0, 0]] * 2),
        "action_units": np.zeros((2, 1)),
    }
    with pytest.raises(TableError, match=message):
        PredictionTable(
            images=["0.jpg", "1.jpg"],
            expression_space=THREE,
            action_unit_space=ActionUnitSpace("one", (4,)),
            **{**known, **{name: np.array(values) for name, values in change.items()}},
        )


def test_a_table_without_predictions_is_refused():
    with pytest.raises(TableError, match=r"got no predictions, expected some of valence, arousal"):
        PredictionTable(images=["a.jpg"])


def test_the_class_is_the_largest_probability_with_its_bias_and_the_first_of_equals():
    found = table([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2], [0.1, 0.2, 0.7], [1, 0, 0]])
    assert found.decided_expression().tolist() == [0, 0, 2, 0]
    # log 0.5 - log 0.3 = 0.51, log 0.4 - log 0.4 = 0, log 0.7 - log 0.2 = 1.25 > 0.6 + 0.5
    biased = replace(found, biases=np.array([0.0, 0.6, -0.5]))
    assert biased.decided_expression().tolist() == [1, 1, 2, 0]
    assert replace(found, biases=np.array([0.0, 0.5, 0.0])).decided_expression()[0] == 0


def test_an_action_unit_is_there_from_its_threshold_on():
    found = PredictionTable(
        images=["a.jpg", "b.jpg"],
        action_units=np.array([[0.5, 0.49], [0.2, 0.3]]),
        action_unit_space=ActionUnitSpace("two", (1, 26)),
    )
    assert found.decided_action_units().tolist() == [[1, 0], [0, 0]]
    lower = replace(found, thresholds=np.array([0.6, 0.3]))
    assert lower.decided_action_units().tolist() == [[0, 1], [0, 1]]
    assert found.action_units.tolist() == [[0.5, 0.49], [0.2, 0.3]]


def test_a_null_row_is_no_prediction():
    found = table([[np.nan] * 3, [0.1, 0.8, 0.1]], valence_arousal=np.array([[np.nan] * 2, [0, 0]]))
    assert found.present.tolist() == [False, True]
    assert found.decided_expression().tolist() == [0, 1]
    assert found.without(np.array([False, True])).present.tolist() == [False, False]


def test_rows_are_selected_with_all_that_is_theirs():
    whole = replace(
        guessed(labelled(rows=20)), filled=["nearest" if row == 7 else "" for row in range(20)]
    )
    some = whole.select(np.array([7, 3, 7]))
    assert some.images == [whole.images[7], whole.images[3], whole.images[7]]
    assert some.videos == [whole.videos[7], whole.videos[3], whole.videos[7]]
    assert some.filled == ["nearest", "", "nearest"]
    assert some.frames.tolist() == [whole.frames[7], whole.frames[3], whole.frames[7]]
    for name, values in whole.columns.items():
        assert some.columns[name].tolist() == values[[7, 3, 7]].tolist()


def test_another_space_takes_classes_by_name_and_scales_the_rest():
    found = table([[0.2, 0.3, 0.5], [0.5, 0.0, 0.5]])
    eight = found.in_space(EIGHT)
    assert eight.expression_space == EIGHT
    want = np.zeros((2, 8))
    want[0, :2] = [0.4, 0.6]
    want[1, 0] = 1
    assert eight.expression == pytest.approx(want)
    mapped = found.in_space(EIGHT, "contempt_to_other").expression
    assert mapped[0] == pytest.approx([0.2, 0.3, 0, 0, 0, 0, 0, 0.5])
    back = eight.in_space(THREE).expression
    assert back[0] == pytest.approx([0.4, 0.6, 0])


def test_biases_are_applied_before_another_space_is_taken():
    found = replace(table([[0.5, 0.3, 0.2]]), biases=np.array([0.0, 0.6, 0.0]))
    moved = found.in_space(expression_space("Anger,Neutral"))
    odds = 0.3 * np.exp(0.6) / 0.5
    assert moved.biases is None
    assert moved.expression[0] == pytest.approx([odds / (1 + odds), 1 / (1 + odds)])
    assert moved.decided_expression().tolist() == [0]


def test_a_row_that_another_space_has_nothing_of_is_refused():
    found = table([[0.2, 0.8, 0], [np.nan] * 3, [0, 0, 1]])
    with pytest.raises(
        TableError, match=r"row 3 \(2.jpg\): every probability is of an expression that aff_w"
    ):
        found.in_space(EIGHT)


def test_parts_of_one_recording_are_one_group():
    annotations = labelled(rows=4)
    videos = ["video45_1", "video45_5", "a_left", "a_right"]
    assert replace(guessed(annotations), videos=videos).groups == ["video45", "video45", "a", "a"]
    assert replace(guessed(annotations), videos=None).groups == list(annotations.images)


def test_no_call_changes_its_table():
    found = replace(
        guessed(labelled(rows=20)),
        biases=np.linspace(-1, 1, 8),
        thresholds=np.linspace(0.2, 0.8, 12),
    )
    before = {name: values.copy() for name, values in found.columns.items()}
    for values in (found.expression, found.action_units, found.valence_arousal, found.biases):
        values.flags.writeable = False
    found.decided_expression(), found.decided_action_units()
    found.in_space(THREE), found.without(np.ones(20, bool)), found.select(np.arange(5))
    assert all((found.columns[name] == values).all() for name, values in before.items())
    assert found.action_unit_space == TWELVE
