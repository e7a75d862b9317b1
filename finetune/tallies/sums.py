"""Sums over rows that can be added up, weighted by cluster, and turned into metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from finetune.tallies.rows import Floats


@dataclass(frozen=True)
class Sums:
    """Sums over rows: every field is [...] or [..., more]."""

    @property
    def clusters(self) -> int:
        """How many clusters the first axis counts."""
        return len(getattr(self, fields(self)[0].name))

    def total(self) -> Self:
        """Over all clusters: [C, ...] becomes [...]."""
        return self._each(lambda sums: sums.sum(0))

    def weighted(self, weights: Floats) -> Self:
        """Of resamples that hold each cluster so many times: weights [B, C] give [B, ...]."""
        return self._each(lambda sums: np.tensordot(weights, sums, axes=1))

    def _each(self, change: Callable[[Floats], Floats]) -> Self:
        return replace(self, **{f.name: change(getattr(self, f.name)) for f in fields(self)})


def ratio(part: Floats, whole: Floats) -> Floats:
    """The quotient, 0 where the denominator is 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)


def ratio_or_nan(part: Floats, whole: Floats) -> Floats:
    """The quotient, NaN where the denominator is 0."""
    return np.where(np.asarray(whole) > 0, ratio(part, whole), np.nan)


def agree(*pairs: tuple[Floats, Floats]) -> bool:
    """Whether both of every pair are the same, rounding aside."""
    return all(np.shape(a) == np.shape(b) and np.allclose(a, b) for a, b in pairs)
