"""What expressions and action units teach each other, by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from finetune.labels import ActionUnitSpace, ExpressionSpace, Targets
from finetune.objectives.coupling import (
    DU_2014,
    CouplingConfig,
    CouplingError,
    co_annotated,
    estimated_table,
    matched_units,
    published_table,
    taught_expressions,
    taught_units,
)

NAN = float("nan")
SPACE = ExpressionSpace("three", ("Happiness", "Neutral", "Contempt"))
UNITS = ActionUnitSpace("two", (6, 12))
SHARES = torch.tensor([[0.5, 1.0], [0.0, 0.0], [NAN, NAN]])


def targets(expression, units, expression_valid=None, units_valid=None):
    n = len(expression)
    return Targets(
        valence_arousal=np.zeros((n, 2)),
        valence_arousal_valid=np.zeros((n, 2), bool),
        expression=np.array(expression),
        expression_valid=np.ones(n, bool) if expression_valid is None else expression_valid,
        action_units=np.array(units),
        action_units_valid=np.ones((n, 2), bool) if units_valid is None else units_valid,
        expression_space=SPACE,
        action_unit_space=UNITS,
    )


def test_the_published_table_goes_by_name_in_any_order():
    found = published_table(SPACE, UNITS)
    torch.testing.assert_close(
        found, torch.tensor([[0.51, 1.0], [0.0, 0.0], [NAN, NAN]]), equal_nan=True
    )
    turned = published_table(
        ExpressionSpace("back", SPACE.classes[::-1]), ActionUnitSpace("back", UNITS.units[::-1])
    )
    torch.testing.assert_close(turned, found.flip(0).flip(1), equal_nan=True)


def test_the_published_table_is_the_papers():
    assert len(DU_2014) == 7
    assert all(0 < share <= 1 for row in DU_2014.values() for share in row.values())
    prototypes = {
        name: {unit for unit, share in row.items() if share == 1} for name, row in DU_2014.items()
    }
    assert prototypes["Surprise"] == {1, 2, 25, 26}
    assert prototypes["Anger"] == {4, 7, 24}


def test_a_table_is_estimated_from_rows_with_both_labels():
    expression = [0] * 6 + [1] * 5 + [2] * 4
    units = [[1, 1]] * 3 + [[0, 1]] * 2 + [[1, 1]] + [[0, 0]] * 5 + [[1, 0]] * 4
    valid = np.ones((15, 2), bool)
    valid[5] = False  # says nothing of the sixth happy face
    found = estimated_table(targets(expression, units, units_valid=valid))
    expected = torch.tensor([[0.6, 1.0], [0.0, 0.0], [NAN, NAN]])  # four contempt are too few
    torch.testing.assert_close(found, expected, equal_nan=True)


def test_a_table_of_nothing_is_refused():
    with pytest.raises(CouplingError, match="no expression has 5 images"):
        estimated_table(targets([0, 1], [[0, 1], [1, 1]]))


def test_units_follow_from_the_chances_of_known_expressions():
    logits = torch.tensor([[math.log(0.6), math.log(0.2), math.log(0.2)]], requires_grad=True)
    units, mass = matched_units(logits, SHARES)
    assert mass.item() == pytest.approx(0.8)
    assert units[0].tolist() == pytest.approx([0.6 * 0.5 / 0.8, 0.6 / 0.8])
    assert not units.requires_grad


def test_expressions_follow_from_the_share_of_their_active_units():
    labels = torch.tensor([[0, 1], [1, 1], [0, 0], [0, 0]])
    valid = torch.tensor([[True, True], [True, True], [True, True], [False, False]])
    found, seen = co_annotated(labels, valid, SHARES, 1)
    assert seen.tolist() == [True, True, True, False]
    # Happiness: 1 of 1.5, all, none of its units; Neutral: half, none, all units are at rest.
    for row, (happy, neutral) in enumerate([(1 / 1.5, 0.5), (1, 0), (0, 1)]):
        both = math.exp(happy) + math.exp(neutral)
        expected = [math.exp(happy) / both, math.exp(neutral) / both, 0]
        assert found[row].tolist() == pytest.approx(expected)
    assert found[3].tolist() == [0, 0, 0]


def test_an_unlabelled_unit_counts_for_nothing():
    labels, valid = torch.tensor([[9, 1]]), torch.tensor([[False, True]])
    found, _ = co_annotated(labels, valid, SHARES, 1)
    assert found[0, 0].item() == pytest.approx(math.e / (math.e + 1))
    alone = torch.tensor([[True, False]])
    only_six, _ = co_annotated(torch.tensor([[1, 0]]), alone, torch.tensor([[0.0, 1.0], [0, 0]]), 1)
    assert only_six[0].tolist() == [0, 1]  # nothing is known of the units of the first


def test_a_calm_face_is_neutral_whatever_the_table_is_from() -> None:
    shares = torch.tensor([[0.9, 0.8], [0.05, 0.1], [0.3, 0.2]])  # as estimated: nothing is 0
    calm, both = torch.zeros(1, 2), torch.ones(1, 2)
    valid = torch.ones(1, 2, dtype=torch.bool)
    found, _ = co_annotated(calm, valid, shares, 1)
    assert found[0].argmax() == 1
    assert co_annotated(both, valid, shares, 1)[0][0].argmin() == 1


def test_an_expression_of_other_units_is_not_taken_for_neutral() -> None:
    space = ExpressionSpace("three", ("Happiness", "Neutral", "Surprise"))
    shares = published_table(space, ActionUnitSpace("brows", (1, 2)))
    found, _ = co_annotated(torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool), shares, 1)
    assert found[0, 0] == 0  # of Happiness nothing could be seen
    assert found[0, 1] > found[0, 2] > 0


def test_a_table_that_knows_nothing_of_the_labels_is_refused() -> None:
    known = targets([0], [[0, 1]])
    others = replace(known, expression_space=ExpressionSpace("one", ("Contempt",)))
    with pytest.raises(CouplingError, match=r"du_2014: knows no action unit of two with any"):
        CouplingConfig(co_annotation=1).shares(others)


def test_losses_are_those_of_torch_on_the_rows_that_count():
    torch.manual_seed(0)
    rows = torch.tensor([1.0, 0.0, 1.0])
    units, taught = torch.randn(3, 2), torch.rand(3, 2)
    entries = F.binary_cross_entropy_with_logits(units[[0, 2]], taught[[0, 2]], reduction="sum")
    assert taught_units(units, taught, rows).item() == pytest.approx(entries.item())
    logits, shares = torch.randn(3, 4), torch.rand(3, 4).softmax(1)
    expected = F.cross_entropy(logits[[0, 2]], shares[[0, 2]], reduction="sum")
    assert taught_expressions(logits, shares, rows).item() == pytest.approx(expected.item())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": "mine"}, "table 'mine', expected one of du_2014, estimated"),
        ({"co_annotation": -1}, "co_annotation -1, expected 0 or more"),
    ],
)
def test_what_cannot_be_taught_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(CouplingConfig(), **changes)
