"""Rows that can be scored: target, prediction and mask, checked; and sums over such rows.

What stands where there is no label is never looked at, neither in the target nor in the prediction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pretrain.errors import UserError

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
#: Of any kind that counts: booleans, integers, floats.
Numbers = NDArray[Any]


class MetricError(UserError):
    """Labels and predictions that have no score."""


def scored(
    task: str, *, target: ArrayLike, prediction: ArrayLike, valid: ArrayLike | None
) -> tuple[Numbers, Numbers, Mask]:
    """Target, prediction and mask as arrays of one shape, [n] or [n, columns].

    Args:
        task: what an error calls it.
        target: numbers.
        prediction: numbers of the same shape.
        valid: booleans of the same shape, True where there is a label; None: everywhere.

    Raises:
        MetricError: no numbers, other shapes, a column without a valid row.
    """
    known, guess = _numbers(task, "target", target), _numbers(task, "prediction", prediction)
    if guess.shape != known.shape:
        raise MetricError(
            f"{task}: prediction: got shape {shape_of(guess)}, expected the target's,"
            f" {shape_of(known)}"
        )
    mask = np.ones(known.shape, bool) if valid is None else np.asarray(valid)
    if mask.dtype != np.bool_ or mask.shape != known.shape:
        raise MetricError(
            f"{task}: valid: got {mask.dtype} {shape_of(mask)}, expected bool {shape_of(known)}"
        )
    empty = np.flatnonzero(~np.atleast_1d(mask.any(0)))
    if empty.size or not mask.size:
        column = f", column {empty[0]}" if known.ndim == 2 and empty.size else ""
        raise MetricError(
            f"{task}{column}: got no label in {len(known)} rows, expected at least one"
        )
    return known, guess, mask


def refuse(task: str, name: str, values: Numbers, bad: Mask, expected: str) -> None:
    """Refuses the first bad value.

    Raises:
        MetricError: there is one.
    """
    if not bad.any():
        return
    place = np.argwhere(bad)[0]
    column = f", column {place[1]}" if len(place) == 2 else ""
    raise MetricError(
        f"{task}: {name}: got {values[tuple(place)]} in row {place[0]}{column}, expected {expected}"
    )


def shape_of(values: Numbers) -> str:
    """As an error writes it: [3, 2]."""
    return str(list(values.shape))


def add_up(values: Mask | Floats, cluster: Indices | None) -> Floats:
    """Sums over rows: [n, ...] becomes [...], or [C, ...] with the cluster of each row, [n]."""
    if cluster is None:
        # Along a contiguous axis NumPy adds pairs, which keeps the error small over many rows.
        return np.asarray(np.ascontiguousarray(values.T, np.float64).sum(-1))
    columns = values.reshape(len(values), -1).T
    clusters = cluster_count(cluster)
    sums = [np.bincount(cluster, column, clusters).astype(np.float64) for column in columns]
    return np.stack(sums, -1).reshape(clusters, *values.shape[1:])


def cluster_count(cluster: Indices) -> int:
    """C: clusters are numbered from 0."""
    return int(cluster.max()) + 1


def middle(values: Floats, mask: Mask) -> Floats:
    """A value from the middle of each column's valid rows (the upper median): [...]."""
    columns = zip(np.atleast_2d(values.T), np.atleast_2d(mask.T), strict=True)
    found = [
        np.partition(column[kept], kept.sum() // 2)[kept.sum() // 2] for column, kept in columns
    ]
    return np.array(found).reshape(values.shape[1:])


def _numbers(task: str, name: str, values: ArrayLike) -> Numbers:
    found = np.asarray(values)
    if found.dtype.kind not in "biuf" or found.ndim not in (1, 2):
        raise MetricError(
            f"{task}: {name}: got {found.dtype} {shape_of(found)}, expected numbers [n] or"
            " [n, columns]"
        )
    return found
