"""Label spaces of a model, and their JSON."""

import json

import pytest

from finetune.labels import LabelError, action_unit_space, expression_space
from finetune.models.label_spaces import LabelSpaces

FULL = LabelSpaces(
    expressions=expression_space("lsd_6"),
    action_units=action_unit_space("AU25,AU1"),
    valence_arousal=True,
)


@pytest.mark.parametrize("spaces", [FULL, LabelSpaces(), LabelSpaces(expressions=FULL.expressions)])
def test_json_gives_the_spaces_back(spaces):
    assert LabelSpaces.from_json(json.loads(json.dumps(spaces.to_json()))) == spaces


def test_json_names_every_column_in_its_order():
    said = FULL.to_json()
    assert list(said["expressions"]["classes"][:2]) == ["Anger", "Disgust"]
    assert list(said["action_units"]["units"]) == [25, 1]


def test_a_permuted_space_is_another():
    said = json.loads(json.dumps(FULL.to_json()))
    said["expressions"]["classes"].reverse()
    assert LabelSpaces.from_json(said) != FULL


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"valence_arousal": 1}, TypeError),
        ({"expressions": {"name": "x"}}, KeyError),
        ({"expressions": {"name": "x", "classes": ["Joy"]}}, LabelError),
        ({"action_units": {"name": "x", "units": [1, 1]}}, LabelError),
    ],
)
def test_json_that_is_no_space_is_refused(change, error):
    with pytest.raises(error):
        LabelSpaces.from_json(FULL.to_json() | change)


def test_as_text_it_names_all_columns():
    assert str(FULL) == (
        "valence and arousal; expressions lsd_6 (Anger, Disgust, Fear, Happiness, Sadness,"
        " Surprise); action units AU25,AU1 (AU25, AU1)"
    )
