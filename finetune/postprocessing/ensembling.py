"""Several models' predictions of the same images as one: weighted means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from finetune.labels import Floats, Mask
from finetune.postprocessing.aligning import aligned, first_spaces
from finetune.postprocessing.columns import TASKS, with_predictions, with_step
from finetune.postprocessing.origin import joint_model, union
from finetune.table import About, PredictionTable, Step, TableError

#: By task, a weight for each member.
Weights = Mapping[str, Sequence[float]]


def ensemble(
    members: Mapping[str, PredictionTable],
    weights: Weights,
    *,
    fitted_on: Sequence[str] = (),
    remarks: Sequence[str] = (),
) -> PredictionTable:
    """The weighted mean of valence and arousal and of all probabilities.

    The mean is over the members that predict the row, their weights scaled to 1; where these are
    all 0, they count alike. A row is null if nobody predicts it, or nobody some task of it.
    Thresholds and biases of members are left out: they were made for other probabilities.

    Args:
        members: at least two tables of the same images by what messages call them; rows, classes
            and action units of all are brought into the order of the first.
        weights: by task, one a member, 0 or more and not all 0.
        fitted_on: groups of rows whose labels the weights were fitted on.
        remarks: what a reader of the scores has to know.

    Raises:
        TableError: other images, videos, classes or action units; a member that was filled; weights
            of a task that are all 0.
    """
    names = list(members)
    assert len(names) > 1
    for name, table in members.items():
        if count := sum(map(bool, table.filled or ())):
            raise TableError(
                f"{name}: {count} rows were filled, expected predictions of the model alone: an"
                " ensemble is filled afterwards"
            )
    tables = aligned(members)
    combined = combine(tables, weights)
    decided = [n for n, t in members.items() if t.thresholds is not None or t.biases is not None]
    dropped = [f"thresholds and biases of {', '.join(decided)} are left out"] if decided else []
    given = {task: shares(weights[task]) for task in sorted(weights)}
    step = Step(
        name="ensemble",
        settings={
            "members": [{"table": n, "model": members[n].about.model} for n in names],
            "weights": given,
        },
        fitted_on=tuple(fitted_on),
        remarks=(*dropped, *remarks),
    )
    about = _joint_about(names, [table.about for table in tables], given)
    return with_step(replace(combined, about=about), step)


def combine(tables: Sequence[PredictionTable], weights: Weights) -> PredictionTable:
    """The mean of tables that are aligned (:func:`~.aligning.aligned`), all else from the first.

    Raises:
        TableError: the weights of all members that know a task are 0.
    """
    found = dict[str, Floats]()
    for task in TASKS:
        knows = [place for place, table in enumerate(tables) if getattr(table, task) is not None]
        if knows:
            given = [float(weights[task][place]) for place in knows]
            if not any(given):
                raise TableError(f"{task}: all weights are 0, expected some above it")
            found[task] = _mean([getattr(tables[place], task) for place in knows], given)
    there: Mask = np.logical_and.reduce([~np.isnan(values[:, 0]) for values in found.values()])
    kept = {task: np.where(there[:, None], values, np.nan) for task, values in found.items()}
    classes, units = first_spaces(tables)
    first = replace(tables[0], expression_space=classes, action_unit_space=units)
    return with_predictions(first, kept)


def shares(weights: Sequence[float]) -> list[float]:
    """Weights that add up to 1: the same ensemble has the same numbers."""
    return [float(weight / sum(weights)) for weight in weights]


def _mean(values: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Weighted mean [n, C] of members' values [n, C] over those that are not NaN."""
    sums, total = np.zeros_like(values[0]), np.zeros((len(values[0]), 1))
    plain, count = np.zeros_like(sums), np.zeros_like(total)
    for value, weight in zip(values, weights, strict=True):
        there = ~np.isnan(value[:, :1])
        known = np.where(there, value, 0)
        sums, total = sums + weight * known, total + weight * there
        plain, count = plain + known, count + there
    alike = total == 0
    with np.errstate(invalid="ignore"):  # 0 / 0 where nobody predicts
        return np.asarray(np.where(alike, plain, sums) / np.where(alike, count, total))


def _joint_about(names: Sequence[str], abouts: Sequence[About], weights: Weights) -> About:
    return About(
        model=joint_model([about.model for about in abouts], dict(weights)),
        trained_on=union([about.trained_on for about in abouts]),
        training_groups=union([about.training_groups for about in abouts]),
        drawn=any(about.drawn for about in abouts),
        # Decisions of members are gone, and what they were fitted on with them.
        steps=tuple(
            replace(step, settings={**step.settings, "member": name})
            for name, about in zip(names, abouts, strict=True)
            for step in about.steps
            if step.name != "decide"
        ),
    )
