"""Valence and arousal, or any series of numbers: moments of target and prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from finetune.tallies.rows import Floats, Indices, add_up, middle, refuse, scored
from finetune.tallies.sums import Sums, agree, ratio

#: A variance below this share of the mean square is rounding: the values are constant. Over all
#: rows it is never met, because they are counted from their median.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Moments(Sums):
    """Sums of D series of numbers, each [..., D]; the moments are the population's (over n).

    A metric is NaN where a series has no valid row, as a resample may have.

    Attributes:
        count: valid rows.
        x: targets, from their median: sums of large numbers would cancel.
        y: predictions, from theirs.
        xx: squares of x.
        yy: squares of y.
        xy: products.
        error: prediction - target.
        absolute_error: its absolute value.
        squared_error: its square.
        same_sign: rows with equal signs.
    """

    count: Floats
    x: Floats
    y: Floats
    xx: Floats
    yy: Floats
    xy: Floats
    error: Floats
    absolute_error: Floats
    squared_error: Floats
    same_sign: Floats

    @classmethod
    def of(
        cls,
        *,
        target: ArrayLike,
        prediction: ArrayLike,
        valid: ArrayLike | None = None,
        cluster: Indices | None = None,
    ) -> Moments:
        """Sums over rows.

        Args:
            target: one series [n], or several [n, D].
            prediction: the same shape.
            valid: the same shape, True where there is a label; None: everywhere.
            cluster: of each row [n], 0 to C - 1; None: no clusters.

        Raises:
            MetricError: other shapes, no numbers, NaN or infinity in a valid place, a series
                without a valid row.
        """
        task = "valence and arousal"
        known, guess, mask = scored(task, target=target, prediction=prediction, valid=valid)
        for name, values in (("target", known), ("prediction", guess)):
            refuse(task, name, values, mask & ~np.isfinite(values), "finite numbers")
        t = np.where(mask, known, 0).astype(np.float64)
        p = np.where(mask, guess, 0).astype(np.float64)
        x = np.where(mask, t - middle(t, mask), 0)
        y = np.where(mask, p - middle(p, mask), 0)
        rows = (mask, x, y, x * x, y * y, x * y, p - t, abs(p - t), (p - t) ** 2)
        same = mask & (np.sign(t) == np.sign(p))
        return cls(*(add_up(values, cluster) for values in (*rows, same)))

    def ccc(self) -> Floats:
        """Concordance: 2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2); 0 where a series is constant.

        Source: Lin 1989, "A concordance correlation coefficient to evaluate reproducibility".
        """
        var_x, var_y, cov = self._spread()
        return self._defined(ratio(2 * cov, var_x + var_y + self._mean(self.error) ** 2))

    def pearson(self) -> Floats:
        """Correlation; 0 where a series is constant."""
        var_x, var_y, cov = self._spread()
        return self._defined(np.clip(ratio(cov, np.sqrt(var_x) * np.sqrt(var_y)), -1, 1))

    def rmse(self) -> Floats:
        """Root of the mean squared error."""
        return np.sqrt(self._mean(self.squared_error))

    def mae(self) -> Floats:
        """Mean absolute error."""
        return self._mean(self.absolute_error)

    def sign_agreement(self) -> Floats:
        """Share of rows whose signs are equal; zero is a sign of its own.

        Source: Nicolaou, Gunes & Pantic 2011, "Continuous prediction of spontaneous affect from
        multiple cues and modalities in valence-arousal space" (SAGR).
        """
        return self._mean(self.same_sign)

    def same_target(self, other: Moments) -> bool:
        """Whether the targets are the same, as far as sums tell."""
        return agree((self.count, other.count), (self.x, other.x), (self.xx, other.xx))

    def _spread(self) -> tuple[Floats, Floats, Floats]:
        mean_x, mean_y = self._mean(self.x), self._mean(self.y)
        var_x = _variance(self._mean(self.xx), mean_x)
        var_y = _variance(self._mean(self.yy), mean_y)
        cov = np.where((var_x > 0) & (var_y > 0), self._mean(self.xy) - mean_x * mean_y, 0)
        return var_x, var_y, cov

    def _mean(self, sums: Floats) -> Floats:
        return self._defined(ratio(sums, self.count))

    def _defined(self, values: Floats) -> Floats:
        return np.where(self.count > 0, values, np.nan)


def _variance(mean_square: Floats, mean: Floats) -> Floats:
    variance = mean_square - mean**2
    return np.where(variance > _ROUNDING * mean_square, variance, 0)
