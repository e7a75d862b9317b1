"""What a submission says, as numbers.

n rows, A action units.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from finetune.labels import Floats, Integers
from finetune.submission.challenges import Challenge


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What is submitted of each row; what a challenge does not ask for is None.

    Attributes:
        valence_arousal: [n, 2] in [-1, 1].
        expression: [n] indices of the challenge's classes.
        action_units: [n, A], 0 or 1, in the challenge's order.
    """

    valence_arousal: Floats | None = None
    expression: Integers | None = None
    action_units: Integers | None = None

    def cells(self) -> Floats:
        """Every cell of every row as a number, [n, columns of the challenge]."""
        parts = (self.valence_arousal, self.expression, self.action_units)
        return np.column_stack([np.asarray(part, np.float64) for part in parts if part is not None])

    @classmethod
    def of_cells(cls, cells: Floats, challenge: Challenge) -> Answers:
        """From what :meth:`cells` gave."""
        parts = iter(np.split(cells, _borders(challenge), axis=1))
        affect = next(parts) if challenge.valence_arousal else None
        expression = next(parts)[:, 0].astype(np.int64) if challenge.expressions else None
        units = next(parts).astype(np.int64) if challenge.action_units else None
        return cls(valence_arousal=affect, expression=expression, action_units=units)


def _borders(challenge: Challenge) -> list[int]:
    """Where the cells of the next task begin."""
    widths = (
        *((2,) if challenge.valence_arousal else ()),
        *((1,) if challenge.expressions else ()),
        *((len(challenge.action_units),) if challenge.action_units else ()),
    )
    return [int(border) for border in np.cumsum(widths)[:-1]]
