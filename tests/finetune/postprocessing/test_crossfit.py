"""The honest score: nothing is gained from noise, something from what is there."""

from dataclasses import replace

import numpy as np
import pytest
from filmed import filmed
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.metrics import ccc
from finetune.postprocessing.crossfit import folds_of
from finetune.postprocessing.decisions import fit_threshold
from finetune.postprocessing.problem import Problem
from finetune.postprocessing.smoothing import smooth
from finetune.tallies import Decisions

TITLES = ("ccc", "macro_f1", "mean_unit_f1")


@given(
    sizes=st.lists(st.integers(1, 40), min_size=5, max_size=30),
    count=st.integers(2, 5),
    seed=st.integers(0, 100),
)
@settings(max_examples=60, deadline=None)
def test_folds_tear_no_group_apart_and_are_balanced(sizes, count, seed):
    groups = [f"g{k}" for k, size in enumerate(sizes) for _ in range(size)]
    order = np.random.default_rng(seed).permutation(len(groups))
    folds = folds_of([groups[row] for row in order], count, seed)
    by_group = {}
    for row, fold in zip(order, folds, strict=True):
        by_group.setdefault(groups[row], set()).add(int(fold))
    assert all(len(found) == 1 for found in by_group.values())
    rows = np.bincount(folds, minlength=count)
    assert rows.max() - rows.min() <= max(sizes)
    assert (rows > 0).all()
    again = folds_of(groups, count, seed)
    assert again[order].tolist() == folds.tolist()


def test_folds_depend_on_the_seed():
    groups = [f"g{k}" for k in range(30)]
    assert folds_of(groups, 3, 0).tolist() != folds_of(groups, 3, 1).tolist()


def scores(problem, metrics):
    return np.array([float(np.mean(metrics[title])) for title in TITLES])


def gains(table, annotations):
    """What the fit seems to gain on its own rows, and on left-out folds, by task."""
    problem = Problem({"t": table}, annotations, widths=(0, 10, 40))
    raw = scores(problem, problem.metrics(problem.raw.tallies()))
    fitted = scores(problem, problem.metrics(problem.applied(problem.fit()).tallies()))
    left_out = scores(problem, problem.crossfit(4).metrics)
    return fitted - raw, left_out - raw


def balanced(table):
    """Without what a fit could mend knowing nothing: no class is preferred, every unit is found.

    For labels that are noise, finding everything has the best F1 there is.
    """
    faces = table.expression * np.exp(-np.linspace(-1, 1, 8))
    return replace(
        table,
        expression=faces / faces.sum(1, keepdims=True),
        action_units=0.5 + table.action_units / 2,
    )


def test_labels_of_pure_noise_seem_to_gain_on_their_own_rows_and_gain_nothing_elsewhere():
    found = []
    for seed in range(6):
        table, annotations = filmed(rows=360, videos=12, seed=seed, labels_seed=100 + seed)
        found.append(gains(balanced(table), annotations))
    same_rows, left_out = np.mean(found, axis=0)
    assert (same_rows > 0.008).all()
    assert (left_out < 0.004).all()


def test_what_is_there_is_gained_on_left_out_folds_as_well():
    found = [gains(*filmed(rows=360, videos=12, seed=seed)) for seed in range(2)]
    _, left_out = np.mean(found, axis=0)
    assert (left_out > 0.01).all()


def test_every_fold_is_scored_with_what_the_others_chose():
    table, annotations = filmed(rows=240, videos=6, seed=5)
    problem = Problem({"t": table}, annotations, widths=(0, 10))
    judged = problem.crossfit(3, seed=1)
    folds = folds_of(annotations.groups, 3, 1)
    targets = annotations.targets
    affect, decided = np.zeros((240, 2)), np.zeros((240, 12), int)
    widths = {
        width: smooth(table, dict.fromkeys(("valence_arousal", "action_units"), width))
        for width in (0, 10)
    }
    valid = targets.action_units_valid
    for fold in range(3):
        fit, left_out = folds != fold, folds == fold
        by_width = {}
        for width, smoothed in widths.items():
            known = ccc(
                target=targets.valence_arousal[fit],
                prediction=smoothed.valence_arousal[fit],
                valid=targets.valence_arousal_valid[fit],
            )
            by_width[width] = known.mean()
        best = max(by_width, key=by_width.get)
        assert judged.chosen[fold]["valence_arousal"].width == best
        affect[left_out] = widths[best].valence_arousal[left_out]
        smoothed = widths[judged.chosen[fold]["action_units"].width].action_units
        for place in range(12):
            rows = fit & valid[:, place]
            threshold, _ = fit_threshold(targets.action_units[rows, place], smoothed[rows, place])
            decided[left_out, place] = smoothed[left_out, place] >= threshold
    expected = ccc(
        target=targets.valence_arousal, prediction=affect, valid=targets.valence_arousal_valid
    )
    np.testing.assert_allclose(judged.metrics["ccc"], expected)
    f1 = Decisions.of(target=targets.action_units, prediction=decided, valid=valid).f1()
    np.testing.assert_allclose(judged.metrics["unit_f1"], f1)


def test_labels_of_the_left_out_fold_change_nothing_that_is_chosen_for_it():
    table, annotations = filmed(rows=240, videos=6, seed=5)
    folds = folds_of(annotations.groups, 3, 0)
    targets, first = annotations.targets, folds == 0
    other = replace(
        targets,
        valence_arousal=np.where(first[:, None], -targets.valence_arousal, targets.valence_arousal),
        action_units=np.where(first[:, None], 1 - targets.action_units, targets.action_units),
        expression=np.where(first, 7 - targets.expression, targets.expression),
    )
    one, two = (
        Problem({"t": table}, replace(annotations, targets=known), widths=(0, 10)).crossfit(3)
        for known in (targets, other)
    )
    for task, choice in one.chosen[0].items():
        same = two.chosen[0][task]
        assert (choice.width, choice.fit.score) == (same.width, same.fit.score)
        np.testing.assert_array_equal(choice.fit.setting, same.fit.setting)


def test_a_fold_whose_fit_has_no_label_of_a_task_is_decided_plainly():
    table, annotations = filmed(rows=60, videos=3)
    one = np.array(table.videos) == "v1"
    targets = annotations.targets
    few = replace(targets, expression_valid=targets.expression_valid & one)
    judged = Problem({"t": table}, replace(annotations, targets=few), widths=(0, 10)).crossfit(3)
    chosen = [choices["expression"] for choices in judged.chosen]
    (unfitted,) = [choice for choice in chosen if choice.fit is None]
    assert unfitted.width == 0
    right = table.expression.argmax(1) == targets.expression
    assert judged.metrics["accuracy"] == pytest.approx(right[few.expression_valid].mean())


def test_one_recording_has_no_folds():
    table, annotations = filmed(rows=60, videos=1)
    assert Problem({"t": table}, annotations, widths=(0,)).crossfit(5) is None
