"""The predictions of a table by task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from finetune.labels import Floats
from finetune.table import About, PredictionTable, Step, TableError

#: The tasks, as the fields of a table and the options of the programs call them.
TASKS = ("valence_arousal", "expression", "action_units")

#: Least of a prediction; the most is 1.
_LEAST = {"valence_arousal": -1.0, "expression": 0.0, "action_units": 0.0}


def predictions(table: PredictionTable) -> dict[str, Floats]:
    """The predictions [n, C] of each task that the table has."""
    found = {task: getattr(table, task) for task in TASKS}
    return {task: values for task, values in found.items() if values is not None}


def with_predictions(table: PredictionTable, changed: Mapping[str, Floats]) -> PredictionTable:
    """The same table with other predictions [n, C] of some tasks.

    Means of numbers in a range can leave it by a rounding, which is cut off.
    """
    cut: dict[str, Any] = {
        task: np.clip(values, _LEAST[task], 1) for task, values in changed.items()
    }
    return replace(table, **cut)


def only(table: PredictionTable, task: str) -> PredictionTable:
    """The same table without its other tasks, thresholds and biases."""
    gone: dict[str, Any] = {other: None for other in TASKS if other != task}
    if task != "expression":
        gone["expression_space"] = None
    if task != "action_units":
        gone["action_unit_space"] = None
    return replace(table, **gone, biases=None, thresholds=None)


def with_step(table: PredictionTable, step: Step) -> PredictionTable:
    """The same table, which went through one more step."""
    return replace(table, about=replace(table.about, steps=(*table.about.steps, step)))


def refuse_steps(about: About, names: Iterable[str], expected: str) -> None:
    """Refuses a table that went through a step.

    Raises:
        TableError: it did.
    """
    for step in about.steps:
        if step.name in names:
            raise TableError(f"the table went through the step {step.name}, expected {expected}")
