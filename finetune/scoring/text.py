"""Scores as a text to read, and the names that people know the metrics by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from finetune.intervals import Interval
from finetune.scoring.scores import Scores

#: What the metrics are called where people read them, in the order in which they are shown.
TITLES: Mapping[str, str] = {
    "p_mtl": "P_MTL",
    "p_va": "P_VA",
    "p_expr": "P_EXPR",
    "p_au": "P_AU",
    "lsd_f1": "LSD macro-F1",
    "abaw_2020_expression": "ABAW 2020 expressions",
    "abaw_2020_action_units": "ABAW 2020 action units",
    "ccc": "CCC",
    "pearson": "Pearson",
    "rmse": "RMSE",
    "mae": "MAE",
    "sign_agreement": "sign agreement",
    "macro_f1": "macro-F1",
    "macro_f1_of_occurring": "macro-F1, occurring classes",
    "weighted_f1": "weighted F1",
    "accuracy": "accuracy",
    "mean_recall": "mean recall",
    "class_f1": "F1",
    "class_precision": "precision",
    "class_recall": "recall",
    "mean_unit_f1": "mean F1 of action units",
    "unit_accuracy": "accuracy of action units",
    "unit_f1": "F1",
    "unit_auc": "AUC",
}


def text(scores: Scores, heading: str) -> str:
    """Scores as lines: single numbers first, then a table for each task.

    Args:
        scores: of a table, or a difference.
        heading: what was scored.
    """
    single = [name for name in TITLES if name in scores.found and not scores.columns[name]]
    rows = [[TITLES[name], shown(scores.found[name])] for name in single]
    blocks = [heading, _aligned(rows)]
    for columns in dict.fromkeys(scores.columns[name] for name in TITLES if name in scores.found):
        if columns:
            names = [name for name in TITLES if scores.columns.get(name) == columns]
            blocks.append(_table(scores, names, columns))
    if scores.over:
        blocks.append(
            f"[low, high]: {100 * scores.level:.6g}% intervals, {scores.resamples} resamples of"
            f" {scores.over}"
        )
    if scores.notes:
        blocks.append("\n".join(f"note: {note}" for note in scores.notes))
    return "\n\n".join(block for block in blocks if block)


def shown(interval: Interval, place: int | None = None) -> str:
    """A number with its interval as people read it: .512 [.431, .580]; "-" where undefined."""
    parts = (interval.value, interval.low, interval.high)
    value, low, high = (float(part if place is None else part[place]) for part in parts)
    if np.isnan(value):
        return "-"
    ends = "" if np.isnan(low) else f" [{_short(low)}, {_short(high)}]"
    return f"{_short(value)}{ends}"


def _short(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else f"{value:.3f}"


def _table(scores: Scores, names: Sequence[str], columns: Sequence[str]) -> str:
    """A row for each column of the metrics, a column for each metric."""
    rows = [["", *(TITLES[name] for name in names)]]
    for place, column in enumerate(columns):
        rows.append([column, *(shown(scores.found[name], place) for name in names)])
    return _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    padded = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in padded)
