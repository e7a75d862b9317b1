"""What is chosen is the best of what is tried, in the spaces of the table."""

from dataclasses import replace

import numpy as np
import pytest
from filmed import filmed
from sklearn.metrics import f1_score
from tables import EIGHT, TWELVE

from finetune.labels import ExpressionSpace
from finetune.leakage import LeakError
from finetune.metrics import ccc
from finetune.postprocessing.columns import TASKS
from finetune.postprocessing.decisions import decide
from finetune.postprocessing.ensembling import ensemble
from finetune.postprocessing.problem import Problem
from finetune.postprocessing.smoothing import smooth
from finetune.scoring.joined import join
from finetune.table import About, TableError

WIDTHS = (0, 5, 20, 80)


@pytest.fixture(scope="module")
def film():
    return filmed(rows=480, videos=8, seed=3)


@pytest.fixture(scope="module")
def problem(film):
    return Problem({"t": film[0]}, film[1], widths=WIDTHS)


@pytest.fixture(scope="module")
def rules(problem):
    return problem.fit()


def test_the_width_has_the_best_score_of_those_tried(film, rules):
    table, annotations = film
    targets = annotations.targets
    scores = []
    for width in WIDTHS:
        smoothed = smooth(table, {"valence_arousal": width}).valence_arousal
        found = ccc(
            target=targets.valence_arousal,
            prediction=smoothed,
            valid=targets.valence_arousal_valid,
        )
        scores.append(found.mean())
    assert rules.widths["valence_arousal"] == WIDTHS[np.argmax(scores)] == 20
    assert set(rules.widths) == set(TASKS)


def test_thresholds_are_the_best_for_smoothed_probabilities(film, rules):
    table, annotations = film
    smoothed = smooth(table, {"action_units": rules.widths["action_units"]}).action_units
    valid = annotations.targets.action_units_valid[:, 0]
    for place, name in enumerate(TWELVE.names[:2]):
        labels = annotations.targets.action_units[valid, place]
        scores = smoothed[valid, place]
        best = max(f1_score(labels, scores >= cut) for cut in np.unique(scores))
        assert f1_score(labels, scores >= rules.thresholds[name]) == pytest.approx(best)


def test_the_rules_score_what_the_fit_says(problem, rules):
    metrics = problem.metrics(problem.applied(rules).tallies())
    raw = problem.metrics(problem.raw.tallies())
    for metric in ("p_mtl", "macro_f1", "mean_unit_f1"):
        assert metrics[metric] > raw[metric] + 0.01
    every = np.ones(480, bool)
    for objective in problem.objectives:
        weights, width = (1.0,), rules.widths[objective.task]
        prediction = problem.candidates.prediction(objective, weights, width)
        score = objective.fit(prediction, every).score
        name = {"valence_arousal": "ccc", "expression": "macro_f1", "action_units": "mean_unit_f1"}
        assert score == pytest.approx(np.mean(metrics[name[objective.task]]))


def test_rows_in_another_order_give_the_same_rules(film, rules):
    table, annotations = film
    order = np.random.default_rng(0).permutation(480)
    again = Problem({"t": table.select(order)}, annotations, widths=WIDTHS).fit()
    assert again.widths == rules.widths
    assert again.biases == rules.biases
    assert again.thresholds == pytest.approx(rules.thresholds)


def test_what_the_labels_do_not_know_keeps_what_is_plain(film):
    table, annotations = film
    rng = np.random.default_rng(0)
    classes = ("Contempt", *reversed(EIGHT.classes))
    faces = np.column_stack([rng.random(480) / 2, table.expression[:, ::-1]])
    wider = replace(
        table,
        expression=faces / faces.sum(1, keepdims=True),
        expression_space=ExpressionSpace("wide", classes),
    )
    targets = annotations.targets
    rare = targets.expression == EIGHT.index("Fear")
    fewer = replace(
        targets,
        expression_valid=targets.expression_valid & ~rare,
        action_units=np.where(np.arange(12) == 3, 0, targets.action_units),
        action_units_valid=targets.action_units_valid & (np.arange(12) != 5),
    )
    found = Problem({"t": wider}, replace(annotations, targets=fewer), widths=(0,)).fit()
    assert list(found.biases) == list(classes)
    assert found.biases["Contempt"] == found.biases["Fear"] == found.biases["Neutral"] == 0
    assert any(found.biases.values())
    assert found.thresholds[TWELVE.names[3]] == found.thresholds[TWELVE.names[5]] == 0.5
    assert found.thresholds[TWELVE.names[0]] != 0.5
    assert f"{TWELVE.names[3]} kept 0.5: no positive row in the fit" in found.remarks
    assert "Fear kept 0: no row in the fit" in found.remarks


def test_contempt_that_counts_as_other_has_the_bias_of_other(film):
    table, annotations = film
    named = ("Neutral", *EIGHT.classes[1:7], "Contempt")
    contempt = replace(table, expression_space=ExpressionSpace("contempt", named))
    plain = Problem({"t": table}, annotations, widths=(0,)).fit().biases
    renamed = Problem({"t": contempt}, annotations, widths=(0,), mapping="contempt_to_other").fit()
    assert renamed.biases["Contempt"] == plain["Other"] != 0


def test_unlabelled_tasks_are_left_alone(film):
    table, annotations = film
    targets = annotations.targets
    nothing = replace(
        targets,
        expression_valid=np.zeros(480, bool),
        action_units_valid=np.zeros((480, 12), bool),
    )
    rules = Problem({"t": table}, replace(annotations, targets=nothing), widths=WIDTHS).fit()
    assert list(rules.widths) == ["valence_arousal"]
    assert (rules.thresholds, rules.biases) == (None, None)


def test_stills_are_not_smoothed(film):
    table, annotations = film
    table = replace(table, videos=None, frames=None)
    rules = Problem({"t": table}, annotations, widths=WIDTHS).fit()
    assert set(rules.widths.values()) == {0}
    assert "no videos with frame numbers: nothing is smoothed" in rules.remarks


def test_weights_prefer_the_better_model_and_the_rules_are_what_was_fitted(film):
    good, annotations = film
    bad = filmed(rows=480, videos=8, seed=3, noise=5)[0]
    worse = replace(good, expression=bad.expression, about=About(model="w", training_groups=()))
    members = {
        "bad": replace(worse, valence_arousal=bad.valence_arousal, action_units=bad.action_units),
        "good": good,
    }
    problem = Problem(members, annotations, widths=(0, 20), weights=(1, 1))
    rules = problem.fit()
    for task in TASKS:
        assert rules.weights[task][1] > rules.weights[task][0]
        assert sum(rules.weights[task]) == pytest.approx(1)
    assert rules.models == ("w", "model 3")
    fitted = problem.metrics(problem.applied(rules).tallies())
    plain = join(ensemble(members, dict.fromkeys(TASKS, (1, 1))), annotations)
    assert fitted["p_mtl"] > problem.metrics(plain.tallies())["p_mtl"] + 0.05


def test_null_rows_are_not_looked_at(film):
    table, annotations = film
    gone = np.random.default_rng(0).random(480) < 0.3
    rules = Problem({"t": table.without(gone)}, annotations, widths=(0,)).fit()
    there = np.flatnonzero(~gone)
    same = Problem({"t": table.select(there)}, annotations.select(there), widths=(0,)).fit()
    assert rules.thresholds == same.thresholds
    assert rules.biases == same.biases


@pytest.mark.parametrize(
    ("trained_on", "names"),
    [("v3", None), ("clip", ("clip_left", "clip_right")), ("video45", ("video45_1", "video45_5"))],
)
def test_recordings_that_a_model_was_trained_on_are_refused(film, trained_on, names):
    table, annotations = film
    if names is not None:
        renamed = [names[row % 2] if row < 120 else video for row, video in enumerate(table.videos)]
        annotations = replace(annotations, videos=renamed)
        table = replace(table, videos=renamed)
    seen = replace(table, about=About(model="m", training_groups=("other", trained_on)))
    with pytest.raises(LeakError, match=rf"t: the model was trained on 1 of .* \({trained_on}\)"):
        Problem({"t": seen}, annotations, widths=(0,))
    # A second table, of which nothing is known, does not hide it.
    unknown = replace(table, about=About(model="n"))
    with pytest.raises(LeakError, match="t: the model was trained on 1 of"):
        Problem({"u": unknown, "t": seen}, annotations, widths=(0,), weights=(1, 1))
    forced = Problem({"t": seen}, annotations, widths=(0,), force=True).fit()
    assert forced.remarks[0].startswith("forced: the model was trained on 1 of the")


def test_tables_that_were_fitted_already_are_refused(film):
    table, annotations = film
    for done, name in (
        (smooth(table, {"expression": 3}), "smooth"),
        (decide(table, thresholds=dict.fromkeys(TWELVE.names, 0.5)), "decide"),
    ):
        with pytest.raises(
            TableError, match=f"t: the table went through the step {name}, expected"
        ):
            Problem({"t": done}, annotations, widths=(0,))
    pair = dict.fromkeys(TASKS, (1, 2))
    mixed = ensemble({"a": table, "b": table}, pair, fitted_on=["v1"])
    with pytest.raises(LeakError, match="t: the step ensemble was fitted on 1 of the 8 recordings"):
        Problem({"t": mixed}, annotations, widths=(0,))
