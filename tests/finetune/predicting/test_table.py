"""From answers to a table: names, what is known of the model, and its fingerprint."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from finetune.data.annotations import Annotations
from finetune.data.columns import make_targets
from finetune.labels import ActionUnitSpace, expression_space
from finetune.loading.notes import ModelNotes
from finetune.models.label_spaces import LabelSpaces
from finetune.predicting.answers import Answers
from finetune.predicting.table import fingerprint, make_table
from finetune.table import About, TableError, read_table, write_table

LABELS = LabelSpaces(
    expressions=expression_space("Fear,Anger"),
    action_units=ActionUnitSpace("AU25,AU1", (25, 1)),
    valence_arousal=True,
)
ANSWERS = Answers(
    valence_arousal=np.array([[0.5, -1], [np.nan] * 2, [0.25, 0]]),
    expression=np.array([[0.75, 0.25], [np.nan] * 2, [0, 1]]),
    action_units=np.array([[0.5, 1], [np.nan] * 2, [0.125, 0]]),
    bad={"v/2.jpg": "absent"},
    elongated=0,
)
LISTED = Annotations(
    ["v/1.jpg", "v/2.jpg", "v/1.jpg"], make_targets(3), ["v", "v", "w"], np.array([1, 2, 1])
)


def table_of(notes=None, answers=ANSWERS, labels=LABELS, drawn=False):
    notes = notes or ModelNotes()
    return make_table(answers, LISTED, labels, notes=notes, fingerprint="f00", drawn=drawn)


def test_a_table_has_the_rows_of_the_list_and_the_names_of_the_model(tmp_path):
    write_table(tmp_path / "t.parquet", table_of())
    found = read_table(tmp_path / "t.parquet")
    assert list(found.images) == ["v/1.jpg", "v/2.jpg", "v/1.jpg"]
    assert list(found.videos) == ["v", "v", "w"]
    assert found.frames.tolist() == [1, 2, 1]
    assert found.present.tolist() == [True, False, True]
    columns = {name: values[[0, 2]].tolist() for name, values in found.columns.items()}
    assert columns == {
        "valence": [0.5, 0.25],
        "arousal": [-1, 0],
        "expression_Fear": [0.75, 0],
        "expression_Anger": [0.25, 1],
        "AU25": [0.5, 0.125],
        "AU1": [1, 0],
    }
    assert (found.thresholds, found.biases) == (None, None)
    assert found.about == About(model="f00")


def test_what_is_known_of_the_model_goes_along():
    notes = ModelNotes(
        thresholds={"AU1": 0.25, "AU25": 0.75},  # in another order than the columns
        trained_on=("lsd", "manifest"),
        training_groups=("s1", "s2"),
    )
    found = table_of(notes, drawn=True)
    assert found.thresholds.tolist() == [0.75, 0.25]
    assert found.decided_action_units().tolist() == [[0, 1], [0, 0], [0, 0]]
    assert found.about == About(
        model="f00", trained_on=("lsd", "manifest"), training_groups=("s1", "s2"), drawn=True
    )


@pytest.mark.parametrize(
    ("tasks", "columns"),
    [
        (("valence_arousal",), ["valence", "arousal"]),
        (("expression",), ["expression_Fear", "expression_Anger"]),
        (("action_units", "valence_arousal"), ["valence", "arousal", "AU25", "AU1"]),
    ],
)
def test_a_task_that_the_model_was_not_trained_for_has_no_columns(tasks, columns):
    notes = ModelNotes(tasks=tasks, thresholds={"AU1": 0.25, "AU25": 0.75})
    found = table_of(notes)
    assert list(found.columns) == columns
    assert (found.thresholds is not None) == ("action_units" in tasks)
    assert (found.expression_space is not None) == ("expression" in tasks)
    assert found.present.tolist() == [True, False, True]


def test_a_model_of_one_task_makes_a_table_of_one():
    labels = LabelSpaces(expressions=LABELS.expressions)
    answers = Answers(
        valence_arousal=None,
        expression=ANSWERS.expression,
        action_units=None,
        bad={},
        elongated=0,
    )
    assert list(table_of(answers=answers, labels=labels).columns) == [
        "expression_Fear",
        "expression_Anger",
    ]
    with pytest.raises(TableError, match="got no predictions"):
        table_of(ModelNotes(tasks=("valence_arousal",)), answers, labels)


class Weights(nn.Module):
    def __init__(self, **tensors):
        super().__init__()
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)


def test_a_fingerprint_is_the_hash_of_names_kinds_shapes_and_bytes():
    model = Weights(b=torch.tensor([[1.0, -2.0]]), a=torch.tensor(3))
    content = (
        b"a torch.int64 ()\n"
        + np.array(3, "<i8").tobytes()
        + b"b torch.float32 (1, 2)\n"
        + np.array([1, -2], "<f4").tobytes()
    )
    assert fingerprint(model) == hashlib.sha256(content).hexdigest()[:16]


def test_equal_weights_have_one_fingerprint_and_others_another():
    def of(**tensors):
        return fingerprint(Weights(**tensors))

    a, b = torch.arange(6.0).view(2, 3), torch.ones(2, dtype=torch.bfloat16)
    one = of(a=a, b=b)
    assert len(one) == 16
    assert int(one, 16) >= 0
    assert of(b=b.clone(), a=a.clone().t().contiguous().t()) == one  # order, layout in memory
    assert fingerprint(Weights(a=nn.Parameter(a), b=b)) == one
    others = [
        of(a=a, c=b),
        of(a=a + 1e-6, b=b),
        of(a=a.view(3, 2), b=b),
        of(a=a.double(), b=b),
        of(a=a, b=-b),
        of(a=a),
    ]
    assert len({one, *others}) == 7
