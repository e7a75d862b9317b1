"""Notes on a model: the tasks that it was trained for."""

import json

import pytest

from finetune.labels import ActionUnitSpace, expression_space
from finetune.loading.notes import ModelNotes
from finetune.models.label_spaces import LabelSpaces

LABELS = LabelSpaces(
    expressions=expression_space("Fear,Anger"), action_units=ActionUnitSpace("one", (4,))
)


@pytest.mark.parametrize("tasks", [None, ("expression",), ("action_units", "expression")])
def test_tasks_that_the_model_answers_are_fine_and_come_back(tasks):
    notes = ModelNotes(tasks=tasks)
    assert notes.problem(LABELS) is None
    assert ModelNotes.from_json(json.loads(json.dumps(notes.to_json()))) == notes


@pytest.mark.parametrize(
    "tasks",
    [
        ("valence_arousal",),  # which the labels lack
        ("expression", "valence_arousal"),
        ("expressions",),
        ("expression", "expression"),
        (),
        "expression",
    ],
)
def test_other_tasks_are_a_problem(tasks):
    problem = ModelNotes(tasks=tasks).problem(LABELS)
    assert problem == f"tasks {tasks!r}, expected some of expression, action_units"


def test_notes_of_before_know_of_no_tasks():
    old = ModelNotes().to_json()
    del old["tasks"]
    assert ModelNotes.from_json(old).tasks is None


@pytest.mark.parametrize("tasks", ["expression", [1]])
def test_tasks_in_a_file_are_a_list_of_texts(tasks):
    with pytest.raises(TypeError, match="a list of texts"):
        ModelNotes.from_json({"tasks": tasks})


def test_whether_it_draws_is_said_or_not():
    for draws in (None, True, False):
        notes = ModelNotes(draws=draws)
        assert ModelNotes.from_json(notes.to_json()) == notes
        assert notes.problem(LABELS) is None
    assert ModelNotes(draws=1).problem(LABELS) == "draws 1, expected true, false or null"
