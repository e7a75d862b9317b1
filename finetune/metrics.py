"""Every metric, by keyword: ``target=``, ``prediction=`` and, where labels are missing, ``valid=``.

Conventions
* All arithmetic is float64; inputs are never changed. What stands where ``valid`` is False counts
  nowhere, neither as target nor as prediction, and may be anything, NaN included.
* All valid rows are pooled: no mean over batches, none over videos.
* CCC and Pearson use the population's moments (over n). A constant prediction, or target, has CCC 0
  and Pearson 0, even where both are the same constant.
* Sign agreement takes zero as a sign of its own: 0 agrees with 0 only.
* Macro-F1 is over all K classes: a class that neither occurs nor is predicted counts 0. So does
  the precision of a class that is never predicted and the recall of one that never occurs.
  What is over the classes of the target only says so (:func:`macro_f1_of_occurring`,
  :func:`mean_recall`).
* An AU's F1 is that of the positives, 0 where nothing is present and nothing found; the mean is
  over all A AUs.
* Accuracy of AUs pools the valid entries of all AUs.
* A task, series or AU without a single label has no score: :class:`MetricError`. So do NaN, a
  class index outside 0 to K - 1, and a probability where a decision is due.

The composites of the challenges take sums (:mod:`finetune.tallies`), since they join tasks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from finetune.tallies import Confusion, Decisions, MetricError, Moments, Tallies
from finetune.tallies.rows import Floats, refuse, scored

#: The least and the most that a metric can be.
RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("ccc", "pearson", "p_va"), (-1.0, 1.0)),
    **dict.fromkeys(("rmse", "mae"), (0.0, math.inf)),
    **dict.fromkeys(("class_precision", "class_recall", "class_f1", "macro_f1"), (0.0, 1.0)),
    **dict.fromkeys(("macro_f1_of_occurring", "weighted_f1", "accuracy"), (0.0, 1.0)),
    **dict.fromkeys(("mean_recall", "unit_f1", "mean_unit_f1", "unit_accuracy"), (0.0, 1.0)),
    **dict.fromkeys(("sign_agreement", "p_expr", "p_au", "lsd_f1"), (0.0, 1.0)),
    **dict.fromkeys(("abaw_2020_expression", "abaw_2020_action_units"), (0.0, 1.0)),
    "p_mtl": (-1.0, 3.0),
}


def ccc(*, target: ArrayLike, prediction: ArrayLike, valid: ArrayLike | None = None) -> Floats:
    """Concordance of one series [n], or of several [n, D], as [] or [D]: :meth:`Moments.ccc`."""
    return Moments.of(target=target, prediction=prediction, valid=valid).ccc()


def pearson(*, target: ArrayLike, prediction: ArrayLike, valid: ArrayLike | None = None) -> Floats:
    """Correlation of one series [n], or of several [n, D], as [] or [D]."""
    return Moments.of(target=target, prediction=prediction, valid=valid).pearson()


def rmse(*, target: ArrayLike, prediction: ArrayLike, valid: ArrayLike | None = None) -> Floats:
    """Root of the mean squared error of one series [n], or of several [n, D], as [] or [D]."""
    return Moments.of(target=target, prediction=prediction, valid=valid).rmse()


def mae(*, target: ArrayLike, prediction: ArrayLike, valid: ArrayLike | None = None) -> Floats:
    """Mean absolute error of one series [n], or of several [n, D], as [] or [D]."""
    return Moments.of(target=target, prediction=prediction, valid=valid).mae()


def sign_agreement(
    *, target: ArrayLike, prediction: ArrayLike, valid: ArrayLike | None = None
) -> Floats:
    """Share of equal signs in one series [n], or several [n, D]: :meth:`Moments.sign_agreement`."""
    return Moments.of(target=target, prediction=prediction, valid=valid).sign_agreement()


def confusion_matrix(
    *, target: ArrayLike, prediction: ArrayLike, classes: int, valid: ArrayLike | None = None
) -> NDArray[np.int64]:
    """Rows by target (first axis) and prediction, [K, K], from class indices [n]."""
    found = Confusion.of(target=target, prediction=prediction, classes=classes, valid=valid)
    return found.counts.astype(np.int64)


def class_precision(
    *, target: ArrayLike, prediction: ArrayLike, classes: int, valid: ArrayLike | None = None
) -> Floats:
    """Precision by class [K], from class indices [n]."""
    found = Confusion.of(target=target, prediction=prediction, classes=classes, valid=valid)
    return found.precision()


def class_recall(
    *, target: ArrayLike, prediction: ArrayLike, classes: int, valid: ArrayLike | None = None
) -> Floats:
    """Recall by class [K], from class indices [n]."""
    found = Confusion.of(target=target, prediction=prediction, classes=classes, valid=valid)
    return found.recall()


def class_f1(
    *, target: ArrayLike, prediction: ArrayLike, classes: int, valid: ArrayLike | None = None
) -> Floats:
    """F1 by class [K], from class indices [n]."""
    found = Confusion.of(target=target, prediction=prediction, classes=classes, valid=valid)
    return found.f1()


def macro_f1(
    *, target: ArrayLike, prediction: ArrayLike, classes: int, valid: ArrayLike | None = None
) -> float:
    """Mean F1 over all K classes, an absent one counts 0; from class indices [n]."""
    found = Confusion.of(target=target, prediction=prediction, classes=classes, valid=valid)
    return float(found.macro_f1())


def macro_f1_of_occurring(
    *, target: ArrayLike, prediction: ArrayLike, classes: int, valid: ArrayLike | None = None
) -> float:
    """Mean F1 over the classes that occur in the target; from class indices [n]."""
    found = Confusion.of(target=target, prediction=prediction, classes=classes, valid=valid)
    return float(found.macro_f1_of_occurring())


def weighted_f1(
    *, target: ArrayLike, prediction: ArrayLike, classes: int, valid: ArrayLike | None = None
) -> float:
    """Mean F1, weighted by how often a class occurs in the target; from class indices [n]."""
    found = Confusion.of(target=target, prediction=prediction, classes=classes, valid=valid)
    return float(found.weighted_f1())


def accuracy(
    *, target: ArrayLike, prediction: ArrayLike, classes: int, valid: ArrayLike | None = None
) -> float:
    """Share of right classes; from class indices [n]."""
    found = Confusion.of(target=target, prediction=prediction, classes=classes, valid=valid)
    return float(found.accuracy())


def mean_recall(
    *, target: ArrayLike, prediction: ArrayLike, classes: int, valid: ArrayLike | None = None
) -> float:
    """Mean recall over the classes that occur in the target; from class indices [n]."""
    found = Confusion.of(target=target, prediction=prediction, classes=classes, valid=valid)
    return float(found.mean_recall())


def unit_f1(*, target: ArrayLike, prediction: ArrayLike, valid: ArrayLike | None = None) -> Floats:
    """F1 of the positives by AU [A], from binary decisions [n, A]."""
    return Decisions.of(target=target, prediction=prediction, valid=valid).f1()


def mean_unit_f1(
    *, target: ArrayLike, prediction: ArrayLike, valid: ArrayLike | None = None
) -> float:
    """Mean over the AUs of the F1 of the positives, from binary decisions [n, A]."""
    return float(Decisions.of(target=target, prediction=prediction, valid=valid).mean_f1())


def unit_accuracy(
    *, target: ArrayLike, prediction: ArrayLike, valid: ArrayLike | None = None
) -> float:
    """Share of right decisions over the valid entries of all AUs, from decisions [n, A]."""
    return float(Decisions.of(target=target, prediction=prediction, valid=valid).accuracy())


def auc(*, target: ArrayLike, prediction: ArrayLike, valid: ArrayLike | None = None) -> Floats:
    """Area under the ROC curve of scores [n], or by AU of scores [n, A], as [] or [A].

    Equal scores count half. It is no function of sums, so it has no interval.

    Source: Hanley & McNeil 1982, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve".

    Raises:
        MetricError: as well where only positives, or only negatives, are labelled.
    """
    task = "AUC"
    known, score, mask = scored(task, target=target, prediction=prediction, valid=valid)
    refuse(task, "target", known, mask & (known != 0) & (known != 1), "0 or 1")
    refuse(task, "prediction", score, mask & ~np.isfinite(score), "finite numbers")
    columns = (values.reshape(len(values), -1).T for values in (known, score, mask))
    found = [
        _area(scores[kept & (labels == 1)], scores[kept & (labels == 0)], column)
        for column, (labels, scores, kept) in enumerate(zip(*columns, strict=True))
    ]
    return np.array(found).reshape(known.shape[1:])


def p_va(valence_arousal: Moments) -> Floats:
    """Valence-arousal track: the mean of both CCCs.

    Source: Kollias 2022, "ABAW: valence-arousal estimation, expression recognition, action unit
    detection & multi-task learning challenges".
    """
    return _mean("series", valence_arousal.ccc(), 2)


def p_expr(expression: Confusion) -> Floats:
    """Expression track: macro-F1 over 8 classes. Source: as :func:`p_va`."""
    return _mean("classes", expression.f1(), 8)


def p_au(action_units: Decisions) -> Floats:
    """Action unit track: mean F1 over 12 AUs. Source: as :func:`p_va`."""
    return _mean("AUs", action_units.f1(), 12)


def p_mtl(*, valence_arousal: Moments, expression: Confusion, action_units: Decisions) -> Floats:
    """Multi-task challenge: the sum of the three tracks' scores. Source: as :func:`p_va`."""
    return p_va(valence_arousal) + p_expr(expression) + p_au(action_units)


def lsd_f1(expression: Confusion) -> Floats:
    """Learning from synthetic data: macro-F1 over 6 classes.

    Source: Kollias 2022, "ABAW: learning from synthetic data & multi-task learning challenges".
    """
    return _mean("classes", expression.f1(), 6)


def abaw_2020_expression(expression: Confusion) -> Floats:
    """ABAW1 and ABAW2: 0.67 macro-F1 + 0.33 accuracy, over 7 classes.

    Source: Kollias et al. 2020, "Analysing affective behavior in the first ABAW 2020 competition".
    """
    return 0.67 * _mean("classes", expression.f1(), 7) + 0.33 * expression.accuracy()


def abaw_2020_action_units(action_units: Decisions) -> Floats:
    """ABAW1 (8 AUs) and ABAW2 (12): 0.5 mean F1 + 0.5 accuracy.

    Source: as :func:`abaw_2020_expression`.
    """
    return 0.5 * _mean("AUs", action_units.f1(), 8, 12) + 0.5 * action_units.accuracy()


def every_metric(tallies: Tallies) -> dict[str, Floats]:
    """All metrics of the tasks that are there, by name.

    The tracks' scores are not among them: a number of classes does not tell whether they are a
    challenge's.

    Returns:
        [...], and [..., D], [..., K] or [..., A] where a metric is by series, class or unit.
    """
    found: dict[str, Floats] = {}
    if affect := tallies.valence_arousal:
        found["ccc"] = affect.ccc()
        found["pearson"] = affect.pearson()
        found["rmse"] = affect.rmse()
        found["mae"] = affect.mae()
        found["sign_agreement"] = affect.sign_agreement()
    if expression := tallies.expression:
        found["class_precision"] = expression.precision()
        found["class_recall"] = expression.recall()
        found["class_f1"] = expression.f1()
        found["macro_f1"] = expression.macro_f1()
        found["macro_f1_of_occurring"] = expression.macro_f1_of_occurring()
        found["weighted_f1"] = expression.weighted_f1()
        found["accuracy"] = expression.accuracy()
        found["mean_recall"] = expression.mean_recall()
    if units := tallies.action_units:
        found["unit_f1"] = units.f1()
        found["mean_unit_f1"] = units.mean_f1()
        found["unit_accuracy"] = units.accuracy()
    return found


def _area(high: Floats, low: Floats, column: int) -> float:
    """The share of pairs (positive, negative) in which the positive has the higher score."""
    if not (high.size and low.size):
        raise MetricError(
            f"AUC: got {high.size} positives and {low.size} negatives in column {column}, expected"
            " some of both"
        )
    low = np.sort(low)
    below, not_above = np.searchsorted(low, high, "left"), np.searchsorted(low, high, "right")
    return float((below + not_above).mean() / (2 * len(low)))


def _mean(what: str, scores: Floats, *sizes: int) -> Floats:
    size = scores.shape[-1] if scores.ndim else 1
    if size not in sizes:
        raise MetricError(f"got {size} {what}, expected {' or '.join(map(str, sizes))}")
    return np.asarray(scores.mean(-1))
