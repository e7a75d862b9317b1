"""Labels in arrays: some rows, several lists after each other, other spaces; votes included."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.labels import ActionUnitSpace, Targets, expression_space

EIGHT = expression_space("aff_wild2_8")
AFFECTNET = expression_space("affectnet_8")
TWO = ActionUnitSpace("two", (4, 12))

#: A row's labels: (valence, arousal), expression, (AU4, AU12); None is missing.
ROWS = [
    ((0.5, 0.1), 7, (1, 0)),
    ((None, None), 1, (0, 1)),
    ((-0.5, None), None, (None, 1)),
    ((1, -1), 4, (None, None)),
]
VOTES = np.array(
    [
        [0.25, 0, 0, 0, 0, 0, 0, 0.75],
        [0.4, 0.6, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0.5, 0, 0.5, 0, 0, 0],
    ]
)


def targets(rows=ROWS, classes=AFFECTNET, votes=None):
    def columns(place, kind):
        cells = np.array([[np.nan if c is None else c for c in row[place]] for row in rows], float)
        cells = cells.reshape(len(rows), 2)
        return np.nan_to_num(cells).astype(kind), ~np.isnan(cells)

    affect, affect_valid = columns(0, np.float64)
    units, units_valid = columns(2, np.int64)
    return Targets(
        valence_arousal=affect,
        valence_arousal_valid=affect_valid,
        expression=np.array([row[1] or 0 for row in rows], np.int64),
        expression_valid=np.array([row[1] is not None for row in rows], np.bool_),
        action_units=units,
        action_units_valid=units_valid,
        expression_space=classes,
        action_unit_space=TWO,
        expression_votes=votes,
    )


def rows_of(found):
    """The labels row by row, as ROWS has them."""

    def cells(values, valid):
        return tuple(v if k else None for v, k in zip(values.tolist(), valid.tolist(), strict=True))

    return [
        (
            cells(found.valence_arousal[row], found.valence_arousal_valid[row]),
            int(found.expression[row]) if found.expression_valid[row] else None,
            cells(found.action_units[row], found.action_units_valid[row]),
        )
        for row in range(len(found))
    ]


def test_the_rows_say_what_they_were_made_of():
    assert rows_of(targets()) == ROWS
    assert len(targets()) == 4


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [3, 0], [2, 2, 0, 2], [], [1]])
def test_rows_are_selected_in_the_order_that_is_asked_for(rows):
    found = targets(votes=VOTES).select(np.array(rows, np.int64))
    assert rows_of(found) == [ROWS[row] for row in rows]
    assert np.array_equal(found.expression_votes, VOTES[rows])
    assert (found.expression_space, found.action_unit_space) == (AFFECTNET, TWO)
    assert targets().select(np.array(rows, np.int64)).expression_votes is None


def test_a_selection_is_a_copy():
    whole = targets(votes=VOTES.copy())
    part = whole.select(np.array([0, 1]))
    for name in ("valence_arousal", "expression", "action_units", "expression_votes"):
        getattr(part, name)[:] = 0
    assert rows_of(whole) == ROWS
    assert np.array_equal(whole.expression_votes, VOTES)


def test_lists_are_joined_one_after_the_other():
    one, two = targets(ROWS[:1]), targets(ROWS[1:])
    assert rows_of(Targets.joined([one, two])) == ROWS
    assert rows_of(Targets.joined([two, one, one])) == [*ROWS[1:], ROWS[0], ROWS[0]]
    assert rows_of(Targets.joined([one])) == ROWS[:1]
    assert Targets.joined([one, two]).expression_votes is None
    assert rows_of(Targets.joined([targets([]), two])) == ROWS[1:]


def test_a_label_is_all_of_the_votes_where_a_list_has_none():
    voted, plain = targets(votes=VOTES), targets()
    found = Targets.joined([plain, voted])
    assert np.array_equal(found.expression_votes[4:], VOTES)
    assert found.expression_votes[:4].tolist() == [
        [0, 0, 0, 0, 0, 0, 0, 1],
        [0, 1, 0, 0, 0, 0, 0, 0],
        [0] * 8,  # a missing label has no votes, not all of them for the first class
        [0, 0, 0, 0, 1, 0, 0, 0],
    ]
    assert rows_of(found) == ROWS * 2


@pytest.mark.parametrize(
    "other",
    [
        targets(classes=EIGHT),
        replace(targets(), action_unit_space=ActionUnitSpace("swapped", (12, 4))),
    ],
)
def test_lists_in_other_spaces_are_not_joined(other):
    with pytest.raises(AssertionError):
        Targets.joined([targets(), other])


def test_arrays_of_other_lengths_are_no_targets():
    for change in (
        {"expression": np.zeros(3, np.int64)},
        {"action_units_valid": np.ones((4, 3), bool)},
        {"valence_arousal": np.zeros(4)},
        {"expression_votes": np.zeros((4, 7))},
    ):
        with pytest.raises(AssertionError):
            replace(targets(), **change)


def test_votes_are_converted_with_the_labels():
    found = targets(votes=VOTES).to(EIGHT, TWO)
    # AffectNet: 7 Contempt has no counterpart, 1 Happiness is 4 here, 4 Fear is 3, 2 Sadness is 5.
    assert [row[1] for row in rows_of(found)] == [None, 4, None, 3]
    assert found.expression_votes[1:].tolist() == [
        [0.4, 0, 0, 0, 0.6, 0, 0, 0],
        [0] * 8,
        [0, 0, 0, 0.5, 0, 0.5, 0, 0],
    ]
    mapped = targets(votes=VOTES).to(EIGHT, TWO, "contempt_to_other")
    assert [row[1] for row in rows_of(mapped)] == [7, 4, None, 3]
    assert mapped.expression_votes[0].tolist() == [0.25, 0, 0, 0, 0, 0, 0, 0.75]


def test_votes_for_nothing_that_the_new_space_has_leave_no_label():
    votes = np.array([[0, 0, 0, 0, 0, 0, 0, 1.0]])
    found = targets(ROWS[:1], votes=votes).to(EIGHT, TWO)
    assert not found.expression_valid.any()
    assert not found.expression_votes.any()


def test_there_and_back_keeps_what_both_spaces_have():
    back = targets().to(EIGHT, ActionUnitSpace("more", (25, 12, 4))).to(AFFECTNET, TWO)
    assert rows_of(back) == [(a, None if e == 7 else e, u) for a, e, u in ROWS]


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_selecting_and_joining_can_be_exchanged_with_converting(data):
    rows = data.draw(st.lists(st.sampled_from(ROWS), min_size=1, max_size=8))
    cut = data.draw(st.integers(0, len(rows)))
    order = data.draw(st.permutations(range(len(rows))))
    whole = targets(rows)
    joined = Targets.joined([targets(rows[:cut]), targets(rows[cut:])])
    assert rows_of(joined) == rows_of(whole) == rows
    at = np.array(order, np.int64)
    one = whole.select(at).to(EIGHT, TWO, "contempt_to_other")
    other = whole.to(EIGHT, TWO, "contempt_to_other").select(at)
    assert rows_of(one) == rows_of(other)
