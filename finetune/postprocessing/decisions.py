"""From probabilities to decisions: a threshold for each action unit, a bias for each expression.

Source: our own; that both raise F1 on imbalanced labels is common knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from finetune.labels import Floats, Integers, Mask
from finetune.postprocessing.columns import refuse_steps, with_step
from finetune.table import PredictionTable, Step, TableError
from finetune.tallies import Confusion
from finetune.tallies.sums import ratio

#: Biases that are tried, ascending; differences to the first class, which keeps 0.
GRID = np.round(np.arange(-30, 31) / 10, 1)

#: Rounds over all classes, of which a few are needed.
_ROUNDS = 20

#: A gain below this is rounding.
_ROUNDING = 1e-12


def decide(
    table: PredictionTable,
    *,
    thresholds: Mapping[str, float] | None = None,
    biases: Mapping[str, float] | None = None,
    fitted_on: Sequence[str] = (),
    remarks: Sequence[str] = (),
) -> PredictionTable:
    """Stores thresholds and biases in a table; the probabilities stay as they are.

    Args:
        table: nobody has decided yet; what its model came with is replaced.
        thresholds: by the name of the action unit (``AU1``), each that the table has; None leaves
            the table's own.
        biases: by the name of the class, likewise.
        fitted_on: groups of rows whose labels they were fitted on.
        remarks: what a reader of the scores has to know.

    Raises:
        TableError: other action units or classes than the table has, or it was decided already.
    """
    refuse_steps(table.about, ["decide"], "one without fitted thresholds and biases")
    decided = table
    if thresholds is not None:
        units = table.action_unit_space.names if table.action_unit_space else ()
        decided = replace(decided, thresholds=_ordered("thresholds", thresholds, units))
    if biases is not None:
        classes = table.expression_space.classes if table.expression_space else ()
        decided = replace(decided, biases=_ordered("biases", biases, classes))
    step = Step(
        name="decide",
        settings={
            "thresholds": None if thresholds is None else dict(thresholds),
            "biases": None if biases is None else dict(biases),
        },
        fitted_on=tuple(fitted_on),
        remarks=tuple(remarks),
    )
    return with_step(decided, step)


def _ordered(what: str, values: Mapping[str, float], names: Sequence[str]) -> Floats:
    if set(values) != set(names):
        raise TableError(
            f"{what} of {', '.join(values) or 'nothing'}, expected those of the table:"
            f" {', '.join(names) or 'none'}"
        )
    return np.array([values[name] for name in names])


def fit_thresholds(
    labels: Integers, probabilities: Floats, valid: Mask
) -> tuple[Floats, Floats, Mask]:
    """The threshold of each action unit with the best F1; see :func:`fit_threshold`.

    Args:
        labels: [n, A], 0 or 1.
        probabilities: [n, A].
        valid: [n, A], where there are both.

    Returns:
        Thresholds, their F1, and whether a unit has a positive row at all, [A] each. One without
        keeps 0.5, with an F1 of 0.
    """
    columns = zip(labels.T, probabilities.T, valid.T, strict=True)
    found = [fit_threshold(label[rows], score[rows]) for label, score, rows in columns]
    thresholds, f1 = np.array(found).T
    return thresholds, f1, np.asarray(((labels == 1) & valid).any(0))


def fit_threshold(labels: Integers, probabilities: Floats) -> tuple[float, float]:
    """The threshold with the best F1 of the positives, and that F1.

    Thresholds are halfway between neighbouring probabilities (below the least: halfway to 0). Of
    equally good ones the nearest to 0.5 is taken; without a positive row, 0.5.

    Args:
        labels: [n], 0 or 1.
        probabilities: [n].
    """
    positives = int(labels.sum())
    if not positives:
        return 0.5, 0.0
    order = np.argsort(probabilities)
    scores, present = probabilities[order], labels[order]
    # Cut c finds the rows from first[c] on; equal probabilities are never torn apart.
    first = np.flatnonzero(np.append(True, scores[1:] > scores[:-1]))
    hits = positives - np.append(0, np.cumsum(present))[first]
    f1 = 2 * hits / (len(scores) - first + positives)
    low, high = np.append(0, scores)[first], scores[first]
    middle = (low + high) / 2
    cuts = np.where(middle > low, middle, high)  # neighbouring floats have nothing between them
    best = np.flatnonzero(f1 == f1.max())
    chosen = best[np.abs(cuts[best] - 0.5).argmin()]
    return float(cuts[chosen]), float(f1[chosen])


def fit_biases(labels: Integers, probabilities: Floats) -> tuple[Floats, float, Mask]:
    """A bias for each class that raises macro-F1 over all K classes.

    Coordinate ascent: class after class is given the value of :data:`GRID` with the best macro-F1
    while the others keep theirs; then all of them are moved together, which is what moving the
    first class would be; until a round gains nothing. It starts at 0, moves only if that is better,
    and of equally good moves to the one that leaves the smallest bias; so it is deterministic. The
    first class keeps 0, since only differences matter. So does a class without a label, or without
    any probability: nothing is known of it.

    Args:
        labels: [n] class indices.
        probabilities: [n, K].

    Returns:
        Biases [K], the macro-F1 with them, and which classes have labels [K].
    """
    classes = probabilities.shape[1]
    with np.errstate(divide="ignore"):
        scores = np.log(probabilities)
    labelled = np.bincount(labels, minlength=classes) > 0
    free = labelled & (probabilities > 0).any(0)
    free[0] = False
    single = [np.arange(classes) == place for place in np.flatnonzero(free)]
    together = [free] if len(single) > 1 else []
    biases = np.zeros(classes)
    best = _macro_f1(scores, labels, biases)
    for _ in range(_ROUNDS):
        before = best
        for moved in (*single, *together):
            tried = _moved(scores, labels, biases, moved)
            score = _macro_f1(scores, labels, tried)
            if score > best + _ROUNDING:
                biases, best = tried, score
        if best == before:
            break
    return biases, best, labelled


def _moved(scores: Floats, labels: Integers, biases: Floats, moved: Mask) -> Floats:
    """The best biases [K] that differ in some classes alone, by one amount."""
    steps = GRID - biases[moved][0]
    reach = biases[moved] + steps[:, None]
    inside = (np.abs(reach) <= GRID[-1] + _ROUNDING).all(1)
    steps = steps[inside]
    along = _macro_f1_along(scores + biases, labels, moved, steps)
    good = np.flatnonzero(along >= along.max() - _ROUNDING)
    chosen = good[np.abs(reach[inside][good]).max(1).argmin()]
    return np.where(moved, np.round(biases + steps[chosen], 1), biases)


def _macro_f1(scores: Floats, labels: Integers, biases: Floats) -> float:
    """Macro-F1 of the decisions that a table with these biases makes."""
    classes = scores.shape[1]
    cell = labels * classes + (scores + biases).argmax(1)
    counts = np.bincount(cell, minlength=classes**2).reshape(classes, classes)
    return float(Confusion(counts.astype(np.float64)).macro_f1())


def _macro_f1_along(scores: Floats, labels: Integers, moved: Mask, steps: Floats) -> Floats:
    """Macro-F1 for every amount [G], ascending, that the scores of some classes are moved by.

    A row is of the best of the moved classes from some amount on, and until then of the best of the
    others: counts along the amounts are running sums of where rows change over.
    """
    classes, count = scores.shape[1], len(steps)
    ours, others = np.where(moved, scores, -np.inf), np.where(moved, -np.inf, scores)
    late, early = ours.argmax(1), others.argmax(1)
    height, rival = ours.max(1)[:, None] + steps, others.max(1)[:, None]
    # Of equals the first class wins.
    change = count - ((height > rival) | ((height == rival) & (late < early)[:, None])).sum(1)

    def changed(owner: Integers, kept: Mask | None = None) -> Floats:
        """Rows by a class of theirs that have changed over, [K, G + 1]; at the end all have."""
        cell = owner * (count + 1) + change
        cells = np.bincount(cell if kept is None else cell[kept], minlength=classes * (count + 1))
        return np.asarray(cells.reshape(classes, count + 1).cumsum(1), np.float64)

    def running(kept_early: Mask | None, kept_late: Mask | None) -> Floats:
        gone, come = changed(early, kept_early), changed(late, kept_late)
        return gone[:, -1:] - gone[:, :-1] + come[:, :-1]

    found = running(None, None)
    hits = running(labels == early, labels == late)
    present = np.bincount(labels, minlength=classes)[:, None]
    return np.asarray(ratio(2 * hits, found + present).mean(0))
