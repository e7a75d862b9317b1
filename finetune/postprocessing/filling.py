"""Rows without a face, filled from other frames of the same video. Source: our own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from finetune.labels import Floats, Integers
from finetune.postprocessing.columns import predictions, with_predictions, with_step
from finetune.postprocessing.timeline import own_rows, timelines
from finetune.table import PredictionTable, Step, TableError

MEAN = "mean"


def fill(
    table: PredictionTable, method: str | None = None, rest: str | None = None
) -> PredictionTable:
    """Fills null rows; ``filled`` says how, row by row. Rows filled before serve nobody.

    Args:
        table: of videos; in a table of stills no row has a neighbour.
        method: ``nearest``: the prediction of the nearest frame, of two equally near ones the
            earlier; ``interpolate``: linear in the frame number between the neighbours, the nearest
            where one is missing; None: no row is filled from neighbours.
        rest: what becomes of rows that this leaves: ``mean`` gives them the mean of the table's
            predictions; None leaves them null.

    Raises:
        TableError: a table of videos without frame numbers; a mean of no prediction at all.
    """
    assert method is None or method in METHODS
    assert rest in (None, MEAN)
    parts = predictions(table)
    values = np.column_stack(list(parts.values()))
    how = np.array(table.filled or [""] * len(table), object)
    null = ~table.present
    if method is not None and table.videos is not None:
        for line in timelines(table):
            lost = null[line.rows]
            if lost.any() and line.frames.size:
                known = line.values(values)
                values[line.rows[lost]] = METHODS[method](line.at[lost], line.frames, known)
                how[line.rows[lost]] = method
    left = null & (how == "")
    if rest == MEAN and left.any():
        own = own_rows(table)
        if not own.any():
            raise TableError(f"no row has a prediction, expected some for the {MEAN}")
        values[left] = values[own].mean(0)
        how[left] = MEAN
    counts = Counter(how[null & (how != "")].tolist())
    widths = [part.shape[1] for part in parts.values()]
    split = np.split(values, np.cumsum(widths)[:-1], axis=1)
    filled = with_predictions(table, dict(zip(parts, split, strict=True)))
    if counts:
        filled = replace(filled, filled=how.tolist())
    return with_step(filled, _step(method, rest, counts, int(null.sum())))


def _step(method: str | None, rest: str | None, counts: Mapping[str, int], null: int) -> Step:
    remarks = []
    if method is not None and counts.get(method):
        remarks.append(
            f"non-causal: {counts[method]} rows without a face are filled from frames of their"
            " video, later ones among them"
        )
    if counts.get(MEAN):
        remarks.append(f"{counts[MEAN]} rows hold the mean of the table")
    settings = {
        "method": method,
        "rest": rest,
        "rows": dict(counts),
        "null": null - sum(counts.values()),
    }
    return Step(name="fill", settings=settings, remarks=tuple(remarks))


def _neighbours(at: Integers, frames: Integers) -> tuple[Integers, Integers]:
    """Of each frame number [n] the known frames [m] before and not before it, as indices [n].

    Beyond the ends both are the last one.
    """
    after = np.searchsorted(frames, at)
    last = len(frames) - 1
    return np.clip(after - 1, 0, last), np.clip(after, 0, last)


def _nearest(at: Integers, frames: Integers, values: Floats) -> Floats:
    before, after = _neighbours(at, frames)
    return values[np.where(at - frames[before] <= frames[after] - at, before, after)]


def _interpolate(at: Integers, frames: Integers, values: Floats) -> Floats:
    before, after = _neighbours(at, frames)
    gap = np.maximum(frames[after] - frames[before], 1)
    share = np.clip((at - frames[before]) / gap, 0, 1)[:, None]
    return np.asarray((1 - share) * values[before] + share * values[after])


#: Predictions [n, C] at frame numbers [n] from those [m, C] at known frames [m].
METHODS: Mapping[str, Callable[[Integers, Integers, Floats], Floats]] = {
    "nearest": _nearest,
    "interpolate": _interpolate,
}
