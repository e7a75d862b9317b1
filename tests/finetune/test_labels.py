"""Label spaces against the published tables, written out by hand."""

import numpy as np
import pytest

from finetune.labels import (
    ACTION_UNIT_SPACES,
    EXPRESSION_SPACES,
    EXPRESSIONS,
    ActionUnitSpace,
    ExpressionSpace,
    LabelError,
    Targets,
    action_unit_columns,
    action_unit_space,
    action_units_from_codes,
    convert_votes,
    expression_from_codes,
    expression_indices,
    expression_space,
    valence_arousal_from_codes,
)

AFF_WILD2 = EXPRESSION_SPACES["aff_wild2_8"]
AFFECTNET = EXPRESSION_SPACES["affectnet_8"]

#: As the files of each collection count, typed from their descriptions.
PUBLISHED = {
    "aff_wild2_8": "Neutral Anger Disgust Fear Happiness Sadness Surprise Other",
    "aff_wild2_7": "Neutral Anger Disgust Fear Happiness Sadness Surprise",
    "affectnet_8": "Neutral Happiness Sadness Surprise Fear Disgust Anger Contempt",
    "affectnet_7": "Neutral Happiness Sadness Surprise Fear Disgust Anger",
    "alphabetical_8": "Anger Contempt Disgust Fear Happiness Neutral Sadness Surprise",
    "fer2013_7": "Anger Disgust Fear Happiness Sadness Surprise Neutral",
    "ferplus_8": "Neutral Happiness Surprise Sadness Anger Disgust Fear Contempt",
    "rafdb_7": "Surprise Fear Disgust Happiness Sadness Anger Neutral",
    "lsd_6": "Anger Disgust Fear Happiness Sadness Surprise",
    "ckplus_8": "Neutral Anger Contempt Disgust Fear Happiness Sadness Surprise",
}
UNITS = {
    "aff_wild2_12": "AU1 AU2 AU4 AU6 AU7 AU10 AU12 AU15 AU23 AU24 AU25 AU26",
    "aff_wild_8": "AU1 AU2 AU4 AU6 AU12 AU15 AU20 AU25",
    "bp4d_12": "AU1 AU2 AU4 AU6 AU7 AU10 AU12 AU14 AU15 AU17 AU23 AU24",
    "disfa_12": "AU1 AU2 AU4 AU5 AU6 AU9 AU12 AU15 AU17 AU20 AU25 AU26",
    "disfa_8": "AU1 AU2 AU4 AU6 AU9 AU12 AU25 AU26",
}


def test_the_spaces_are_the_published_ones():
    assert {name: " ".join(s.classes) for name, s in EXPRESSION_SPACES.items()} == PUBLISHED
    assert {name: " ".join(s.names) for name, s in ACTION_UNIT_SPACES.items()} == UNITS


def test_affectnet_labels_in_aff_wild2():
    indices, valid = expression_indices(AFFECTNET, AFF_WILD2)
    assert indices[valid].tolist() == [0, 4, 5, 6, 3, 2, 1]
    assert valid.tolist() == [True] * 7 + [False]  # Contempt has no counterpart
    indices, valid = expression_indices(AFFECTNET, AFF_WILD2, "contempt_to_other")
    assert indices.tolist() == [0, 4, 5, 6, 3, 2, 1, 7]
    assert valid.all()
    back, _ = expression_indices(AFF_WILD2, AFFECTNET)
    assert back.tolist()[:7] == [0, 6, 5, 4, 1, 2, 3]


def test_a_mapping_renames_only_what_is_lacking():
    indices, valid = expression_indices(AFFECTNET, AFFECTNET, "contempt_to_other")
    assert indices.tolist() == list(range(8))
    assert valid.all()


@pytest.mark.parametrize("source", EXPRESSION_SPACES.values(), ids=lambda s: s.name)
@pytest.mark.parametrize("target", EXPRESSION_SPACES.values(), ids=lambda s: s.name)
def test_conversions_keep_the_name(source, target):
    indices, valid = expression_indices(source, target)
    for name, index, known in zip(source.classes, indices, valid, strict=True):
        assert known == (name in target.classes)
        assert not known or target.classes[index] == name


def test_action_units_are_found_by_number():
    source, target = ACTION_UNIT_SPACES["disfa_12"], ACTION_UNIT_SPACES["aff_wild_8"]
    columns, valid = action_unit_columns(source, target)
    assert valid.all()
    assert [source.units[column] for column in columns] == list(target.units)
    _, valid = action_unit_columns(target, ACTION_UNIT_SPACES["aff_wild2_12"])
    assert valid.tolist() == [1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0]


def test_valence_and_arousal_from_codes():
    values = [[0.5, -0.25], [-5, -5], [1, -1], [-5, 0.5]]
    found, valid = valence_arousal_from_codes(values, missing=[-5])
    assert found.tolist() == [[0.5, -0.25], [0, 0], [1, -1], [0, 0.5]]
    assert valid.tolist() == [[True, True], [False, False], [True, True], [False, True]]
    found, _ = valence_arousal_from_codes([[-10, 3]], missing=[], scale=10)
    assert found.tolist() == [[-1, 0.3]]


@pytest.mark.parametrize("value", [1.01, -1.5, -2, float("nan"), float("inf"), 1e9])
def test_other_values_are_refused_with_their_place(value):
    with pytest.raises(LabelError) as caught:
        valence_arousal_from_codes([[0, 0], [0, 0], [0.1, value]], missing=[-5])
    assert (caught.value.row, caught.value.column) == (2, "arousal")
    assert f"{value:g}: expected in [-1, 1], or -5 for none" in str(caught.value)


def test_expressions_from_codes():
    found, valid = expression_from_codes([7, -1, 0, 4], AFF_WILD2, missing=[-1])
    assert [AFF_WILD2.classes[i] for i in found[valid]] == ["Other", "Neutral", "Happiness"]
    assert valid.tolist() == [True, False, True, True]
    rafdb = EXPRESSION_SPACES["rafdb_7"]
    found, _ = expression_from_codes([1, 7], rafdb, missing=[], first=1)
    assert [rafdb.classes[i] for i in found] == ["Surprise", "Neutral"]
    found, valid = expression_from_codes([10, 7, 9], AFFECTNET, missing=[8, 9, 10])
    assert valid.tolist() == [False, True, False]


@pytest.mark.parametrize(("code", "first"), [(8, 0), (-2, 0), (0, 1), (9, 1)])
def test_codes_outside_of_the_space_are_refused(code, first):
    with pytest.raises(LabelError, match=f"row 1, expression {code}: expected {first} to "):
        expression_from_codes([1, code], AFF_WILD2, missing=[-1], first=first)


def test_action_units_from_codes():
    space = ActionUnitSpace("two", (4, 12))
    found, valid = action_units_from_codes([[1, 0], [-1, 1], [-1, -1]], space, missing=[-1])
    assert found.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert valid.tolist() == [[True, True], [False, True], [False, False]]
    found, valid = action_units_from_codes(
        [[0, 1], [2, 5]], space, missing=[], present_from=2, highest=5
    )
    assert found.tolist() == [[0, 0], [1, 1]]
    assert valid.all()
    with pytest.raises(LabelError, match="row 1, AU12 2: expected 0 to 1, or 999 for none"):
        action_units_from_codes([[0, 999], [1, 2]], space, missing=[999])


def targets():
    return Targets(
        valence_arousal=np.array([[0.5, 0.1], [0, 0], [-0.5, 1]]),
        valence_arousal_valid=np.array([[True, True], [False, False], [True, True]]),
        expression=np.array([7, 1, 0]),
        expression_valid=np.array([True, True, False]),
        action_units=np.array([[1, 0], [0, 1], [1, 1]]),
        action_units_valid=np.array([[True, True], [True, True], [False, True]]),
        expression_space=AFFECTNET,
        action_unit_space=ActionUnitSpace("two", (4, 12)),
    )


def test_targets_in_other_spaces():
    wanted = ActionUnitSpace("other", (12, 25, 4))
    found = targets().to(AFF_WILD2, wanted)
    assert found.expression.tolist() == [0, 4, 0]
    assert found.expression_valid.tolist() == [False, True, False]
    assert found.action_units.tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0]]
    assert found.action_units_valid.tolist() == [
        [True, False, True],
        [True, False, True],
        [True, False, False],
    ]
    found = targets().to(AFF_WILD2, wanted, "contempt_to_other")
    assert found.expression.tolist() == [7, 4, 0]
    assert found.expression_valid.tolist() == [True, True, False]


def test_a_conversion_changes_nothing_it_was_given():
    before, after = targets(), targets()
    after.to(AFF_WILD2, ActionUnitSpace("other", (12, 25, 4)), "contempt_to_other")
    for name, value in vars(before).items():
        same = (
            np.array_equal(value, getattr(after, name)) if isinstance(value, np.ndarray) else True
        )
        assert same, name


def test_votes_follow_their_class():
    votes = np.array([[0.5, 0.25, 0, 0, 0, 0, 0, 0.25], [0, 0, 0, 0, 0, 0, 0, 1.0]])
    found, kept = convert_votes(votes, AFFECTNET, AFF_WILD2)
    assert found[0].tolist() == pytest.approx([2 / 3, 0, 0, 0, 1 / 3, 0, 0, 0])
    assert kept.tolist() == [True, False]
    found, kept = convert_votes(votes, AFFECTNET, AFF_WILD2, "contempt_to_other")
    assert found.tolist() == [[0.5, 0, 0, 0, 0.25, 0, 0, 0.25], [0, 0, 0, 0, 0, 0, 0, 1]]
    assert kept.all()


def test_spaces_by_name_or_as_a_list():
    assert expression_space("lsd_6").classes == tuple(PUBLISHED["lsd_6"].split())
    assert expression_space("neutral, Happiness").classes == ("Neutral", "Happiness")
    assert action_unit_space("AU1,AU25").units == (1, 25)
    assert action_unit_space("4, 12").units == (4, 12)
    assert AFFECTNET.index("happiness") == 1


@pytest.mark.parametrize("name", ["", "affectnet", "Joy,Neutral", "Anger,Anger", "3,4"])
def test_other_expression_spaces_are_refused(name):
    with pytest.raises(LabelError) as caught:
        expression_space(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "bp4d", "AU1,AU1", "AU0", "AU1,smile", "AU100"])
def test_other_action_unit_spaces_are_refused(name):
    with pytest.raises(LabelError):
        action_unit_space(name)


def test_names_outside_of_a_space_are_refused():
    with pytest.raises(LabelError, match="'Contempt': expected one of Neutral, Anger"):
        AFF_WILD2.index("Contempt")
    with pytest.raises(LabelError):
        ExpressionSpace("mine", ("Joy",))
    assert len(set(EXPRESSIONS)) == 9
