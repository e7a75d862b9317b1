"""Linear probes: the measure, the folds, what is told, and that nothing leaks out of a test fold."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pretrain.errors import UserError
from pretrain.probing.linear import (
    FOLDS,
    MIN_IMAGES,
    Score,
    Target,
    Task,
    check_tasks,
    concordance,
    probe_tasks,
    subject_folds,
    tasks_of,
)

SUBJECTS = [f"s{row // 5}" for row in range(100)]


def noise(rows=100, width=8, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def classes(rows=100, kinds=2, seed=1):
    return np.random.default_rng(seed).integers(0, kinds, rows)


def expressions(names):
    return [{"expression": name} for name in names]


def task(measure, values, rows=None):
    rows = np.arange(len(values)) if rows is None else np.asarray(rows)
    return Task("it", measure, (Target(rows, np.asarray(values)),))


def scores(features, *tasks, subjects=SUBJECTS, folds=None):
    return probe_tasks(
        features, tasks, subjects, folds or subject_folds(subjects, [{}] * len(subjects))
    )


def mean(features, task, **more):
    return scores(features, task, **more)[task.name].mean


def refusal(call, *arguments):
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The measure.


@pytest.mark.parametrize(
    ("target", "prediction", "expected"),
    [
        ([1, 2, 3], [1, 2, 3], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([1, 2, 3], [2, 3, 4], 4 / 7),  # variances 2/3, means one apart: 2 (2/3) / (4/3 + 1)
        ([0, 0, 1, 1], [0, 0, 2, 2], 8 / 12),  # 2 (1/2) / (1/4 + 1 + 1/4)
        ([1, 2, 3], [5, 5, 5], 0.0),
        ([2, 2], [2, 2], 0.0),
    ],
)
def test_ccc_by_hand(target, prediction, expected):
    found = concordance(np.array(target, float), np.array(prediction, float))
    assert found == pytest.approx(expected)


@given(st.lists(st.tuples(*[st.floats(-10, 10)] * 2), min_size=2, max_size=20))
def test_ccc_is_correlation_times_agreement(pairs):
    x, y = np.array(pairs).T
    if x.std() < 1e-3 or y.std() < 1e-3:
        return
    correlation = np.corrcoef(x, y)[0, 1]
    scale = x.std() / y.std()
    shift = (x.mean() - y.mean()) ** 2 / (x.std() * y.std())
    expected = correlation * 2 / (scale + 1 / scale + shift)
    assert concordance(x, y) == pytest.approx(expected, abs=1e-9)


# The folds.


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_folds_share_no_subject_and_test_every_row_once(data):
    sizes = data.draw(st.lists(st.integers(1, 30), min_size=FOLDS, max_size=12))
    subjects = [f"s{number}" for number, size in enumerate(sizes) for _ in range(size)]
    kind = st.sampled_from(["a", "b", "c", None])
    labels = expressions(data.draw(st.lists(kind, min_size=len(subjects), max_size=len(subjects))))
    folds = subject_folds(subjects, labels)
    assert len(folds) == FOLDS
    assert sorted(row for _, test in folds for row in test) == list(range(len(subjects)))
    for training, test in folds:
        assert len(training)
        assert len(test)
        assert sorted([*training, *test]) == list(range(len(subjects)))
        assert not {subjects[row] for row in training} & {subjects[row] for row in test}


def test_few_subjects_with_faces_of_their_own_fill_every_fold():
    # The stratified splitter alone leaves a fold empty here.
    subjects = [f"s{n}" for n, size in enumerate((40, 60, 50, 70, 50)) for _ in range(size)]
    names = ["a"] * 40 + ["b"] * 60 + ["a"] * 50 + ["b"] * 70 + ["a"] * 50
    folds = subject_folds(subjects, expressions(names))
    assert sorted(len(test) for _, test in folds) == [40, 50, 50, 60, 70]


def test_expressions_of_one_image_each_do_not_keep_folds_from_being_made():
    folds = subject_folds(SUBJECTS[:20] + SUBJECTS[20:30], expressions(map(str, range(30))))
    assert all(len(test) for _, test in folds)


def test_expressions_are_spread_evenly():
    names = np.array(["a", "b"])[np.arange(100) // 5 % 2]
    for _, test in subject_folds(SUBJECTS, expressions(names)):
        assert (names[test] == "a").mean() == 0.5


def test_fewer_than_five_subjects_are_refused():
    message = refusal(subject_folds, ["a", "b", "c", "d"] * 20, [{}] * 80)
    assert "4 subjects, expected at least 5" in message


# What is told.


def test_rare_expressions_are_left_out_and_named():
    names = ["b"] * 30 + ["a"] * MIN_IMAGES + ["d"] * (MIN_IMAGES - 1) + ["c"] * 3 + [None] * 5
    (found,) = tasks_of(expressions(names), None)
    assert (found.name, found.measure) == ("2 expressions", "macro-F1")
    assert found.note == "expressions below 20 images are left out: c, d"
    (target,) = found.targets
    assert target.rows.tolist() == list(range(50))
    assert target.values.tolist() == names[:50]


@pytest.mark.parametrize(
    "contrast", ["happiness/neutral", "NEUTRAL/Happiness", " neutral / happiness"]
)
def test_a_contrast_is_found_in_any_spelling(contrast):
    names = ["Happiness"] * 25 + ["Neutral"] * 20 + ["Fear"] * 20
    pair, rest = tasks_of(expressions(names), contrast)
    assert (pair.name, rest.name) == ("Happiness / Neutral", "3 expressions")
    assert pair.targets[0].rows.tolist() == list(range(45))
    assert pair.targets[0].values.tolist() == names[:45]


@pytest.mark.parametrize(
    ("names", "contrast"),
    [
        (["Happiness"] * 25 + ["Neutral"] * 19 + ["Fear"] * 20, "happiness/neutral"),
        (["Happiness"] * 25 + ["Sadness"] * 25 + ["Fear"] * 20, "happiness/neutral"),
        (["Happiness"] * 25 + ["happiness"] * 25 + ["Fear"] * 20, "happiness/neutral"),
        (["Happiness"] * 25 + ["Neutral"] * 25 + ["Fear"] * 20, None),
        (["Happiness"] * 25 + ["Neutral"] * 25, "happiness/neutral"),  # all there is
    ],
)
def test_a_contrast_that_is_not_there_or_all_there_is_is_absent(names, contrast):
    (found,) = tasks_of(expressions(names), contrast)
    assert found.name.endswith(" expressions")


def test_aus_with_partial_labels_and_rare_ones():
    labels = [{} for _ in range(60)]
    for row in range(60):
        labels[row]["AU12"] = float(row < 30)
        labels[row]["AU2"] = None if row < 10 else float(row < 35)
        labels[row]["AU1"] = float(row < 19)  # 19 positives
        if row < 40:
            labels[row]["AU25"] = float(row > 18)  # 19 negatives
    (found,) = tasks_of(labels, None)
    assert (found.name, found.measure) == ("2 AUs", "F1")
    assert found.note == "AUs below 20 images are left out: AU1, AU25"
    second, twelfth = found.targets
    assert second.rows.tolist() == list(range(10, 60))
    assert second.values.tolist() == [1] * 25 + [0] * 25
    assert twelfth.rows.tolist() == list(range(60))


def test_numbers_with_partial_labels():
    labels = [{"valence": 0.1 * row if row % 2 else None, "arousal": 0.3} for row in range(50)]
    labels += [{"valence": float("nan")}, {}]
    (found,) = tasks_of(labels, None)  # arousal never changes
    assert (found.name, found.measure) == ("valence", "CCC")
    assert found.targets[0].rows.tolist() == list(range(1, 50, 2))
    assert found.targets[0].values.tolist() == pytest.approx([0.1 * row for row in range(1, 50, 2)])


@pytest.mark.parametrize(
    "labels",
    [
        [{}] * 100,
        [{"subject": "a"}] * 100,
        expressions(["a"] * 100),
        expressions(["a"] * 100 + ["b"] * 19),
        [{"valence": 0.5}] * 100,
        [{"valence": 0.1 * row} for row in range(19)],
        [{"AU1": 0.0, "AU2": 1.0}] * 100,
        expressions([None] * 100),
    ],
)
def test_nothing_to_tell_is_refused(labels):
    assert f"the probe's {len(labels)} images: no label" in refusal(tasks_of, labels, "a/b")


def test_labels_of_too_few_subjects_are_refused_by_task():
    folds = subject_folds(SUBJECTS, [{}] * 100)
    values = np.arange(20) / 20
    assert "the probe of it: its labels" in refusal(check_tasks, [task("CCC", values)], folds)
    check_tasks([task("CCC", np.arange(100) / 100)], folds)
    one = np.zeros(100, int)
    one[:5] = 1  # the positives of one subject: nothing to learn where it is held out
    refusal(check_tasks, [task("F1", one)], folds)
    check_tasks(
        [Task("it", "F1", (*task("F1", one).targets, *task("F1", classes()).targets))], folds
    )


# Scores.


def test_features_that_hold_the_answer_score_one():
    values = classes(kinds=3)
    features = np.concatenate([noise(width=2), 20 * np.eye(3)[values]], 1).astype(np.float32)
    names = np.array(["x", "y", "z"])[values]
    assert mean(features, task("macro-F1", names)) == 1.0
    assert mean(features, task("F1", (values == 1).astype(int))) == 1.0
    numbers = values / 2 - 0.5
    assert mean(features, task("CCC", numbers)) > 0.85


def test_noise_scores_as_chance():
    found = mean(
        noise(400, 20), task("macro-F1", classes(400)), subjects=[f"{r // 8}" for r in range(400)]
    )
    assert found == pytest.approx(0.5, abs=0.1)
    number = task("CCC", noise(400, 1, seed=3)[:, 0])
    assert abs(mean(noise(400, 20), number, subjects=[f"{r // 8}" for r in range(400)])) < 0.1


def test_who_it_is_does_not_help():
    """Features that name the subject, and labels that follow from the subject."""
    people = np.arange(200) // 5
    subjects = [f"s{person}" for person in people]
    features = np.concatenate([10 * np.eye(40)[people], noise(200, 40)], 1).astype(np.float32)
    by_person = task("macro-F1", classes(40)[people])
    assert mean(features, by_person, subjects=subjects) < 0.65
    rows = np.random.default_rng(0).permutation(200)
    leaky = [(np.setdiff1d(rows, part), part) for part in np.split(rows, 5)]
    assert mean(features, by_person, subjects=subjects, folds=leaky) > 0.95


def test_rows_of_features_and_labels_belong_together():
    values = classes()
    features = (noise() + 6 * values[:, None]).astype(np.float32)
    assert mean(features, task("macro-F1", values)) > 0.95
    shuffled = np.random.default_rng(5).permutation(100)
    assert mean(features[shuffled], task("macro-F1", values)) < 0.7
    # The same shuffle on both sides: a target on other rows.
    assert mean(features[shuffled], task("macro-F1", values[shuffled])) > 0.95


ONE_FOLD = [(np.arange(60), np.arange(60, 100))]


def test_scaling_and_rotation_know_nothing_of_test_rows():
    """Rows of the test fold that a target does not ask for must not matter, however wild."""
    features = noise(width=400)  # more than the components that are kept
    features[:60, :200] *= 3
    asked = np.arange(80)
    values = classes(80)
    features[:80, :4] += 3 * values[:, None]
    wild = features.copy()
    wild[80:] *= 1e4
    subjects = [f"s{row}" for row in range(100)]
    for measure in ("macro-F1", "CCC"):
        one = task(measure, values if measure != "CCC" else values + noise(80, 1)[:, 0], asked)
        before, after = (
            scores(f, one, subjects=subjects, folds=ONE_FOLD) for f in (features, wild)
        )
        assert before == after
        assert before["it"].folds[0] > 0.03


def test_the_label_of_a_test_row_does_not_change_its_prediction():
    """Of a label and its opposite exactly one can be right."""
    features, values = noise(width=50), classes()
    subjects = [f"s{row}" for row in range(100)]
    for row in range(60, 70):
        rows = np.append(np.arange(60), row)
        found = []
        for label in (0, 1):
            one = task("macro-F1", np.append(values[:60], label), rows)
            found.append(scores(features, one, subjects=subjects, folds=ONE_FOLD)["it"].folds[0])
        assert sorted(found) == [0.0, 1.0]


@pytest.mark.parametrize("width", [10, 300])
def test_with_one_subject_to_learn_from_it_is_a_pipeline_of_scikit_learn(width):
    # One subject cannot be held out of its own rows: the strength is the third of four.
    features, values = noise(width=width), classes(kinds=3)
    numbers = noise(100, 1, seed=7)[:, 0]
    subjects = ["one"] * 60 + ["two"] * 40
    rotation = [PCA(60, svd_solver="randomized", random_state=0)] if width > 256 else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = make_pipeline(
            StandardScaler(),
            *rotation,
            LogisticRegression(C=1e-2, class_weight="balanced", max_iter=200),
        ).fit(features[:60], values[:60])
        ridge = make_pipeline(StandardScaler(), *rotation, Ridge(alpha=1e3))
        ridge.fit(features[:60], numbers[:60])
    expected = f1_score(values[60:], classifier.predict(features[60:]), average="macro")
    found = scores(features, task("macro-F1", values), subjects=subjects, folds=ONE_FOLD)
    assert found["it"].folds == pytest.approx((expected,), rel=1e-4)
    expected = concordance(numbers[60:], ridge.predict(features[60:]))
    found = scores(features, task("CCC", numbers), subjects=subjects, folds=ONE_FOLD)
    assert found["it"].folds == pytest.approx((expected,), rel=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_the_strength_is_the_best_on_people_held_out_of_the_training_rows(seed):
    features = noise(width=40, seed=seed)
    numbers = (features[:, 0] + noise(100, 1, seed=90 + seed)[:, 0]).astype(float)
    subjects = np.random.default_rng(seed).permutation(SUBJECTS).tolist()
    training, test = np.arange(40, 100), np.arange(40)
    scaled = StandardScaler().fit(features[training]).transform(features)
    numbered = np.unique(subjects, return_inverse=True)[1]
    kept, held = next(GroupKFold(4).split(training, groups=numbered[training]))

    def ccc(alpha, learn, ask):
        fitted = Ridge(alpha=alpha).fit(scaled[learn], numbers[learn])
        return concordance(numbers[ask], fitted.predict(scaled[ask]))

    best = max((1e1, 1e2, 1e3, 1e4), key=lambda alpha: ccc(alpha, training[kept], training[held]))
    on_test = {alpha: ccc(alpha, training, test) for alpha in (1e1, 1e2, 1e3, 1e4)}
    assert len(set(on_test.values())) == 4
    found = scores(features, task("CCC", numbers), subjects=subjects, folds=[(training, test)])
    assert found["it"].folds == pytest.approx((on_test[best],))


def test_a_missing_label_leaves_the_row_out_of_this_task_only():
    values = classes()
    features = (noise() + 6 * values[:, None]).astype(np.float32)
    some = np.arange(0, 100, 2)
    poisoned = task("macro-F1", 1 - values[1::2], np.arange(1, 100, 2))
    both = probe_tasks(
        features,
        [
            Task("some", "macro-F1", (Target(some, values[some]),)),
            Task("others", "macro-F1", poisoned.targets),
        ],
        SUBJECTS,
        subject_folds(SUBJECTS, [{}] * 100),
    )
    assert both["some"].mean > 0.95
    assert both["others"].mean > 0.95  # they learned from their own, turned labels


def test_aus_are_scored_each_on_its_rows_and_averaged():
    first, second = classes(seed=1), classes(seed=2)
    features = (noise() + 4 * first[:, None]).astype(np.float32)
    rows = np.arange(10, 90)
    one = Target(np.arange(100), first)
    two = Target(rows, second[rows])
    alone = [scores(features, Task("it", "F1", (target,)))["it"].folds for target in (one, two)]
    both = scores(features, Task("it", "F1", (one, two)))["it"].folds
    assert both == pytest.approx(np.mean(alone, 0))
    assert np.mean(alone[0]) > np.mean(alone[1]) + 0.2


def test_an_au_without_a_positive_in_a_fold_is_not_scored_there():
    folds = subject_folds(SUBJECTS, [{}] * 100)
    common, local = classes(), np.zeros(100, int)
    local[folds[0][1]] = local[folds[1][1]] = 1
    features = (20 * np.stack([common, local], 1) + noise(width=2)).astype(np.float32)
    both = Task("it", "F1", (*task("F1", common).targets, *task("F1", local).targets))
    assert scores(features, both, folds=folds)["it"].folds == (1.0,) * 5


def test_names_of_classes_do_not_matter():
    values = classes(kinds=3)
    features = (noise(width=6) + np.eye(6)[values] * 1.5).astype(np.float32)
    found = [
        scores(features, task("macro-F1", np.array(names)[values]))["it"].folds
        for names in (["a", "b", "c"], ["z", "m", "anything"])
    ]
    assert found[0] == pytest.approx(found[1])
    assert 0.5 < np.mean(found[0]) < 1


def test_a_class_that_a_fold_does_not_hold_is_not_counted_there():
    values = np.array(["a", "b"])[classes()]
    values[60:] = "a"
    features = 20 * (values == "b")[:, None] + noise(width=2)
    features[60] += 20  # one of forty is taken for what the fold does not hold
    found = scores(features.astype(np.float32), task("macro-F1", values), folds=ONE_FOLD)
    assert found["it"].folds == pytest.approx((2 * 39 / (2 * 39 + 1),))


@pytest.mark.filterwarnings("ignore:invalid value")  # the share of a variance of nothing
def test_constant_features_are_chance_and_no_error():
    for width in (3, 300):
        flat = np.full((100, width), 0.1, np.float32)
        found = scores(flat, task("macro-F1", classes()), task("CCC", noise()[:, 0].astype(float)))
        assert all(np.isfinite(score.folds).all() for score in found.values())


def test_a_score_is_the_mean_and_the_deviation_of_a_sample():
    score = Score((1.0, 2.0, 3.0, 4.0, 10.0))
    assert score.mean == 4.0
    assert score.spread == pytest.approx(12.5**0.5)  # (9 + 4 + 1 + 0 + 36) / 4
