"""What the rare counts more: weights of classes in a loss, passes of a sampler, from the labels.

All are functions of the training labels and of nothing else; whoever trains keeps them with the
model. Formulas: scikit-learn's ``balanced`` for expressions, torch's ``pos_weight`` for action
units; the square root is a customary middle between them and none.

n labelled rows, n_c of them of the class c, K expressions.
"""

from __future__ import annotations

import numpy as np

from finetune.labels import Integers, Targets
from pretrain.errors import UserError

#: How expressions, and action units, can be weighted.
EXPRESSION_WEIGHTS = ("none", "balanced", "sqrt")
ACTION_UNIT_WEIGHTS = ("none", "balanced")


class WeightError(UserError):
    """Labels that give no weight, or a way to weigh that is none."""


def expression_weights(targets: Targets, how: str) -> dict[str, float] | None:
    """What a row of each expression counts in the loss; 1 in the mean over the labelled rows.

    Args:
        targets: labels of the training rows, in the model's spaces.
        how: ``none``; ``balanced``: n / (K n_c), all expressions together count the same;
            ``sqrt``: in proportion to the square root of that.

    Returns:
        By expression, in the order of the space; None: all count 1.

    Raises:
        WeightError: some expression has no row, or there is no such way.
    """
    _check("expression_weights", how, EXPRESSION_WEIGHTS)
    if how == "none":
        return None
    names, counts = targets.expression_space.classes, _expressions(targets)
    total = int(counts.sum())
    if absent := [name for name, count in zip(names, counts, strict=True) if not count]:
        raise WeightError(
            f"losses.expression_weights {how}: {', '.join(absent)} in 0 of {total} rows with an"
            f" expression, expected at least 1 of each of the {len(names)};"
            " losses.expression_weights none weighs all the same"
        )
    weights = total / (len(names) * counts)
    if how == "sqrt":
        roots = np.sqrt(weights)
        weights = roots * (total / float(roots @ counts))
    return dict(zip(names, weights.tolist(), strict=True))


def action_unit_weights(targets: Targets, how: str) -> dict[str, float] | None:
    """What an entry that shows an action unit counts in the loss, where one that does not counts 1.

    Args:
        targets: labels of the training rows, in the model's spaces.
        how: ``none``; ``balanced``: negatives / positives of the unit's labelled rows.

    Returns:
        By the name of the unit, in the order of the space; None: all count 1.

    Raises:
        WeightError: some unit is in none, or in all, of its labelled rows, or there is no such way.
    """
    _check("action_unit_weights", how, ACTION_UNIT_WEIGHTS)
    if how == "none":
        return None
    names, valid = targets.action_unit_space.names, targets.action_units_valid
    labelled = valid.sum(0).tolist()
    present = (valid & (targets.action_units == 1)).sum(0).tolist()
    found = list(zip(names, present, labelled, strict=True))
    if one_sided := [
        f"{name} in {there} of {known}" for name, there, known in found if there in (0, known)
    ]:
        raise WeightError(
            f"losses.action_unit_weights {how}: {', '.join(one_sided)} labelled rows, expected rows"
            " with and without it; losses.action_unit_weights none weighs both the same"
        )
    return {name: (known - there) / there for name, there, known in found}


def balanced_passes(targets: Targets) -> dict[str, float]:
    """How often an epoch passes over the rows of each expression, so that all are as frequent.

    An epoch keeps its length: it has as many samples as there are labelled rows. Source: the
    sampling that DAN (Wen et al. 2021) is trained with; here the numbers are exact, not drawn.

    Returns:
        By expression that occurs: n / (n_c times the number of those that occur).

    Raises:
        WeightError: no row has an expression.
    """
    names, counts = targets.expression_space.classes, _expressions(targets)
    total, occurring = int(counts.sum()), int((counts > 0).sum())
    if not total:
        raise WeightError(
            f"balanced sampling: 0 of {len(targets)} rows have an expression, expected some"
        )
    return {
        name: total / (occurring * count)
        for name, count in zip(names, counts.tolist(), strict=True)
        if count
    }


def _expressions(targets: Targets) -> Integers:
    """Rows by expression [K]."""
    labels = targets.expression[targets.expression_valid]
    return np.bincount(labels, minlength=len(targets.expression_space))


def _check(option: str, how: str, known: tuple[str, ...]) -> None:
    if how not in known:
        raise WeightError(f"losses.{option} {how!r}, expected one of {', '.join(known)}")
