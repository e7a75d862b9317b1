"""Action units: counts of binary decisions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from finetune.tallies.rows import Floats, Indices, MetricError, add_up, refuse, scored, shape_of
from finetune.tallies.sums import Sums, agree, ratio, ratio_or_nan


@dataclass(frozen=True)
class Decisions(Sums):
    """Counts of binary decisions by action unit, each [..., A].

    A metric of an AU is NaN where it has no valid row, as in a resample.

    Attributes:
        hits: present and found.
        false_alarms: absent but found.
        misses: present but not found.
        rejections: absent and not found.
    """

    hits: Floats
    false_alarms: Floats
    misses: Floats
    rejections: Floats

    @classmethod
    def of(
        cls,
        *,
        target: ArrayLike,
        prediction: ArrayLike,
        valid: ArrayLike | None = None,
        cluster: Indices | None = None,
    ) -> Decisions:
        """Counts rows.

        Args:
            target: [n, A], 0 and 1 or booleans.
            prediction: the same: decisions, not probabilities.
            valid: [n, A], True where there is a label; None: everywhere.
            cluster: of each row [n], 0 to C - 1; None: no clusters.

        Raises:
            MetricError: other shapes, another number in a valid place, an AU without a valid row.
        """
        task = "action units"
        known, guess, mask = scored(task, target=target, prediction=prediction, valid=valid)
        for name, values in (("target", known), ("prediction", guess)):
            if values.ndim != 2:
                raise MetricError(f"{task}: {name}: got {shape_of(values)}, expected [n, A]")
            refuse(task, name, values, mask & (values != 0) & (values != 1), "0 or 1")
        there, found = mask & (known == 1), mask & (guess == 1)
        rows = (there & found, found & ~there, there & ~found, mask & ~there & ~found)
        return cls(*(add_up(values, cluster) for values in rows))

    def f1(self) -> Floats:
        """F1 of the positives by AU [..., A]; 0 where nothing is present and nothing found."""
        return self._defined(ratio(2 * self.hits, 2 * self.hits + self.false_alarms + self.misses))

    def mean_f1(self) -> Floats:
        """Mean over all A AUs of the F1 of the positives."""
        return np.asarray(self.f1().mean(-1))

    def accuracy_by_unit(self) -> Floats:
        """Share of right decisions by AU [..., A]."""
        return self._defined(ratio(self.hits + self.rejections, self._count()))

    def accuracy(self) -> Floats:
        """Share of right decisions, all valid entries of all AUs pooled."""
        return ratio_or_nan((self.hits + self.rejections).sum(-1), self._count().sum(-1))

    def same_target(self, other: Decisions) -> bool:
        """Whether the targets are the same, as far as counts tell."""
        present = self.hits + self.misses, other.hits + other.misses
        return agree(present, (self._count(), other._count()))

    def _count(self) -> Floats:
        return self.hits + self.false_alarms + self.misses + self.rejections

    def _defined(self, by_unit: Floats) -> Floats:
        return np.where(self._count() > 0, by_unit, np.nan)
