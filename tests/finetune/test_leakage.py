"""Fits and scores of what has been seen: refused, or said."""

import pytest

from finetune.data.groups import groups_of
from finetune.leakage import LeakError, check_fit, check_scored
from finetune.table import About, Step


def about(training=(), **fitted):
    steps = tuple(Step(name=name, fitted_on=groups) for name, groups in fitted.items())
    return About(model="m", training_groups=training, steps=steps)


#: Rows to fit on, and what a model must not have been trained on: the person beside, another part.
SAME = {
    "the same video": (["12-24-1920x1080"], "12-24-1920x1080"),
    "the person beside": (["8-30-1280x720_right"], "8-30-1280x720_left"),
    "another part": (["video45_1"], "video45_5"),
}


@pytest.mark.parametrize("name", SAME)
def test_a_fit_on_what_the_model_was_trained_on_is_refused(name):
    videos, trained = SAME[name]
    rows = groups_of(["x"] * 2, [*videos, "another"])
    (training,) = set(groups_of(["y"], [trained]))
    with pytest.raises(LeakError) as caught:
        check_fit(about((training,)), rows, force=False)
    assert str(caught.value) == (
        f"the model was trained on 1 of the 2 recordings of the fit ({training}), expected a table"
        " of held-out recordings; --force true fits all the same and marks every score"
    )
    (remark,) = check_fit(about((training,)), rows, force=True)
    assert (
        remark == f"forced: the model was trained on 1 of the 2 recordings of the fit ({training})"
    )


def test_a_fit_on_what_a_step_was_fitted_on_is_refused():
    known = about((), ensemble=("a", "b"), smooth=("c",))
    assert check_fit(known, ["d", "e"], force=False) == ()
    with pytest.raises(LeakError, match=r"the step smooth was fitted on 1 of the 2 .* \(c\)"):
        check_fit(known, ["c", "d"], force=False)
    remarks = check_fit(known, list("abc"), force=True)
    assert [remark.split(" of the 3")[0] for remark in remarks] == [
        "forced: the step ensemble was fitted on 2",
        "forced: the step smooth was fitted on 1",
    ]


def test_an_unknown_training_set_is_said_and_hides_no_step():
    unknown = "fitted on a table whose training recordings are unknown"
    assert check_fit(about(None), ["a"], force=False) == (unknown,)
    with pytest.raises(LeakError, match="the step decide was fitted on"):
        check_fit(about(None, decide=("a",)), ["a"], force=False)


def test_scores_of_what_a_step_was_fitted_on_are_refused():
    known = about(("t",), decide=("a", "b"))
    assert check_scored(known, ["c"], force=False) == []
    with pytest.raises(
        LeakError, match="the step decide was fitted on 1 of the 2 recordings scored"
    ):
        check_scored(known, ["a", "c"], force=False)
    assert check_scored(known, ["a", "t"], force=True) == [
        "forced: the step decide was fitted on 1 of the 2 recordings scored here (a)",
        "the model was trained on 1 of these 2 recordings",
    ]


def test_remarks_of_steps_and_what_is_unknown_stand_beside_every_score():
    step = Step(name="smooth", remarks=("non-causal: x", "forced: y"))
    assert check_scored(About(steps=(step,)), ["a"], force=False) == [
        "smooth: non-causal: x",
        "smooth: forced: y",
        "whether the model was trained on these recordings is unknown",
    ]


def test_groups_are_the_same_under_the_name_of_a_person_or_a_part():
    known = about(("102_left", "video5_1"))
    with pytest.raises(LeakError, match="trained on 1 of the 1 recordings of the fit"):
        check_fit(known, ["102"], force=False)
    assert check_scored(known, ["video5", "7"], force=False) == [
        "the model was trained on 1 of these 2 recordings"
    ]
