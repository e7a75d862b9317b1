"""Metrics: values by hand, by scikit-learn and SciPy; what must not happen; what is refused."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from finetune import metrics
from finetune.metrics import (
    RANGES,
    abaw_2020_action_units,
    abaw_2020_expression,
    accuracy,
    auc,
    ccc,
    class_f1,
    class_precision,
    class_recall,
    confusion_matrix,
    every_metric,
    lsd_f1,
    macro_f1,
    macro_f1_of_occurring,
    mae,
    mean_recall,
    mean_unit_f1,
    p_au,
    p_expr,
    p_mtl,
    p_va,
    pearson,
    rmse,
    sign_agreement,
    unit_accuracy,
    unit_f1,
    weighted_f1,
)
from finetune.tallies import Confusion, Decisions, MetricError, Moments, Tallies

reproducible = settings(max_examples=60, deadline=None, derandomize=True, database=None)

SERIES = (ccc, pearson, rmse, mae, sign_agreement)
BY_CLASS = (class_precision, class_recall, class_f1)
OVER_CLASSES = (macro_f1, macro_f1_of_occurring, weighted_f1, accuracy, mean_recall)
UNITS = (unit_f1, mean_unit_f1, unit_accuracy)


def grid(values):
    return np.array(values) / 1000


@st.composite
def series(draw, least=1):
    """Target, prediction and mask [n] on a grid of 1e-3, often with equal values."""
    n = draw(st.integers(least, 30))
    values = st.lists(
        st.integers(-1000, 1000) | st.sampled_from([0, 0, 500]), min_size=n, max_size=n
    )
    valid = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assume(valid.sum() >= least)
    return grid(draw(values)), grid(draw(values)), valid


@st.composite
def classes(draw):
    """Target, prediction, mask [n] and K; classes may be absent."""
    n, kinds = draw(st.integers(1, 30)), draw(st.integers(2, 8))
    indices = st.lists(st.integers(0, kinds - 1), min_size=n, max_size=n)
    valid = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    assume(valid.any())
    return np.array(draw(indices)), np.array(draw(indices)), valid, kinds


@st.composite
def units(draw):
    """Target, prediction and mask [n, A]."""
    n, count = draw(st.integers(1, 20)), draw(st.integers(1, 4))
    table = st.lists(st.booleans(), min_size=n * count, max_size=n * count)
    target, prediction, valid = (np.array(draw(table)).reshape(n, count) for _ in range(3))
    assume(valid.any(0).all())
    return target.astype(int), prediction.astype(int), valid


def restated_ccc(target, prediction):
    """From the definition by expected squared distances: 1 - E[(x-y)^2] / the same if independent."""
    if target.std() == 0 or prediction.std() == 0:
        return 0.0
    independent = ((target[:, None] - prediction[None, :]) ** 2).mean()
    return 1 - ((target - prediction) ** 2).mean() / independent


def refusal(call, **arguments):
    with pytest.raises(MetricError) as caught:
        call(**arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------------------- valence and arousal


def test_series_have_the_values_computed_by_hand():
    target, prediction = [0.0, 0.5, 1.0, -0.5], [0.0, 0.5, 0.5, 0.5]
    # means 1/4 and 3/8; variances 5/16 and 3/64; covariance 3/32 - errors 0, 0, -1/2, 1.
    found = {metric: float(metric(target=target, prediction=prediction)) for metric in SERIES}
    covariance = (0 * 0 + 0.25 + 0.5 - 0.25) / 4 - 0.25 * 0.375
    assert covariance == 0.03125
    assert found[ccc] == pytest.approx(2 * 0.03125 / (0.3125 + 0.046875 + 0.015625))
    assert found[pearson] == pytest.approx(0.03125 / np.sqrt(0.3125 * 0.046875))
    assert found[rmse] == pytest.approx(np.sqrt(1.25 / 4))
    assert found[mae] == 1.5 / 4
    assert found[sign_agreement] == 3 / 4


@reproducible
@given(series())
def test_ccc_agrees_with_its_definition_by_squared_distances(rows):
    target, prediction, valid = rows
    found = ccc(target=target, prediction=prediction, valid=valid)
    assert found == pytest.approx(restated_ccc(target[valid], prediction[valid]), abs=1e-9)


@reproducible
@given(series(least=2))
def test_pearson_agrees_with_scipy_and_is_0_for_constants(rows):
    target, prediction, valid = rows
    t, p = target[valid], prediction[valid]
    found = pearson(target=target, prediction=prediction, valid=valid)
    if len(set(t)) == 1 or len(set(p)) == 1:
        assert found == 0
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nearly constant: SciPy's own rounding
            assert found == pytest.approx(stats.pearsonr(t, p).statistic, abs=1e-9)


@reproducible
@given(series())
def test_errors_agree_with_scikit_learn_and_signs_with_a_count(rows):
    target, prediction, valid = rows
    t, p = target[valid], prediction[valid]
    arguments = {"target": target, "prediction": prediction, "valid": valid}
    assert rmse(**arguments) == pytest.approx(reference.root_mean_squared_error(t, p), abs=1e-9)
    assert mae(**arguments) == pytest.approx(reference.mean_absolute_error(t, p), abs=1e-9)
    same = [(a > 0) == (b > 0) and (a < 0) == (b < 0) for a, b in zip(t, p, strict=True)]
    assert sign_agreement(**arguments) == pytest.approx(sum(same) / len(same), abs=1e-12)


@pytest.mark.parametrize("metric", SERIES)
def test_several_series_are_scored_each_with_its_own_mask(metric):
    rng = np.random.default_rng(0)
    target, prediction = rng.uniform(-1, 1, (2, 40, 2))
    valid = rng.random((40, 2)) < 0.7
    both = metric(target=target, prediction=prediction, valid=valid)
    assert both.shape == (2,)
    for column in range(2):
        kept = valid[:, column]
        alone = metric(target=target[kept, column], prediction=prediction[kept, column])
        assert alone.shape == ()
        assert both[column] == pytest.approx(float(alone), abs=1e-12)


@reproducible
@given(series(least=2))
def test_ccc_of_a_series_with_itself_is_1_and_it_is_symmetric(rows):
    target, prediction, _ = rows
    assert ccc(target=target, prediction=target) == float(len(set(target)) > 1)
    forwards = ccc(target=target, prediction=prediction)
    assert forwards == pytest.approx(float(ccc(target=prediction, prediction=target)), abs=1e-12)


@reproducible
@given(series(least=2), st.floats(1.01, 10), st.floats(0.01, 2))
def test_scaling_or_shifting_a_perfect_prediction_lowers_ccc_but_not_pearson(rows, factor, shift):
    target = rows[0]
    assume(len(set(target)) > 1)
    for prediction in (target * factor, target / factor, target + shift):
        assert ccc(target=target, prediction=prediction) < 1
        assert pearson(target=target, prediction=prediction) == pytest.approx(1, abs=1e-9)


def test_ccc_is_not_that_of_sample_moments():
    # Population: var 1/4 and 1/16, covariance 1/8, means apart by 1/4; over n - 1 they double.
    found = ccc(target=[0.0, 1.0], prediction=[0.0, 0.5])
    assert found == pytest.approx(0.25 / (0.25 + 0.0625 + 0.0625))
    assert abs(found - 0.5 / (0.5 + 0.125 + 0.0625)) > 0.05


def test_ccc_pools_all_frames_and_is_no_mean_over_videos():
    target, prediction = np.array([0.0, 0.1, 0.9, 1.0]), np.array([0.1, 0.0, 1.0, 0.9])
    pooled = ccc(target=target, prediction=prediction)
    by_video = [ccc(target=target[i : i + 2], prediction=prediction[i : i + 2]) for i in (0, 2)]
    assert pooled > 0.9
    assert max(by_video) < 0


def test_a_series_far_from_zero_keeps_its_digits():
    target = 1e6 + grid(np.arange(50))
    prediction = 1e6 + grid(np.arange(50) % 7 * 5)
    found = ccc(target=target, prediction=prediction)
    assert found == pytest.approx(restated_ccc(target - 1e6, prediction - 1e6), abs=1e-8)


def test_missing_labels_do_not_cost_digits():
    target, prediction = 1e6 + grid(np.arange(50)), 1e6 + grid(np.arange(50) % 7 * 5)
    valid = np.arange(50) % 5 == 0
    found = ccc(target=target, prediction=prediction, valid=valid)
    want = restated_ccc(target[valid] - 1e6, prediction[valid] - 1e6)
    assert found == pytest.approx(want, abs=1e-8)


def test_zero_agrees_in_sign_with_zero_only():
    assert sign_agreement(target=[0.0, 0.0, 0.0, -0.0], prediction=[0.0, 0.1, -0.1, 0.0]) == 0.5


# -------------------------------------------------------------------------------------- expressions


def test_an_asymmetric_confusion_has_the_values_computed_by_hand():
    #                 predicted 0  1  2
    matrix = np.array([[4, 1, 0], [2, 3, 5], [0, 0, 6]])
    target = np.repeat([0, 0, 1, 1, 1, 2], [4, 1, 2, 3, 5, 6])
    prediction = np.repeat([0, 1, 0, 1, 2, 2], [4, 1, 2, 3, 5, 6])
    rows = {"target": target, "prediction": prediction, "classes": 4}
    assert confusion_matrix(**rows)[:3, :3].tolist() == matrix.tolist()
    assert confusion_matrix(**rows).dtype == np.int64
    assert class_precision(**rows) == pytest.approx([4 / 6, 3 / 4, 6 / 11, 0])
    assert class_recall(**rows) == pytest.approx([4 / 5, 3 / 10, 1, 0])
    f1 = [8 / 11, 6 / 14, 12 / 17]
    assert class_f1(**rows) == pytest.approx([*f1, 0])
    assert macro_f1(**rows) == pytest.approx(sum(f1) / 4)
    assert macro_f1_of_occurring(**rows) == pytest.approx(sum(f1) / 3)
    assert weighted_f1(**rows) == pytest.approx((5 * f1[0] + 10 * f1[1] + 6 * f1[2]) / 21)
    assert accuracy(**rows) == pytest.approx(13 / 21)
    assert mean_recall(**rows) == pytest.approx((0.8 + 0.3 + 1) / 3)


@reproducible
@given(classes())
def test_expression_metrics_agree_with_scikit_learn(rows):
    target, prediction, valid, kinds = rows
    arguments = {"target": target, "prediction": prediction, "valid": valid, "classes": kinds}
    t, p, every = target[valid], prediction[valid], list(range(kinds))
    want = reference.precision_recall_fscore_support(t, p, labels=every, zero_division=0.0)
    for metric, expected in zip(BY_CLASS, want[:3], strict=True):
        assert metric(**arguments) == pytest.approx(expected, abs=1e-9)
    matrix = reference.confusion_matrix(t, p, labels=every)
    assert confusion_matrix(**arguments).tolist() == matrix.tolist()

    def f1(average, labels):
        return reference.f1_score(t, p, average=average, labels=labels, zero_division=0.0)

    present = np.unique(t)
    assert macro_f1(**arguments) == pytest.approx(f1("macro", every), abs=1e-9)
    assert macro_f1_of_occurring(**arguments) == pytest.approx(f1("macro", present), abs=1e-9)
    assert weighted_f1(**arguments) == pytest.approx(f1("weighted", every), abs=1e-9)
    assert accuracy(**arguments) == pytest.approx(reference.accuracy_score(t, p), abs=1e-9)
    recall = reference.recall_score(t, p, average="macro", labels=present)
    assert mean_recall(**arguments) == pytest.approx(recall, abs=1e-9)


@reproducible
@given(classes(), st.randoms(use_true_random=False))
def test_renaming_the_classes_leaves_the_means_and_moves_the_classes(rows, random):
    target, prediction, valid, kinds = rows
    names = np.array(random.sample(range(kinds), kinds))
    before = {"target": target, "prediction": prediction, "valid": valid, "classes": kinds}
    after = {**before, "target": names[target], "prediction": names[prediction]}
    for metric in OVER_CLASSES:
        assert metric(**after) == pytest.approx(metric(**before), abs=1e-12)
    for metric in BY_CLASS:
        assert metric(**after)[names] == pytest.approx(metric(**before), abs=1e-12)


def test_target_and_prediction_have_different_roles():
    one, other = [0, 0, 0, 1], [0, 1, 1, 1]
    forwards = {"target": one, "prediction": other, "classes": 2}
    backwards = {"target": other, "prediction": one, "classes": 2}
    assert class_precision(**forwards).tolist() == class_recall(**backwards).tolist()
    assert class_precision(**forwards).tolist() == pytest.approx([1, 1 / 3])
    assert class_recall(**forwards).tolist() == pytest.approx([1 / 3, 1])
    assert confusion_matrix(**forwards).tolist() == [[1, 2], [0, 1]]


def test_an_absent_class_counts_0_in_macro_f1():
    rows = {"target": [0, 1, 1], "prediction": [0, 1, 1]}
    assert macro_f1(**rows, classes=2) == 1
    assert macro_f1(**rows, classes=8) == 2 / 8
    assert macro_f1_of_occurring(**rows, classes=8) == 1


# ------------------------------------------------------------------------------------- action units


def test_asymmetric_action_units_have_the_values_computed_by_hand():
    # hits, false alarms, misses, rejections: another number for each unit
    counts = [(5, 1, 2, 3), (1, 4, 0, 6), (0, 0, 3, 8)]
    target = np.array([[1] * c[0] + [0] * c[1] + [1] * c[2] + [0] * c[3] for c in counts]).T
    prediction = np.array([[1] * (c[0] + c[1]) + [0] * (c[2] + c[3]) for c in counts]).T
    rows = {"target": target, "prediction": prediction}
    assert unit_f1(**rows) == pytest.approx([10 / 13, 2 / 6, 0])
    assert mean_unit_f1(**rows) == pytest.approx((10 / 13 + 2 / 6) / 3)
    assert unit_accuracy(**rows) == pytest.approx((8 + 7 + 8) / 33)


@reproducible
@given(units())
def test_action_unit_metrics_agree_with_scikit_learn(rows):
    target, prediction, valid = rows
    arguments = {"target": target, "prediction": prediction, "valid": valid}
    want = [
        reference.f1_score(t[kept], p[kept], average="binary", zero_division=0.0)
        for t, p, kept in zip(target.T, prediction.T, valid.T, strict=True)
    ]
    assert unit_f1(**arguments) == pytest.approx(want, abs=1e-9)
    assert mean_unit_f1(**arguments) == pytest.approx(np.mean(want), abs=1e-9)
    right = reference.accuracy_score(target[valid], prediction[valid])
    assert unit_accuracy(**arguments) == pytest.approx(right, abs=1e-9)


def test_the_f1_of_a_unit_is_that_of_the_positives_not_of_both_kinds():
    target, prediction = np.array([[1], [0], [0], [0]]), np.zeros((4, 1), int)
    assert mean_unit_f1(target=target, prediction=prediction) == 0
    assert unit_accuracy(target=target, prediction=prediction) == 0.75


def test_a_unit_that_is_neither_present_nor_found_counts_0():
    nothing = np.zeros((3, 2), bool)
    assert unit_f1(target=nothing, prediction=nothing).tolist() == [0, 0]


@reproducible
@given(units(), st.integers(0, 2**32 - 1))
def test_auc_agrees_with_scikit_learn(rows, seed):
    target, _, valid = rows
    scores = grid(np.random.default_rng(seed).integers(0, 6, target.shape) * 100)  # many ties
    assume(all(len(set(t[kept])) == 2 for t, kept in zip(target.T, valid.T, strict=True)))
    want = [
        reference.roc_auc_score(t[kept], s[kept])
        for t, s, kept in zip(target.T, scores.T, valid.T, strict=True)
    ]
    found = auc(target=target, prediction=scores, valid=valid)
    assert found == pytest.approx(want, abs=1e-9)
    alone = auc(target=target[:, 0], prediction=scores[:, 0], valid=valid[:, 0])
    assert alone.shape == ()
    assert alone == pytest.approx(want[0], abs=1e-9)


def test_auc_of_one_kind_of_label_is_refused():
    message = refusal(auc, target=[[1, 1], [0, 1]], prediction=[[0.5, 0.5], [0.5, 0.5]])
    assert message == ("AUC: got 2 positives and 0 negatives in column 1, expected some of both")


# --------------------------------------------------------------------------------------- composites


def tallies(expressions=8, count=12, n=60, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.uniform(-1, 1, (n, 2))
    guess = target * [0.5, 0.8] + rng.normal(0, 0.2, (n, 2))
    known, seen = rng.integers(0, expressions, (2, n))
    seen = np.where(rng.random(n) < 0.5, known, seen)
    there, found = rng.random((2, n, count)) < np.linspace(0.2, 0.8, count)
    rows = ((target, guess), (known, seen), (there, found))
    return rows, Tallies(
        valence_arousal=Moments.of(target=target, prediction=guess),
        expression=Confusion.of(target=known, prediction=seen, classes=expressions),
        action_units=Decisions.of(target=there, prediction=found),
    )


def test_composites_are_what_the_challenges_say():
    ((t, p), (known, seen), (there, found)), of = tallies()
    va = np.mean([restated_ccc(t[:, i], p[:, i]) for i in (0, 1)])
    f1 = reference.f1_score(known, seen, average="macro")
    au = reference.f1_score(there, found, average="macro")
    assert p_va(of.valence_arousal) == pytest.approx(va)
    assert p_expr(of.expression) == pytest.approx(f1)
    assert p_au(of.action_units) == pytest.approx(au)
    assert p_mtl(**vars(of)) == pytest.approx(va + f1 + au)
    right = 0.5 * au + 0.5 * reference.accuracy_score(there.ravel(), found.ravel())
    assert abaw_2020_action_units(of.action_units) == pytest.approx(right)
    assert abaw_2020_action_units(tallies(count=8)[1].action_units) != pytest.approx(right)


def test_composites_of_seven_and_six_classes():
    (_, (known, seen), _), of = tallies(expressions=7)
    f1, right = reference.f1_score(known, seen, average="macro"), np.mean(known == seen)
    assert abaw_2020_expression(of.expression) == pytest.approx(0.67 * f1 + 0.33 * right)
    (_, (known, seen), _), of = tallies(expressions=6)
    assert lsd_f1(of.expression) == pytest.approx(reference.f1_score(known, seen, average="macro"))


@pytest.mark.parametrize(
    ("composite", "part", "message"),
    [
        (p_expr, "expression", "got 5 classes, expected 8"),
        (lsd_f1, "expression", "got 5 classes, expected 6"),
        (abaw_2020_expression, "expression", "got 5 classes, expected 7"),
        (p_au, "action_units", "got 3 AUs, expected 12"),
        (abaw_2020_action_units, "action_units", "got 3 AUs, expected 8 or 12"),
    ],
)
def test_composites_refuse_another_number_of_classes_or_units(composite, part, message):
    of = getattr(tallies(expressions=5, count=3)[1], part)
    with pytest.raises(MetricError, match=f"^{message}$"):
        composite(of)


def test_p_va_refuses_a_single_series():
    with pytest.raises(MetricError, match=r"^got 1 series, expected 2$"):
        p_va(Moments.of(target=[0.0, 1.0], prediction=[0.0, 1.0]))


def test_every_metric_has_a_range_and_the_value_of_its_function():
    ((t, p), (known, seen), (there, found)), of = tallies()
    by_name = every_metric(of)
    assert set(by_name) <= set(RANGES)
    for name, value in by_name.items():
        low, high = RANGES[name]
        assert np.all((low <= value) & (value <= high)), name
        function = getattr(metrics, name)
        if function in SERIES:
            want = function(target=t, prediction=p)
        elif function in UNITS:
            want = function(target=there, prediction=found)
        else:
            want = function(target=known, prediction=seen, classes=8)
        assert value.tolist() == np.asarray(want).tolist(), name
    assert len(by_name) == len(SERIES) + len(BY_CLASS) + len(OVER_CLASSES) + len(UNITS)


def test_every_metric_leaves_out_tasks_that_are_not_there():
    of = tallies()[1]
    assert set(every_metric(Tallies(action_units=of.action_units))) == {
        "unit_f1",
        "mean_unit_f1",
        "unit_accuracy",
    }
    assert every_metric(Tallies()) == {}


# --------------------------------------------------------------------------- what must not happen


@reproducible
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_rows_is_of_no_matter(seed):
    rng = np.random.default_rng(seed)
    rows, _ = tallies(seed=seed)
    order = rng.permutation(60)
    for metric, pair in ((ccc, rows[0]), (macro_f1, rows[1]), (mean_unit_f1, rows[2])):
        more = {"classes": 8} if metric is macro_f1 else {}
        straight = metric(target=pair[0], prediction=pair[1], **more)
        mixed = metric(target=pair[0][order], prediction=pair[1][order], **more)
        assert mixed == pytest.approx(straight, abs=1e-12)


def every_call(n=12):
    """Each function with rows of its kind."""
    rng = np.random.default_rng(5)
    t, p = rng.uniform(-1, 1, (2, n, 2))
    known, seen = rng.integers(0, 4, (2, n))
    there, found = rng.integers(0, 2, (2, n, 3))
    there[:2], scores = [[0] * 3, [1] * 3], rng.random((n, 3))
    calls = [(f, {"target": t, "prediction": p}) for f in SERIES]
    calls += [
        (f, {"target": known, "prediction": seen, "classes": 4})
        for f in (*BY_CLASS, *OVER_CLASSES, confusion_matrix)
    ]
    calls += [(f, {"target": there, "prediction": found}) for f in UNITS]
    return [*calls, (auc, {"target": there, "prediction": scores})]


@pytest.mark.parametrize(("metric", "rows"), every_call(), ids=lambda v: getattr(v, "__name__", ""))
def test_labels_and_predictions_are_not_overwritten(metric, rows):
    valid = np.ones(rows["target"].shape, bool)
    valid[3] = False
    arrays = {"target": rows["target"], "prediction": rows["prediction"], "valid": valid}
    before = {name: array.copy() for name, array in arrays.items()}
    for array in arrays.values():
        array.flags.writeable = False
    metric(**(rows | arrays))
    for name, array in arrays.items():
        assert np.array_equal(array, before[name]), name


@pytest.mark.parametrize(("metric", "rows"), every_call(), ids=lambda v: getattr(v, "__name__", ""))
def test_missing_labels_mask_the_prediction_too_and_count_neither_as_wrong_nor_as_a_class(
    metric, rows
):
    valid = np.ones(rows["target"].shape, bool)
    valid[[4, 7]] = False
    left = {
        name: rows[name][valid[:, 0] if valid.ndim == 2 else valid]
        for name in ("target", "prediction")
    }
    want = metric(**(rows | left))
    for sentinel in (-5, -1, 0, 1, 99):
        target, prediction = rows["target"].copy(), rows["prediction"].copy()
        target[[4, 7]], prediction[[4, 7]] = sentinel, -sentinel
        found = metric(**(rows | {"target": target, "prediction": prediction, "valid": valid}))
        assert np.asarray(found) == pytest.approx(np.asarray(want), abs=1e-12)


def test_nan_may_stand_where_there_is_no_label():
    rows = {"target": [0.0, np.nan, 1.0], "prediction": [0.1, np.nan, 0.9]}
    assert ccc(**rows, valid=[True, False, True]) == ccc(target=[0.0, 1.0], prediction=[0.1, 0.9])


def test_a_class_that_is_predicted_is_never_taken_for_a_missing_label():
    # Masking by the prediction would drop the row, whose label is there.
    rows = {"target": [0, 1, 1], "prediction": [0, 0, 1], "valid": [True, True, True]}
    assert accuracy(**rows, classes=2) == pytest.approx(2 / 3)
    assert "prediction: got -1 in row 1" in refusal(
        accuracy, **(rows | {"prediction": [0, -1, 1]}), classes=2
    )


@pytest.mark.parametrize("constant", [0.0, 0.1, -1.0, 1 / 3])
def test_a_constant_prediction_has_ccc_0_and_not_nan(constant):
    target = grid(np.arange(-7, 30))
    guess = np.full(37, constant)
    for rows in ((target, guess), (guess, target), (guess, guess)):
        assert ccc(target=rows[0], prediction=rows[1]) == 0
        assert pearson(target=rows[0], prediction=rows[1]) == 0


def test_one_row_has_ccc_0_and_not_nan():
    assert ccc(target=[0.5], prediction=[0.5]) == 0
    assert macro_f1(target=[1], prediction=[1], classes=2) == 0.5


def test_duplicated_rows_count_twice():
    rows = {"target": [0, 0, 0, 1], "prediction": [0, 0, 0, 0]}
    assert accuracy(**rows, classes=2) == 0.75


@pytest.mark.parametrize(("metric", "rows"), every_call(), ids=lambda v: getattr(v, "__name__", ""))
def test_a_task_without_a_label_is_an_error_and_not_nan(metric, rows):
    nothing = rows | {"valid": np.zeros(rows["target"].shape, bool)}
    assert "got no label in 12 rows, expected at least one" in refusal(metric, **nothing)
    empty = {name: rows[name][:0] for name in ("target", "prediction")}
    assert "got no label in 0 rows" in refusal(metric, **(rows | empty))


def test_a_unit_without_a_label_is_named():
    valid = np.array([[True, False], [True, False]])
    rows = {"target": np.zeros((2, 2), int), "prediction": np.zeros((2, 2), int)}
    assert refusal(unit_f1, **rows, valid=valid) == (
        "action units, column 1: got no label in 2 rows, expected at least one"
    )


def test_logits_and_probabilities_are_not_taken_for_decisions():
    rows = {"target": [[1, 0]], "prediction": [[1.0, 0.37]]}
    assert refusal(unit_f1, **rows) == (
        "action units: prediction: got 0.37 in row 0, column 1, expected 0 or 1"
    )
    assert "got -1 in row 0, column 0" in refusal(unit_f1, target=[[-1]], prediction=[[0]])


@pytest.mark.parametrize(("metric", "rows"), every_call(), ids=lambda v: getattr(v, "__name__", ""))
def test_target_and_prediction_cannot_be_mixed_up_by_position(metric, rows):
    with pytest.raises(TypeError):
        metric(rows["target"], rows["prediction"], **{k: rows[k] for k in rows if k == "classes"})


# ------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("metric", "rows", "message"),
    [
        (ccc, ([0.0, 1.0], [0.0]), "valence and arousal: prediction: got shape [1], expected the"),
        (ccc, ([[0.0], [1.0]], [0.0, 1.0]), "prediction: got shape [2], expected the target's, [2, 1]"),
        (ccc, ([0.0, np.nan], [0.0, 1.0]), "target: got nan in row 1, expected finite numbers"),
        (ccc, ([0.0, 1.0], [0.0, np.inf]), "prediction: got inf in row 1, expected finite"),
        (ccc, (["a", "b"], [0.0, 1.0]), "target: got <U1 [2], expected numbers [n] or [n, columns]"),
        (ccc, (0.0, 0.0), "target: got float64 [], expected numbers"),
        (ccc, (np.zeros((2, 2, 2)), np.zeros((2, 2, 2))), "got float64 [2, 2, 2], expected"),
        (accuracy, ([0, 3], [0, 0]), "expression: target: got 3 in row 1, expected 0 to 2"),
        (accuracy, ([0, -1], [0, 0]), "expression: target: got -1 in row 1, expected 0 to 2"),
        (accuracy, ([0, 0], [3, 0]), "expression: prediction: got 3 in row 0, expected 0 to 2"),
        (accuracy, ([0, 0], [0.0, 0.0]), "prediction: got float64 [2], expected class indices"),
        (accuracy, ([[0, 0]], [[0, 0]]), "target: got int64 [1, 2], expected class indices"),
        (accuracy, ([True], [True]), "target: got bool [1], expected class indices"),
        (unit_f1, ([0, 1], [0, 1]), "action units: target: got [2], expected [n, A]"),
        (unit_f1, ([[2]], [[1]]), "action units: target: got 2 in row 0, column 0, expected 0 or 1"),
        (unit_f1, ([[np.nan]], [[1]]), "action units: target: got nan in row 0, column 0"),
        (auc, ([0, 2], [0.1, 0.2]), "AUC: target: got 2 in row 1, expected 0 or 1"),
        (auc, ([0, 1], [0.1, np.nan]), "AUC: prediction: got nan in row 1, expected finite"),
    ],
)  # fmt: skip
def test_what_has_no_score_is_refused_in_one_line(metric, rows, message):
    more = {"classes": 3} if metric is accuracy else {}
    assert message in refusal(metric, target=rows[0], prediction=rows[1], **more)


@pytest.mark.parametrize(
    ("valid", "message"),
    [
        ([1, 0], "valence and arousal: valid: got int64 [2], expected bool [2]"),
        ([True], "valence and arousal: valid: got bool [1], expected bool [2]"),
        ([[True, True]], "valence and arousal: valid: got bool [1, 2], expected bool [2]"),
    ],
)
def test_a_mask_is_boolean_and_of_the_same_shape(valid, message):
    assert refusal(ccc, target=[0.0, 1.0], prediction=[0.0, 1.0], valid=valid) == message


def test_small_types_are_summed_in_float64():
    rng = np.random.default_rng(0)
    target, prediction = rng.uniform(-1, 1, (2, 5000)).astype(np.float16)
    want = restated_ccc(target.astype(np.float64)[:500], prediction.astype(np.float64)[:500])
    found = ccc(target=target[:500], prediction=prediction[:500])
    assert found.dtype == np.float64
    assert found == pytest.approx(want, abs=1e-9)
    indices = rng.integers(0, 8, (2, 5000)).astype(np.uint8)
    matrix = confusion_matrix(target=indices[0], prediction=indices[1], classes=8)
    assert matrix.sum() == 5000
