"""Out-of-fold tables one after the other: overlaps and leaks are refused."""

from dataclasses import replace

import numpy as np
import pytest
from filmed import frames_of, numbers

from finetune.leakage import LeakError, check_fit
from finetune.postprocessing.filling import fill
from finetune.postprocessing.joining import concatenate
from finetune.table import About, TableError

#: Each was predicted by a model that was trained on the videos of the others.
ONE = frames_of(
    ("a", 1, 0.1), ("a", 5, None), about=About(model="m1", training_groups=("b", "c", "video7"))
)
TWO = frames_of(("b", 1, 0.3), about=About(model="m2", training_groups=("a", "c", "video7")))
THREE = frames_of(
    *(("c", 2, 0.4), ("video7_1", 1, 0.5), ("c", 2, 0.4)),
    about=About(model="m3", trained_on=("x",), training_groups=("a", "b")),
)


def test_out_of_fold_tables_become_one_that_nobody_was_trained_on():
    joint = concatenate({"1": ONE, "2": TWO, "3": THREE})
    assert numbers(joint) == [0.1, None, 0.3, 0.4, 0.5, 0.4]
    assert joint.images[:3] == ["a/00001.jpg", "a/00005.jpg", "b/00001.jpg"]
    assert joint.videos == ["a", "a", "b", "c", "video7_1", "c"]
    assert joint.frames.tolist() == [1, 5, 1, 2, 1, 2]
    assert joint.about.training_groups == ()
    assert joint.about.trained_on is None  # nobody knows what the first was trained on
    assert len(joint.about.model) == 64
    assert check_fit(joint.about, joint.groups, force=False) == ()
    (step,) = joint.about.steps
    assert [part["rows"] for part in step.settings["parts"]] == [2, 1, 3]


@pytest.mark.parametrize("trained_on", ["b", "video45"])
def test_a_part_of_its_own_models_training_recordings_is_refused(trained_on):
    leaking = frames_of(
        *(("b_left", 1, 0.2), ("video45_3", 1, 0.2)),
        about=About(model="m", training_groups=(trained_on,)),
    )
    with pytest.raises(LeakError) as caught:
        concatenate({"1": ONE, "leaking": leaking})
    assert str(caught.value).startswith(
        f"leaking: its model was trained on 1 of its recordings ({trained_on})"
    )
    joint = concatenate({"1": ONE, "leaking": leaking}, force=True)
    assert joint.about.training_groups == (trained_on,)
    assert (
        joint.about.steps[-1].remarks[0].startswith("forced: the model of leaking was trained on")
    )
    with pytest.raises(LeakError):
        check_fit(joint.about, joint.groups, force=False)


def test_what_a_model_was_trained_on_can_be_unknown():
    joint = concatenate({"1": ONE, "2": replace(TWO, about=About())})
    assert joint.about.training_groups is None
    assert joint.about.model == ""


def test_parts_of_one_model_keep_its_name():
    assert concatenate({"1": ONE, "2": replace(TWO, about=About(model="m1"))}).about.model == "m1"


def test_an_image_in_two_parts_is_refused():
    with pytest.raises(TableError) as caught:
        concatenate({"1": ONE, "2": TWO, "again": ONE})
    assert str(caught.value) == (
        "again: 2 images are in 1 as well (a/00001.jpg, a/00005.jpg), expected each in one table"
    )


def test_parts_that_differ_or_are_not_raw_are_refused():
    with pytest.raises(TableError, match="2: other tasks than in the first table"):
        concatenate({"1": ONE, "2": replace(TWO, valence_arousal=None)})
    with pytest.raises(TableError, match="2: other videos than in the first table"):
        concatenate({"1": ONE, "2": replace(TWO, videos=None)})
    with pytest.raises(TableError, match="2: went through the steps fill, expected raw"):
        concatenate({"1": ONE, "2": fill(TWO, "nearest")})


def test_decisions_of_parts_are_left_out():
    joint = concatenate({"1": ONE, "2": replace(TWO, thresholds=np.array([0.3]))})
    assert joint.thresholds is None
    assert joint.about.steps[-1].remarks == ("thresholds and biases of 2 are left out",)
