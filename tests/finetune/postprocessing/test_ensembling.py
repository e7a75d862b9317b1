"""Weighted means of tables by hand: null rows, other orders, tasks of some members alone."""

from dataclasses import replace

import numpy as np
import pytest
from filmed import filmed, frames_of, numbers

from finetune.labels import ActionUnitSpace, ExpressionSpace
from finetune.postprocessing.columns import TASKS
from finetune.postprocessing.decisions import decide
from finetune.postprocessing.ensembling import ensemble
from finetune.postprocessing.filling import fill
from finetune.postprocessing.smoothing import smooth
from finetune.table import About, Step, TableError, read_table, write_table


def every(*weights):
    return dict.fromkeys(TASKS, weights)


def only(table, task):
    """The table of a model that knows one task."""
    gone = {name: None for name in TASKS if name != task}
    spaces = {"expression": "expression_space", "action_units": "action_unit_space"}
    return replace(table, **gone, **{s: None for t, s in spaces.items() if t != task})


A = frames_of(("a", 1, 0.2), ("a", 2, 0.4), ("a", 3, None), ("b", 1, None))
B = frames_of(("a", 1, 0.8), ("a", 2, None), ("a", 3, 0.6), ("b", 1, None))


def test_the_mean_is_over_the_members_that_predict_a_row():
    assert numbers(ensemble({"a": A, "b": B}, every(1, 1))) == [0.5, 0.4, 0.6, None]
    assert numbers(ensemble({"a": A, "b": B}, every(3, 1))) == [0.35, 0.4, 0.6, None]


def test_a_member_of_no_weight_stands_in_where_it_is_alone():
    assert numbers(ensemble({"a": A, "b": B}, every(0, 2))) == [0.8, 0.4, 0.6, None]


def test_every_task_has_its_own_weights():
    weights = {"valence_arousal": (1, 0), "expression": (0, 1), "action_units": (1, 3)}
    mixed = ensemble({"a": A, "b": B}, weights)
    assert mixed.valence_arousal[0].tolist() == pytest.approx([0.2, -0.2])
    assert mixed.expression[0].tolist() == pytest.approx([0.2, 0.8])
    assert mixed.action_units[0].tolist() == pytest.approx([0.65])


def test_rows_classes_and_units_are_matched_by_name_in_the_order_of_the_first():
    table, _ = filmed(rows=24, videos=3)
    other = filmed(rows=24, videos=3, seed=0, noise=2.0)[0]
    plain = ensemble({"a": table, "b": other}, every(1, 2))
    rng = np.random.default_rng(0)
    rows, classes, units = rng.permutation(24), rng.permutation(8), rng.permutation(12)
    names, numbers_ = other.expression_space.classes, other.action_unit_space.units
    turned = replace(
        other.select(rows),
        expression=other.expression[rows][:, classes],
        expression_space=ExpressionSpace("turned", tuple(names[k] for k in classes)),
        action_units=other.action_units[rows][:, units],
        action_unit_space=ActionUnitSpace("turned", tuple(numbers_[k] for k in units)),
    )
    again = ensemble({"a": table, "b": turned}, every(1, 2))
    assert again.images == table.images
    assert again.expression_space == table.expression_space
    for task in TASKS:
        np.testing.assert_allclose(getattr(again, task), getattr(plain, task), atol=1e-12)


def test_duplicate_images_are_joined_by_occurrence():
    table = frames_of(("a", 1, 0.0), ("a", 1, 1.0), ("a", 2, 0.5))
    assert numbers(ensemble({"a": table, "b": table}, every(1, 1))) == [0.0, 1.0, 0.5]


def test_models_of_other_tasks_make_one_table_whose_rows_are_whole():
    affect, faces = only(A, "valence_arousal"), only(B, "expression")
    both = ensemble({"a": affect, "b": faces}, every(1, 1))
    assert both.present.tolist() == [True, False, False, False]  # each task is known of row 1 alone
    assert both.valence_arousal[0].tolist() == [0.2, -0.2]
    assert both.expression[0].tolist() == pytest.approx([0.2, 0.8])
    assert both.action_units is None
    helped = ensemble({"a": affect, "b": B, "c": faces}, every(1, 1, 1))
    assert helped.present.tolist() == [True, False, True, False]
    assert helped.valence_arousal[:3, 0].tolist() == pytest.approx([0.5, np.nan, 0.6], nan_ok=True)


def test_weights_of_a_task_that_nobody_with_weight_knows_are_refused():
    affect, faces = only(A, "valence_arousal"), only(B, "expression")
    with pytest.raises(TableError, match="expression: all weights are 0, expected some above it"):
        ensemble({"a": affect, "b": faces}, every(1, 0))


def test_what_is_known_of_the_members_is_known_of_the_ensemble():
    one = About(model="m1", trained_on=("x", "y"), training_groups=("g1",), drawn=True)
    two = About(model="m2", trained_on=("y",), training_groups=("g2", "g1"))
    joint = ensemble({"a": replace(A, about=one), "b": replace(B, about=two)}, every(1, 1)).about
    assert joint.trained_on == ("x", "y")
    assert joint.training_groups == ("g1", "g2")
    assert joint.drawn
    assert len(joint.model) == 64
    unknown = ensemble({"a": replace(A, about=one), "b": replace(B, about=About())}, every(1, 1))
    assert unknown.about.model == ""
    assert (unknown.about.trained_on, unknown.about.training_groups) == (None, None)


def test_the_fingerprint_is_of_the_models_and_the_proportion_of_their_weights():
    def fingerprint(first, second, *weights):
        tables = {
            "a": replace(A, about=About(model=first)),
            "b": replace(B, about=About(model=second)),
        }
        return ensemble(tables, every(*weights)).about.model

    assert fingerprint("x", "y", 1, 1) == fingerprint("x", "y", 2, 2)
    others = [("x", "y", 1, 2), ("y", "x", 1, 1), ("x", "z", 1, 1), ("x", "y", 1, 1)]
    assert len({fingerprint(*other) for other in others}) == 4


def test_what_members_were_fitted_on_stays_known_and_their_decisions_are_gone():
    smoothed = smooth(A, {"expression": 3}, fitted_on=["g3"], remarks=["forced: x"])
    decided = decide(smoothed, thresholds={"AU12": 0.2}, fitted_on=["g4"])
    step = Step(name="smooth", settings={"widths": {}}, fitted_on=("g5",))
    other = replace(B, about=About(steps=(step,)))
    mixed = ensemble({"a": decided, "b": other}, every(1, 1), fitted_on=["g6"])
    assert [(s.name, s.fitted_on) for s in mixed.about.steps] == [
        *(("smooth", ("g3",)), ("smooth", ("g5",)), ("ensemble", ("g6",))),
    ]
    assert [s.settings["member"] for s in mixed.about.steps[:2]] == ["a", "b"]
    assert "forced: x" in mixed.about.steps[0].remarks
    assert mixed.thresholds is None
    assert mixed.about.steps[-1].remarks == ("thresholds and biases of a are left out",)
    with pytest.raises(TableError, match="went through the step smooth"):
        smooth(mixed, {"expression": 3})


def test_members_of_other_images_columns_or_frames_are_refused():
    def refusal(other):
        with pytest.raises(TableError) as caught:
            ensemble({"a": A, "b": other}, every(1, 1))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    longer = frames_of(("a", 1, 0.2), ("a", 2, 0.4), ("a", 3, None), ("c", 1, 0.1), ("c", 2, 0.1))
    assert refusal(longer) == "b: lacks 1 rows of 4: b/00001.jpg; expected the same images"
    wider = frames_of(("a", 1, 0.2), ("a", 2, 0.4), ("a", 3, None), ("b", 1, 0.1), ("c", 2, 0.1))
    assert "b: has besides 1 rows of 4: c/00002.jpg" in refusal(wider)
    three = ExpressionSpace("3", ("Neutral", "Happiness", "Fear"))
    thirds = np.where(B.present[:, None], 1 / 3, np.full((4, 3), np.nan))
    faces = replace(B, expression=thirds, expression_space=three)
    assert refusal(faces) == (
        "b: got Neutral, Happiness, Fear, expected Neutral, Happiness, as the others have"
    )
    moved = replace(B, frames=B.frames + 1)
    assert refusal(moved) == (
        "b: other videos or frame numbers than in the first table, expected the same"
    )
    filled = fill(B, "nearest")
    assert refusal(filled).startswith("b: 1 rows were filled, expected predictions of the model")


def test_nothing_that_goes_in_is_changed_and_files_keep_what_comes_out(tmp_path):
    before = [table.valence_arousal.copy() for table in (A, B)]
    mixed = ensemble({"a": A, "b": B}, every(1, 2), fitted_on=["g"])
    for table, values in zip((A, B), before, strict=True):
        np.testing.assert_array_equal(table.valence_arousal, values)
    write_table(tmp_path / "t.parquet", mixed)
    again = read_table(tmp_path / "t.parquet")
    assert numbers(again) == numbers(mixed)
    assert again.about == mixed.about
