"""From features to scores: linear probes over folds that share no subject.

Every set of features goes the same way: standardised, rotated to at most 256 principal components,
then a logistic regression (classes) or a ridge regression (numbers) whose strength is chosen inside
of the training part, again by subject. Nothing of a test fold is used before it is scored.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from pretrain.errors import UserError
from pretrain.probing.features import Features

FOLDS = 5

#: Classes, and positives of an AU, with fewer images are not probed: a fold would hold a handful.
MIN_IMAGES = 20

_COMPONENTS = 256
#: Inverse strengths of the logistic regression, strengths of the ridge regression.
_LOGISTIC = (1e-4, 1e-3, 1e-2, 1e-1)
_RIDGE = (1e1, 1e2, 1e3, 1e4)

Labels = Mapping[str, str | float | None]


@dataclass(frozen=True)
class Target:
    """Labels of one thing: the images that have one, [n], and the labels, [n]."""

    rows: NDArray[np.int64]
    values: NDArray[np.generic]


@dataclass(frozen=True)
class Task:
    """Something to be told from features.

    Attributes:
        name: in the table.
        measure: macro-F1, F1 (of the positives) or CCC.
        targets: what is scored by it; the scores are averaged.
        note: what was left out, if anything.
    """

    name: str
    measure: str
    targets: tuple[Target, ...]
    note: str = ""


@dataclass(frozen=True)
class Score:
    """Scores of a task on its test folds."""

    folds: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.folds))

    @property
    def spread(self) -> float:
        """Standard deviation over the folds (with n - 1)."""
        return float(np.std(self.folds, ddof=1))


def tasks_of(labels: Sequence[Labels], contrast: str | None) -> list[Task]:
    """What the labels allow: a contrast, expressions, AUs (all together), valence, arousal.

    Raises:
        UserError: they allow nothing.
    """
    found = [*_expression_tasks(labels, contrast), *_action_unit_task(labels)]
    for name in ("valence", "arousal"):
        values = np.array([_number(row.get(name)) for row in labels])
        rows = np.flatnonzero(~np.isnan(values))
        if len(rows) >= MIN_IMAGES and len(np.unique(values[rows])) > 1:
            found.append(Task(name, "CCC", (Target(rows, values[rows]),)))
    if not found:
        raise UserError(
            f"the probe's {len(labels)} images: no label with {MIN_IMAGES} images of two kinds,"
            " expected expression, valence, arousal or AUs"
        )
    return found


def subject_folds(
    subjects: Sequence[str], labels: Sequence[Labels]
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Five pairs (training rows, test rows) without a common subject, expressions spread evenly.

    Raises:
        UserError: fewer than five subjects.
    """
    if len(set(subjects)) < FOLDS:
        raise UserError(
            f"the probe's images show {len(set(subjects))} subjects, expected at least {FOLDS}"
        )
    names = [str(row.get("expression") or "") for row in labels]
    counts = Counter(names)
    strata = [name if counts[name] >= MIN_IMAGES else "" for name in names]
    people, rows = np.asarray(subjects), np.zeros(len(names))
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # one fold may hold all without expression
        folds = list(splitter.split(rows, strata, people))
    if all(len(test) for _, test in folds):
        return folds
    # With a handful of subjects the stratified splitter may leave a fold empty.
    return list(GroupKFold(FOLDS).split(rows, groups=people))


def check_tasks(
    tasks: Sequence[Task], folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> None:
    """Refuses what cannot be scored on every fold, before anything is computed.

    Raises:
        UserError: names the task.
    """
    for task in tasks:
        for training, test in folds:
            if not any(_rows(task.measure, target, training, test) for target in task.targets):
                raise UserError(
                    f"the probe of {task.name}: its labels belong to too few subjects, expected"
                    f" some to learn and some to score in each of {FOLDS} folds"
                )


def probe_tasks(
    features: Features,
    tasks: Sequence[Task],
    subjects: Sequence[str],
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> dict[str, Score]:
    """Scores of linear probes on features [images, F], by task."""
    people = np.unique(np.asarray(subjects), return_inverse=True)[1]
    scores: dict[str, list[float]] = {task.name: [] for task in tasks}
    # As many threads as torch has: on a busy machine, more of them wait for each other for minutes.
    with threadpool_limits(torch.get_num_threads()):
        for training, test in folds:
            reduced = _reduce(features, training)
            for task in tasks:
                scores[task.name].append(_task_score(task, reduced, people, training, test))
    return {name: Score(tuple(values)) for name, values in scores.items()}


def concordance(target: NDArray[np.floating], prediction: NDArray[np.floating]) -> float:
    """CCC of two series [n], with population moments; 0 for a constant prediction.

    Source: Lin 1989, "A concordance correlation coefficient to evaluate reproducibility".
    """
    covariance = np.mean((target - target.mean()) * (prediction - prediction.mean()))
    spread = target.var() + prediction.var() + (target.mean() - prediction.mean()) ** 2
    return float(2 * covariance / spread) if spread else 0.0


def _expression_tasks(labels: Sequence[Labels], contrast: str | None) -> list[Task]:
    names = np.array([str(row.get("expression") or "") for row in labels])
    kinds, counts = np.unique(names[names != ""], return_counts=True)
    kept = kinds[counts >= MIN_IMAGES]
    found = []
    wanted = {name.strip().lower() for name in (contrast or "").split("/")}
    pair = [kind for kind in kept if kind.lower() in wanted]
    if len(kept) > len(pair) == 2 and pair[0].lower() != pair[1].lower():
        rows = np.flatnonzero(np.isin(names, pair))
        found.append(Task(f"{pair[0]} / {pair[1]}", "macro-F1", (Target(rows, names[rows]),)))
    if len(kept) >= 2:
        rows = np.flatnonzero(np.isin(names, kept))
        targets = (Target(rows, names[rows]),)
        rare = ", ".join(kinds[counts < MIN_IMAGES])
        notes = [f"expressions below {MIN_IMAGES} images are left out: {rare}"] if rare else []
        if contrast and len(pair) < 2:
            notes.append(f"no contrast {contrast}: not both are among the expressions")
        found.append(Task(f"{len(kept)} expressions", "macro-F1", targets, "; ".join(notes)))
    return found


def _action_unit_task(labels: Sequence[Labels]) -> list[Task]:
    units = sorted(
        {key for row in labels for key in row if key.startswith("AU")}, key=lambda au: int(au[2:])
    )
    targets, rare = [], []
    for unit in units:
        values = np.array([_number(row.get(unit)) for row in labels])
        rows = np.flatnonzero(~np.isnan(values))
        values = values[rows].astype(np.int64)
        if min(values.sum(), len(values) - values.sum()) < MIN_IMAGES:
            rare.append(unit)
        else:
            targets.append(Target(rows, values))
    note = f"AUs below {MIN_IMAGES} images are left out: {', '.join(rare)}" if rare else ""
    return [Task(f"{len(targets)} AUs", "F1", tuple(targets), note)] if targets else []


def _number(value: str | float | None) -> float:
    return float("nan") if value is None else float(value)


def _reduce(features: Features, training: NDArray[np.int64]) -> Features:
    """Standardised and rotated by what the training rows say."""
    scaled = StandardScaler().fit(features[training]).transform(features)
    if scaled.shape[1] <= _COMPONENTS:
        return scaled  # type: ignore[no-any-return]
    components = min(_COMPONENTS, len(training))
    rotation = PCA(components, svd_solver="randomized", random_state=0).fit(scaled[training])
    return rotation.transform(scaled)  # type: ignore[no-any-return]


def _task_score(
    task: Task,
    features: Features,
    people: NDArray[np.int64],
    training: NDArray[np.int64],
    test: NDArray[np.int64],
) -> float:
    scores = [
        score
        for target in task.targets
        if (score := _score(task.measure, target, features, people, training, test)) is not None
    ]
    assert scores, f"{task.name}: not checked"
    return float(np.mean(scores))


def _score(
    measure: str,
    target: Target,
    features: Features,
    people: NDArray[np.int64],
    training: NDArray[np.int64],
    test: NDArray[np.int64],
) -> float | None:
    """The score on the test rows; None where there is nothing to learn or nothing to score."""
    rows = _rows(measure, target, training, test)
    if rows is None:
        return None
    learn, held = rows
    known, seen = target.values[learn], features[target.rows[learn]]
    strength = _choose(measure, seen, known, people[target.rows[learn]])
    prediction = _predict(measure, strength, seen, known, features[target.rows[held]])
    return _measure(measure, target.values[held], prediction)


def _rows(
    measure: str, target: Target, training: NDArray[np.int64], test: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Which labels to learn from and which to score; None where either says nothing."""
    learn, held = np.isin(target.rows, training), np.isin(target.rows, test)
    asked = target.values[held]
    # The F1 of positives is not defined without one; 0, as it is often put, would punish the
    # features for how the subjects fell into folds.
    if len(np.unique(target.values[learn])) < 2 or not (
        asked.any() if measure == "F1" else asked.size
    ):
        return None
    return learn, held


def _choose(
    measure: str, features: Features, target: NDArray[np.generic], people: NDArray[np.int64]
) -> float:
    """The strength that is best on a part of the training rows, of people of its own."""
    strengths = _RIDGE if measure == "CCC" else _LOGISTIC
    parts = min(4, len(np.unique(people)))
    if parts < 2:
        return strengths[len(strengths) // 2]
    kept, held = next(GroupKFold(parts).split(features, groups=people))
    scores = [
        _measure(
            measure,
            target[held],
            _predict(measure, strength, features[kept], target[kept], features[held]),
        )
        for strength in strengths
    ]
    return strengths[int(np.argmax(scores))]


def _predict(
    measure: str,
    strength: float,
    features: Features,
    target: NDArray[np.generic],
    unseen: Features,
) -> NDArray[np.generic]:
    if measure == "CCC":
        return Ridge(alpha=strength).fit(features, target).predict(unseen)  # type: ignore[no-any-return]
    if len(np.unique(target)) < 2:
        return np.repeat(target[:1], len(unseen))
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # weakly bound: the score tells
        return model.fit(features, target).predict(unseen)  # type: ignore[no-any-return]


def _measure(measure: str, target: NDArray[np.generic], prediction: NDArray[np.generic]) -> float:
    if measure == "CCC":
        return concordance(target.astype(np.float64), prediction.astype(np.float64))
    if measure == "F1":
        return float(f1_score(target, prediction, average="binary", zero_division=0.0))
    present = np.unique(target)
    return float(f1_score(target, prediction, average="macro", labels=present, zero_division=0.0))
