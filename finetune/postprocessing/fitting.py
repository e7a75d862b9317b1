"""Settings chosen on labels: weights, then the width, with thresholds and biases for each of them.

Every task has a score of its own and settings of its own, so each is fitted alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from finetune.labels import ExpressionSpace, Mask, expression_indices
from finetune.postprocessing.candidates import Candidates
from finetune.postprocessing.objectives import ActionUnits, Expression, Fit, Objective
from finetune.table import PredictionTable

#: Weights that are tried for a member while the others keep theirs.
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)

#: Rounds over all members.
_ROUNDS = 3

#: A gain below this is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Search:
    """Where settings are looked for.

    Attributes:
        widths: of smoothing in frames, at least one.
        weights: of the members, which the search starts from; of one table, (1,).
    """

    widths: tuple[float, ...]
    weights: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class Choice:
    """The settings of one task.

    Attributes:
        weights: one a member.
        width: of smoothing in frames.
        fit: what is decided, and the score on the rows of the fit; None: they have no label.
    """

    weights: tuple[float, ...]
    width: float
    fit: Fit | None


def choose(objective: Objective, candidates: Candidates, search: Search, rows: Mask) -> Choice:
    """The best settings of a task on some rows; of equally good ones the first that was tried.

    An ensemble's weights come first, without smoothing: members in turn are given the value of
    :data:`WEIGHTS` with the best score, until a round gains nothing. Then the width, narrow ones
    first. Thresholds or biases are fitted anew for everything that is tried.

    Args:
        objective: of the task.
        candidates: predictions of all rows.
        search: where to look.
        rows: [n] whose labels may be looked at.
    """

    def fitted(weights: tuple[float, ...], width: float) -> Fit | None:
        return objective.fit(candidates.prediction(objective, weights, width), rows)

    weights, fit = search.weights, fitted(search.weights, 0)
    if fit is None:
        return Choice(weights, 0, None)
    for _ in range(_ROUNDS if len(weights) > 1 else 0):
        before = fit.score
        for place in range(len(weights)):
            for value in WEIGHTS:
                tried = (*weights[:place], value, *weights[place + 1 :])
                if tried == weights or not any(tried):
                    continue
                found = fitted(tried, 0)
                assert found is not None  # the same rows have a prediction
                if found.score > fit.score + _ROUNDING:
                    weights, fit = tried, found
        if fit.score == before:
            break
    best: Choice | None = None
    for width in sorted(search.widths):
        found = fitted(weights, width)
        assert found is not None
        if best is None or best.fit is None or found.score > best.fit.score + _ROUNDING:
            best = Choice(weights, width, found)
    assert best is not None
    return best


def thresholds_of(table: PredictionTable, objective: ActionUnits, fit: Fit) -> dict[str, float]:
    """The threshold of each action unit of a table; those that no label knows keep 0.5."""
    assert table.action_unit_space is not None
    assert fit.setting is not None
    known = dict(zip(objective.units, fit.setting.tolist(), strict=True))
    return {name: known.get(name, 0.5) for name in table.action_unit_space.names}


def biases_of(
    table: PredictionTable, space: ExpressionSpace, fit: Fit, mapping: str | None = None
) -> dict[str, float]:
    """The bias of each class of a table; those without a counterpart in the labels have 0.

    Args:
        table: whose classes are wanted.
        space: of the labels.
        fit: biases of its classes.
        mapping: from the table's classes to the labels'.
    """
    assert table.expression_space is not None
    assert fit.setting is not None
    indices, found = expression_indices(table.expression_space, space, mapping)
    biases = np.where(found, fit.setting[indices], 0).tolist()
    return dict(zip(table.expression_space.classes, biases, strict=True))


def settings_of(
    table: PredictionTable,
    objectives: Sequence[Objective],
    choices: Mapping[str, Choice],
    space: ExpressionSpace,
    mapping: str | None = None,
) -> tuple[dict[str, float] | None, dict[str, float] | None]:
    """Thresholds and biases in a table's own spaces; None: the task was not fitted.

    Args:
        table: raw predictions, of the first member of an ensemble.
        objectives: of the fitted tasks.
        choices: by task.
        space: of the labelled expressions.
        mapping: from the table's classes to the labels'.
    """
    thresholds = biases = None
    for objective in objectives:
        fit = choices[objective.task].fit
        if fit is None:
            continue
        if isinstance(objective, ActionUnits):
            thresholds = thresholds_of(table, objective, fit)
        elif isinstance(objective, Expression):
            biases = biases_of(table, space, fit, mapping)
    return thresholds, biases
