"""What was done, and what it is worth, as lines to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from finetune.labels import Floats
from finetune.postprocessing.columns import TASKS
from finetune.postprocessing.rules import Rules
from finetune.table import Step

#: The heading of a column whose numbers mean nothing for other rows.
NO_ESTIMATE = "fitted on these rows, not an estimate"


def summary(metrics: Mapping[str, Floats]) -> dict[str, float]:
    """The numbers that a fit raises, and their sum where it is a challenge's, by what they are."""
    found = dict[str, float]()
    for metric, title in (
        ("p_mtl", "P_MTL"),
        ("ccc", "mean CCC"),
        ("macro_f1", "macro-F1"),
        ("mean_unit_f1", "mean F1 of action units"),
    ):
        if metric in metrics:
            found[title] = float(np.mean(metrics[metric]))
    return found


def score_lines(columns: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A table: a row a score, a column for each way in which the predictions were made.

    Args:
        columns: by heading, scores by title; all have the same.
    """
    titles = list(next(iter(columns.values())))
    rows = [["", *columns]]
    rows += [[title, *(f"{found[title]:.4f}" for found in columns.values())] for title in titles]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    padded = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in padded]


def rule_lines(rules: Rules) -> list[str]:
    """The settings of rules, a line a kind."""
    lines = []
    for task in TASKS:
        if task in rules.weights and len(rules.models) > 1:
            lines.append(f"weights of {task}: {_numbers(rules.weights[task])}")
    if rules.widths:
        lines.append(f"smoothing in frames: {_named(rules.widths)}")
    for what, values in (("thresholds", rules.thresholds), ("biases", rules.biases)):
        if values is not None:
            lines.append(f"{what}: {_named(values)}")
    return lines


def step_lines(step: Step) -> list[str]:
    """What a step of post-processing did, and its remarks."""
    describe = _DESCRIBED.get(step.name)
    lines = describe(step.settings) if describe else [step.name]
    return [*lines, *(f"  note: {remark}" for remark in step.remarks)]


def _fill(settings: Mapping[str, Any]) -> list[str]:
    rows = [f"{count} rows by {how}" for how, count in settings.get("rows", {}).items()]
    left = f"{settings.get('null', 0)} rows stay without a prediction"
    return [f"fill: {', '.join([*rows, left])}"]


def _smooth(settings: Mapping[str, Any]) -> list[str]:
    return [f"smooth, in frames: {_named(settings['widths'])}"]


def _decide(settings: Mapping[str, Any]) -> list[str]:
    return [
        f"decide, {what}: {_named(settings[what])}"
        for what in ("thresholds", "biases")
        if settings[what] is not None
    ]


def _ensemble(settings: Mapping[str, Any]) -> list[str]:
    names = ", ".join(member["table"] for member in settings["members"])
    by_task = [f"  {task}: {_numbers(given)}" for task, given in settings["weights"].items()]
    return [f"ensemble of {names}, weights:", *by_task]


def _join(settings: Mapping[str, Any]) -> list[str]:
    parts = ", ".join(f"{part['table']} ({part['rows']} rows)" for part in settings["parts"])
    return [f"join of {parts}"]


_DESCRIBED = {
    "fill": _fill,
    "smooth": _smooth,
    "decide": _decide,
    "ensemble": _ensemble,
    "join": _join,
}


def _named(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in values.items())


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)
