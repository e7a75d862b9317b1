"""The top of the page: which notes warn, and which numbers stand for a task."""

from dataclasses import replace

import pytest
from tables import guessed, labelled

from finetune.labels import ACTION_UNIT_SPACES, EXPRESSION_SPACES
from finetune.leakage import check_fit, check_scored
from finetune.reporting.heading import headlines, is_warning
from finetune.scoring.joined import join
from finetune.scoring.scores import score
from finetune.table import About, Step


def test_what_makes_scores_unfair_warns_and_nothing_else_does():
    seen = About(training_groups=("a",))
    forced = Step(name="decide", fitted_on=("a",), remarks=check_fit(seen, ["a"], force=True))
    step = Step(name="smooth", remarks=("non-causal", *check_fit(About(), ["a"], force=False)))
    about = About(training_groups=("a", "c"), steps=(step, forced))
    notes = check_scored(about, ["a", "b"], force=True)
    assert [is_warning(note) for note in notes] == [False, False, True, True, True]
    assert [is_warning(f"baseline: {note}") for note in notes] == [False, False, True, True, True]
    assert not is_warning(check_scored(About(), ["a"], force=False)[0])


@pytest.mark.parametrize(
    ("expressions", "units", "expected"),
    [
        ("aff_wild2_8", "aff_wild2_12", ["p_mtl", "p_va", "p_expr", "p_au"]),
        ("lsd_6", "aff_wild2_12", ["p_va", "lsd_f1", "p_au"]),
        ("aff_wild2_7", "disfa_8", ["p_va", "abaw_2020_expression", "mean_unit_f1"]),
        ("affectnet_8", "disfa_8", ["p_va", "macro_f1", "mean_unit_f1"]),
    ],
)
def test_a_task_is_headed_by_its_challenge_where_it_is_one(expressions, units, expected):
    whole = labelled(rows=200)
    targets = whole.targets.to(EXPRESSION_SPACES[expressions], ACTION_UNIT_SPACES[units])
    annotations = replace(whole, targets=targets)
    scores = score(join(guessed(annotations), annotations), resamples=0)
    assert headlines(scores) == [(name, None) for name in expected]


def test_without_a_composite_both_series_are_headlines():
    annotations = labelled(rows=60)
    affect = annotations.targets.valence_arousal_valid
    affect[:, 1] = False
    table = replace(guessed(annotations), expression=None, expression_space=None)
    scores = score(join(table, annotations), resamples=0)
    assert headlines(scores) == [("ccc", 0), ("p_au", None)]
