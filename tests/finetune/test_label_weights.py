"""Weights and passes of what is rare: by hand, by scikit-learn, and which labels give none."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from finetune.data.columns import make_targets
from finetune.label_weights import (
    WeightError,
    action_unit_weights,
    balanced_passes,
    expression_weights,
)
from finetune.labels import ActionUnitSpace, ExpressionSpace
from pretrain.errors import UserError

reproducible = settings(max_examples=60, deadline=None, derandomize=True, database=None)

FOUR = ExpressionSpace("four", ("Neutral", "Anger", "Fear", "Other"))
THREE = ActionUnitSpace("three", (1, 12, 25))


def expressions(*labels):
    """Rows with these expressions, None is missing; what stands there is the rarest class."""
    valid = np.array([label is not None for label in labels], bool)
    indices = np.array([3 if label is None else label for label in labels], np.int64)
    return make_targets(len(labels), expression=(indices, valid), expression_space=FOUR)


def action_units(*rows):
    """Rows of AU1, AU12 and AU25; None is missing, a 1 stands there."""
    cells = np.array([[math.nan if cell is None else cell for cell in row] for row in rows])
    cells = cells.reshape(-1, 3)
    known = ~np.isnan(cells)
    return make_targets(
        len(cells),
        action_units=(np.where(known, cells, 1).astype(np.int64), known),
        action_unit_space=THREE,
    )


#: 4, 2, 1 and 1 of 8 labelled rows.
ROWS = (0, None, 1, 0, 2, 0, None, 3, 0, 1)


def test_balanced_weights_by_hand():
    weights = expression_weights(expressions(*ROWS), "balanced")
    assert weights == {"Neutral": 0.5, "Anger": 1, "Fear": 2, "Other": 2}


def test_square_roots_are_scaled_to_the_mean_of_one():
    weights = expression_weights(expressions(*ROWS), "sqrt")
    roots = np.sqrt([0.5, 1, 2, 2])
    mean = (4 * roots[0] + 2 * roots[1] + roots[2] + roots[3]) / 8
    assert list(weights) == list(FOUR.classes)
    assert list(weights.values()) == pytest.approx((roots / mean).tolist())


LABELS = st.lists(st.sampled_from([0, 0, 0, 1, 1, 2, 3, None]), max_size=40)


@reproducible
@given(LABELS.map(lambda labels: [*labels, 0, 1, 2, 3]), st.sampled_from(["balanced", "sqrt"]))
def test_weights_have_the_mean_of_one_and_rare_classes_never_the_smaller(labels, how):
    weights = list(expression_weights(expressions(*labels), how).values())
    known = np.array([label for label in labels if label is not None])
    assert np.mean(np.array(weights)[known]) == pytest.approx(1)
    counts = np.bincount(known)
    assert np.all(np.diff(np.array(weights)[np.argsort(-counts, kind="stable")]) >= -1e-12)
    if how == "balanced":
        reference = compute_class_weight("balanced", classes=np.arange(4), y=known)
        assert weights == pytest.approx(reference.tolist())


def test_weights_of_action_units_are_negatives_over_positives():
    rows = [(1, 0, 1), (0, 0, None), (0, 1, 1), (0, None, 0), (None, 1, 1), (0, 0, 1)]
    weights = action_unit_weights(action_units(*rows), "balanced")
    assert weights == {"AU1": 4 / 1, "AU12": 3 / 2, "AU25": 1 / 4}


def test_none_is_no_weight_whatever_the_labels():
    for targets in (expressions(), expressions(0), action_units()):
        assert expression_weights(targets, "none") is None
        assert action_unit_weights(targets, "none") is None


def refusal(found, *arguments):
    with pytest.raises(WeightError) as caught:
        found(*arguments)
    assert isinstance(caught.value, UserError)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("how", ["balanced", "sqrt"])
def test_an_expression_without_a_row_has_no_weight(how):
    assert refusal(expression_weights, expressions(0, 0, 1, None), how) == (
        f"losses.expression_weights {how}: Fear, Other in 0 of 3 rows with an expression, expected"
        " at least 1 of each of the 4; losses.expression_weights none weighs all the same"
    )
    message = refusal(expression_weights, expressions(None), how)
    assert "Neutral, Anger, Fear, Other in 0 of 0 rows" in message


def test_an_action_unit_on_one_side_alone_has_no_weight():
    rows = [(0, 1, None), (0, 1, None), (None, 1, None), (1, 0, None)]
    assert refusal(action_unit_weights, action_units(*rows[:3]), "balanced") == (
        "losses.action_unit_weights balanced: AU1 in 0 of 2, AU12 in 3 of 3, AU25 in 0 of 0"
        " labelled rows, expected rows with and without it; losses.action_unit_weights none weighs"
        " both the same"
    )
    message = refusal(action_unit_weights, action_units(*rows), "balanced")
    assert "balanced: AU25 in 0 of 0 labelled rows" in message


def test_another_way_to_weigh_is_refused():
    assert refusal(expression_weights, expressions(*ROWS), "inverse") == (
        "losses.expression_weights 'inverse', expected one of none, balanced, sqrt"
    )
    assert refusal(action_unit_weights, action_units(), "sqrt") == (
        "losses.action_unit_weights 'sqrt', expected one of none, balanced"
    )


def test_passes_by_hand():
    passes = balanced_passes(expressions(*ROWS))
    assert passes == {"Neutral": 0.5, "Anger": 1, "Fear": 2, "Other": 2}
    passes = balanced_passes(expressions(0, 0, 0, 0, 0, 0, 2, 2, None))
    assert passes == {"Neutral": 8 / 12, "Fear": 8 / 4}  # 4 samples of each of the two


@reproducible
@given(LABELS)
def test_passes_keep_the_length_and_give_what_occurs_the_same_number(labels):
    known = [FOUR.classes[label] for label in labels if label is not None]
    if not known:
        assert refusal(balanced_passes, expressions(*labels)) == (
            f"balanced sampling: 0 of {len(labels)} rows have an expression, expected some"
        )
        return
    passes = balanced_passes(expressions(*labels))
    samples = {name: passes[name] * known.count(name) for name in passes}
    assert set(samples) == set(known)
    assert sum(samples.values()) == pytest.approx(len(known))
    assert max(samples.values()) == pytest.approx(min(samples.values()))


def test_labels_are_only_read():
    targets = expressions(*ROWS)
    kept = targets.expression.copy(), targets.expression_valid.copy()
    expression_weights(targets, "sqrt")
    balanced_passes(targets)
    assert np.array_equal(targets.expression, kept[0])
    assert np.array_equal(targets.expression_valid, kept[1])
