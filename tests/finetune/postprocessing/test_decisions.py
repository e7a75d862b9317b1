"""Thresholds against every cut, biases against every value, planted ones found again."""

from dataclasses import replace

import numpy as np
import pytest
from filmed import frames_of
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from tables import guessed, labelled

from finetune.postprocessing.decisions import (
    GRID,
    decide,
    fit_biases,
    fit_threshold,
    fit_thresholds,
)
from finetune.table import TableError

ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.one_of(st.floats(0, 1), st.sampled_from([0, 0.25, 0.5, 1]))),
    min_size=1,
    max_size=12,
).filter(lambda rows: any(label for label, _ in rows))


@given(rows=ROWS)
@settings(max_examples=100, deadline=None)
def test_a_threshold_is_as_good_as_the_best_cut(rows):
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    threshold, f1 = fit_threshold(labels, scores)
    every = [f1_score(labels, scores >= cut, zero_division=0) for cut in (*scores, 1.1)]
    assert f1 == pytest.approx(max(every))
    assert f1 == pytest.approx(f1_score(labels, scores >= threshold))
    assert 0 <= threshold <= 1


def test_a_threshold_is_halfway_between_two_probabilities():
    labels, scores = np.array([0, 1, 0, 1]), np.array([0.2, 0.6, 0.1, 0.9])
    assert fit_threshold(labels, scores) == (pytest.approx(0.4), 1.0)


def test_of_equally_good_thresholds_the_nearest_to_a_half_is_taken():
    # Cuts at .2 (3 found, 2 right) and .7 (1 found and right): F1 2/3 both with one miss.
    labels, scores = np.array([1, 0, 1, 0, 0]), np.array([0.9, 0.1, 0.3, 0.5, 0.45])
    values = {cut: f1_score(labels, scores >= cut) for cut in (0.2, 0.375, 0.475, 0.7)}
    assert values[0.2] == values[0.7] == max(values.values())
    assert fit_threshold(labels, scores)[0] == pytest.approx(0.7)
    assert fit_threshold(labels, 1 - scores[::-1])[0] != pytest.approx(0.7)


def test_where_all_should_be_found_the_threshold_is_below_the_least():
    threshold, f1 = fit_threshold(np.array([1, 1, 1]), np.array([0.4, 0.2, 0.3]))
    assert (threshold, f1) == (0.1, 1.0)
    assert fit_threshold(np.array([1, 1]), np.array([0.0, 0.0])) == (0.0, 1.0)


@pytest.mark.parametrize("low", [0.3, np.nextafter(0.3, 1)])  # halfway is rounded down, and up
def test_neighbouring_floats_are_told_apart(low):
    high = np.nextafter(low, 1)
    threshold, f1 = fit_threshold(np.array([0, 1]), np.array([low, high]))
    assert (threshold, f1) == (high, 1.0)


def test_a_unit_without_a_positive_row_keeps_a_half_and_missing_labels_do_not_count():
    labels = np.array([[0, 1], [0, 0], [1, 1], [0, 0]])
    scores = np.array([[0.9, 0.3], [0.1, 0.2], [0.9, np.nan], [0.2, 0.9]])
    valid = np.array([[True, True], [True, True], [False, False], [True, False]])
    thresholds, f1, present = fit_thresholds(labels, scores, valid)
    assert thresholds.tolist() == [0.5, 0.25]
    assert f1.tolist() == [0, 1]
    assert present.tolist() == [False, True]


def macro(labels, probabilities, biases):
    with np.errstate(divide="ignore"):
        chosen = (np.log(probabilities) + biases).argmax(1)
    f1 = []
    for place in range(probabilities.shape[1]):
        hits = ((chosen == place) & (labels == place)).sum()
        either = (chosen == place).sum() + (labels == place).sum()
        f1.append(2 * hits / either if either else 0)
    return np.mean(f1)


def test_a_planted_bias_is_found_again():
    rng = np.random.default_rng(0)
    true = rng.dirichlet(np.ones(8), 4000)
    planted = np.array([0, 0.5, -0.8, 1.2, -0.3, 0.9, -1.5, 0.2])
    seen = true * np.exp(-planted)
    seen /= seen.sum(1, keepdims=True)
    labels = true.argmax(1)
    biases, score, labelled = fit_biases(labels, seen)
    np.testing.assert_allclose(biases, planted, atol=0.051)
    assert score > 0.99
    assert labelled.all()
    chosen = (np.log(seen) + biases).argmax(1)
    assert score == pytest.approx(f1_score(labels, chosen, average="macro"))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_no_single_bias_can_be_changed_for_the_better(seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), 40)
    probabilities[rng.random((40, 4)) < 0.2] = 0  # which has no logarithm
    probabilities[probabilities.sum(1) == 0] = 0.25
    probabilities /= probabilities.sum(1, keepdims=True)
    labels = rng.integers(0, 4, 40)
    biases, score, _ = fit_biases(labels, probabilities)
    assert biases[0] == 0
    assert score == pytest.approx(macro(labels, probabilities, biases))
    assert score >= macro(labels, probabilities, np.zeros(4)) - 1e-12
    for place in range(1, 4):
        for value in GRID:
            changed = biases.copy()
            changed[place] = value
            assert macro(labels, probabilities, changed) <= score + 1e-9


def test_a_class_without_labels_or_probability_keeps_no_bias():
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(3), 200)
    probabilities = np.column_stack([probabilities, np.zeros(200)])
    labels = rng.choice([0, 1, 3], 200)
    biases, _, labelled = fit_biases(labels, probabilities)
    assert biases[[0, 2, 3]].tolist() == [0, 0, 0]
    assert labelled.tolist() == [True, True, False, True]


def test_biases_that_gain_nothing_stay_zero():
    probabilities = np.array([[0.6, 0.4], [0.3, 0.7], [0.8, 0.2]])
    biases, score, _ = fit_biases(np.array([0, 1, 0]), probabilities)
    assert (biases.tolist(), score) == ([0, 0], 1)


def test_decisions_are_stored_by_name_and_probabilities_stay():
    table = frames_of(("a", 1, 0.4), ("a", 2, 0.6))
    decided = decide(
        table,
        thresholds={"AU12": 0.3},
        biases={"Happiness": 0.5, "Neutral": 0.0},
        fitted_on=["b"],
        remarks=["forced: x"],
    )
    assert decided.thresholds.tolist() == [0.3]
    assert decided.biases.tolist() == [0.0, 0.5]
    assert decided.expression is table.expression
    assert decided.decided_action_units().tolist() == [[1], [1]]
    assert decided.decided_expression().tolist() == [1, 1]  # log .4 + .5 > log .6
    step = decided.about.steps[-1]
    assert (step.name, step.fitted_on, step.remarks) == ("decide", ("b",), ("forced: x",))
    assert table.thresholds is None


def test_what_is_not_decided_stays_as_the_model_had_it():
    table = replace(frames_of(("a", 1, 0.4)), thresholds=np.array([0.2]))
    decided = decide(table, biases={"Neutral": 0.0, "Happiness": 1.0})
    assert decided.thresholds.tolist() == [0.2]


def test_other_names_and_a_second_decision_are_refused():
    table = guessed(labelled())
    with pytest.raises(
        TableError, match="thresholds of AU1, AU45, expected those of the table: AU1"
    ):
        decide(table, thresholds={"AU1": 0.5, "AU45": 0.5})
    units = dict.fromkeys(table.action_unit_space.names, 0.4)
    alone = replace(table, expression=None, expression_space=None)
    with pytest.raises(TableError, match="biases of Neutral, expected those of the table: none"):
        decide(alone, biases={"Neutral": 0.0})
    with pytest.raises(TableError, match="went through the step decide"):
        decide(decide(table, thresholds=units), thresholds=units)
