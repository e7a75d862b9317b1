"""Predictions meet their labels: by image and occurrence, in the labels' spaces, nothing lost."""

from dataclasses import replace

import numpy as np
import pytest
from tables import EIGHT, TWELVE, guessed, labelled, perfect

from finetune.data.annotations import Annotations
from finetune.data.columns import make_targets
from finetune.labels import EXPRESSION_SPACES, ActionUnitSpace, expression_space
from finetune.scoring.joined import both_present, join, occurrences
from finetune.table import PredictionTable, TableError


def test_rows_meet_by_image_and_occurrence_in_any_order():
    annotations = labelled(rows=50)
    images = list(annotations.images)
    images[20], images[21], images[40] = images[3], images[3], images[3]
    annotations = replace(annotations, images=images)
    table = guessed(annotations)
    order = np.random.default_rng(0).permutation(50)
    order = np.array(sorted(order, key=lambda row: (images[row] == images[3], 0)))  # keeps its own
    same = [row for row in order if images[row] == images[3]]
    order[[place for place, row in enumerate(order) if row in same]] = sorted(same)
    found = join(table.select(order), annotations)
    assert found.table.images == images
    for name, values in table.columns.items():
        assert np.array_equal(found.table.columns[name], values), name


def test_occurrences_count_the_rows_before():
    assert occurrences(["a", "b", "a", "a"]) == [("a", 0), ("b", 0), ("a", 1), ("a", 2)]


def test_an_image_that_one_side_lacks_is_refused_by_name():
    annotations = labelled(rows=10)
    table = guessed(annotations)
    first, last = annotations.images[0], annotations.images[9]
    with pytest.raises(
        TableError, match=f"the table lacks 1 of 10 rows: {last}; expected the same"
    ):
        join(table.select(np.arange(9)), annotations)
    with pytest.raises(
        TableError, match=f"the labels lack 1 of 10 rows: {last}; expected the same"
    ):
        join(table, annotations.select(np.arange(9)))
    twice = table.select(np.array([*range(10), 0]))
    with pytest.raises(
        TableError, match=rf"the labels lack 1 of 11 rows: {first} \(occurrence 2\);"
    ):
        join(twice, annotations)


def test_rows_without_a_prediction_are_not_scored_and_said():
    annotations = labelled(rows=10, missing=0)
    gone = np.arange(10) < 4
    found = join(guessed(annotations).without(gone), annotations)
    first = ", ".join(annotations.images[:3])
    assert found.notes == (f"4 of 10 rows have no prediction and are not scored, {first}, ...",)
    assert found.expression_valid().tolist() == (~gone).tolist()
    assert found.affect_valid().tolist() == [[kept] * 2 for kept in ~gone]
    assert found.units_valid().all(1).tolist() == (~gone).tolist()
    assert found.tallies().expression.counts.sum() == 6


def test_tasks_that_one_side_lacks_are_left_out():
    annotations = labelled(rows=16)
    table = guessed(annotations)
    only = PredictionTable(images=table.images, valence_arousal=table.valence_arousal)
    found = join(only, annotations)
    assert (found.series, found.classes, found.units) == (("valence", "arousal"), (), ())
    unlabelled = replace(annotations, targets=make_targets(16))
    with pytest.raises(TableError, match="got no label of any task that the table predicts"):
        join(table, unlabelled)


def test_valence_alone_and_some_action_units_alone_are_scored():
    targets = make_targets(
        3,
        valence_arousal=(np.array([[0.1, 0], [0.2, 0], [0.3, 0]]), np.array([[True, False]] * 3)),
        action_units=(np.array([[1, 0, 0]] * 3), np.array([[True, True, False]] * 3)),
        action_unit_space=ActionUnitSpace("three", (12, 9, 1)),
    )
    annotations = Annotations(["a", "b", "c"], targets)
    table = PredictionTable(
        images=["a", "b", "c"],
        valence_arousal=np.array([[0.1, 1], [0.2, 1], [0.3, 1]]),
        action_units=np.tile(np.linspace(0, 1, 12), (3, 1)),
        action_unit_space=TWELVE,
    )
    found = join(table, annotations)
    assert found.series == ("valence",)
    assert found.units == ("AU12",)  # AU9 is not the model's, AU1 has no label
    assert found.notes == ("the model has no AU9, left out",)
    known, probabilities, decided = found.action_units()
    assert known.tolist() == [[1]] * 3
    assert probabilities == pytest.approx(np.full((3, 1), 6 / 11))  # AU12 is the seventh column
    assert decided.tolist() == [[1]] * 3
    assert float(found.tallies().valence_arousal.ccc()[0]) == pytest.approx(1)


def test_classes_meet_by_name_and_what_has_no_counterpart_is_said():
    annotations = labelled(rows=16, missing=0)
    affectnet = EXPRESSION_SPACES["affectnet_8"]
    table = replace(
        perfect(annotations),
        expression=np.eye(8)[np.arange(16) % 7],
        expression_space=affectnet,
    )
    found = join(table, annotations)
    assert found.classes == EIGHT.classes
    assert found.notes == (
        "the model has no Other, and never predicts it",
        "the model's Contempt has no counterpart in the labels",
    )
    want = [EIGHT.index(affectnet.classes[row % 7]) for row in range(16)]
    assert found.table.decided_expression().tolist() == want
    assert join(table, annotations, "contempt_to_other").notes == ()


def test_two_tables_are_compared_where_both_predict():
    annotations = labelled(rows=12, missing=0)
    one = join(guessed(annotations).without(np.arange(12) == 2), annotations)
    other = join(guessed(annotations, seed=2).without(np.arange(12) == 7), annotations)
    first, second = both_present(one, other)
    assert first.table.present.tolist() == second.table.present.tolist()
    assert np.flatnonzero(~first.table.present).tolist() == [2, 7]


def test_a_class_that_no_label_of_a_manifest_has_is_wrong_and_not_taken_out():
    """A manifest's space has the names that occur; a prediction of another one is a mistake."""
    own = EXPRESSION_SPACES["affectnet_8"]
    space = expression_space("Neutral,Happiness")
    labels = make_targets(
        4, expression=(np.array([0, 0, 1, 1]), np.ones(4, bool)), expression_space=space
    )
    guesses = [own.index(name) for name in ("Neutral", "Contempt", "Happiness", "Fear")]
    table = PredictionTable(
        images=list("abcd"), expression=np.eye(8)[guesses], expression_space=own
    )
    found = join(table, Annotations(list("abcd"), labels))
    assert found.classes == own.classes
    assert float(found.tallies().expression.accuracy()) == 0.5
    assert float(found.tallies().expression.macro_f1_of_occurring()) == pytest.approx(2 / 3)
    assert found.notes == ()
    surprise = expression_space("Neutral,Other")
    labels = replace(labels, expression_space=surprise)
    found = join(table, Annotations(list("abcd"), labels))
    assert set(found.classes) == {*own.classes, "Other"}
    assert float(found.tallies().expression.accuracy()) == 0.25


def test_labels_without_videos_take_those_of_the_table():
    annotations = labelled(rows=40, videos=5)
    table = guessed(annotations)
    bare = replace(annotations, videos=None, frames=None)
    found = join(table, bare).annotations
    assert (found.videos, found.grouped_by) == (annotations.videos, "recordings")
    renamed = replace(annotations, videos=[f"run7/{video}" for video in annotations.videos])
    assert join(table, renamed).annotations.videos == renamed.videos


def test_videos_and_frames_that_contradict_the_labels_are_refused():
    annotations = labelled(rows=40, videos=5)
    table = guessed(annotations)
    with pytest.raises(TableError, match=r"row \d+ \(.*\): video x, expected rows of one video"):
        join(replace(table, videos=["x"] * 40), annotations)
    with pytest.raises(TableError, match=r"row 2 \(.*\): frame 2, expected 4 as in the labels"):
        join(replace(table, frames=np.arange(1, 41)), annotations)


def test_a_table_without_any_prediction_is_refused():
    annotations = labelled(rows=8)
    with pytest.raises(TableError, match="got no prediction in any of 8 rows, expected some"):
        join(guessed(annotations).without(np.ones(8, bool)), annotations)
