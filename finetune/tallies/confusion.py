"""Expressions: counts of rows by target and prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from finetune.tallies.rows import (
    Floats,
    Indices,
    MetricError,
    cluster_count,
    refuse,
    scored,
    shape_of,
)
from finetune.tallies.sums import Sums, agree, ratio, ratio_or_nan


@dataclass(frozen=True)
class Confusion(Sums):
    """Counts of rows by target (first of the two) and prediction, [..., K, K].

    A metric is NaN where there is no valid row, as in a resample.
    """

    counts: Floats

    @classmethod
    def of(
        cls,
        *,
        target: ArrayLike,
        prediction: ArrayLike,
        classes: int,
        valid: ArrayLike | None = None,
        cluster: Indices | None = None,
    ) -> Confusion:
        """Counts rows.

        Args:
            target: class indices [n], integers from 0 to classes - 1.
            prediction: the same.
            classes: K.
            valid: [n], True where there is a label; None: everywhere.
            cluster: of each row [n], 0 to C - 1; None: no clusters.

        Raises:
            MetricError: other shapes, no integers, an index outside in a valid place, no valid row.
        """
        task = "expression"
        known, guess, mask = scored(task, target=target, prediction=prediction, valid=valid)
        for name, values in (("target", known), ("prediction", guess)):
            if values.dtype.kind not in "iu" or values.ndim != 1:
                raise MetricError(
                    f"{task}: {name}: got {values.dtype} {shape_of(values)}, expected class indices"
                    " (integers) [n]"
                )
            outside = mask & ((values < 0) | (values >= classes))
            refuse(task, name, values, outside, f"0 to {classes - 1}")
        cell = known[mask].astype(np.int64) * classes + guess[mask].astype(np.int64)
        if cluster is not None:
            cell += cluster[mask] * classes**2
        clusters = 1 if cluster is None else cluster_count(cluster)
        counts = np.bincount(cell, minlength=clusters * classes**2).astype(np.float64)
        shape = () if cluster is None else (clusters,)
        return cls(counts.reshape(*shape, classes, classes))

    def precision(self) -> Floats:
        """By class [..., K]; 0 for a class that is never predicted."""
        return self._defined(ratio(self._hits(), self.counts.sum(-2)))

    def recall(self) -> Floats:
        """By class [..., K]; 0 for a class without a row."""
        return self._defined(ratio(self._hits(), self.counts.sum(-1)))

    def f1(self) -> Floats:
        """By class [..., K]; 0 for a class that neither occurs nor is predicted."""
        return self._defined(ratio(2 * self._hits(), self.counts.sum(-1) + self.counts.sum(-2)))

    def macro_f1(self) -> Floats:
        """Mean F1 over all K classes; an absent class counts 0."""
        return np.asarray(self.f1().mean(-1))

    def macro_f1_of_occurring(self) -> Floats:
        """Mean F1 over the classes that occur in the target (not: that are only predicted)."""
        occurs = self.counts.sum(-1) > 0
        return ratio_or_nan((self.f1() * occurs).sum(-1), occurs.sum(-1))

    def weighted_f1(self) -> Floats:
        """Mean F1, weighted by how often a class occurs in the target."""
        rows = self.counts.sum(-1)
        return ratio_or_nan((self.f1() * rows).sum(-1), rows.sum(-1))

    def accuracy(self) -> Floats:
        """Share of rows whose class is right."""
        return ratio_or_nan(self._hits().sum(-1), self.counts.sum((-1, -2)))

    def mean_recall(self) -> Floats:
        """Mean recall over the classes that occur in the target ("balanced accuracy")."""
        occurs = self.counts.sum(-1) > 0
        return ratio_or_nan((self.recall() * occurs).sum(-1), occurs.sum(-1))

    def same_target(self, other: Confusion) -> bool:
        """Whether the targets are the same, as far as counts tell."""
        return agree((self.counts.sum(-1), other.counts.sum(-1)))

    def _hits(self) -> Floats:
        return np.diagonal(self.counts, axis1=-2, axis2=-1)

    def _defined(self, by_class: Floats) -> Floats:
        return np.where(self.counts.sum((-1, -2))[..., None] > 0, by_class, np.nan)
