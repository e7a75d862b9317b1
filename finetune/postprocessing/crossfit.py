"""What fitted settings are worth on rows that they were not fitted on.

Settings that were chosen on some labels score too well on the same labels, even if the predictions
are noise. So the rows are split into folds that tear no recording apart, everything is chosen anew
on all folds but one and used on that one, and the predictions of all left-out folds are scored
together, once.

Source: cross-validation as of Stone 1974, "Cross-validatory choice and assessment of statistical
predictions".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from finetune.labels import Integers
from finetune.postprocessing.candidates import Candidates
from finetune.postprocessing.fitting import Choice, Search, choose
from finetune.postprocessing.objectives import Objective
from finetune.tallies import Tallies


def folds_of(groups: Sequence[str], count: int, seed: int) -> Integers:
    """The fold of each row [n], 0 to count - 1, balanced by rows.

    The largest groups go first, each to the fold with the fewest rows so far; groups of one size go
    in an order drawn from the seed.

    Args:
        groups: of each row.
        count: folds; there are as many groups at least.
        seed: of the order.
    """
    names, group, sizes = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    assert len(names) >= count
    shuffled = np.random.default_rng(seed).permutation(len(names))
    largest_first = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    rows, fold = np.zeros(count, np.int64), np.zeros(len(names), np.int64)
    for place in largest_first.tolist():
        fold[place] = rows.argmin()
        rows[fold[place]] += sizes[place]
    return fold[group.reshape(-1)]


def crossfit(
    objectives: Sequence[Objective],
    candidates: Candidates,
    search: Search,
    folds: Integers,
    progress: Callable[[], object] = lambda: None,
) -> tuple[Tallies, list[dict[str, Choice]]]:
    """Predictions of each fold by settings that were chosen on all others.

    Args:
        objectives: of the tasks.
        candidates: predictions of all rows.
        search: where settings are looked for.
        folds: of each row [n].
        progress: called after each task of each fold.

    Returns:
        The sums of all left-out predictions together, and what was chosen for each fold, by task.
    """
    count = int(folds.max()) + 1
    chosen: list[dict[str, Choice]] = [{} for _ in range(count)]
    tallies: dict[str, Any] = {}
    for objective in objectives:
        decided = None
        for fold in range(count):
            left_out = folds == fold
            choice = choose(objective, candidates, search, ~left_out)
            prediction = candidates.prediction(objective, choice.weights, choice.width)
            found = objective.decided(prediction[left_out], choice.fit)
            if decided is None:
                decided = np.zeros((len(folds), *found.shape[1:]), found.dtype)
            decided[left_out] = found
            chosen[fold][objective.task] = choice
            progress()
        tallies[objective.task] = objective.tally(decided)
    return Tallies(**tallies), chosen
