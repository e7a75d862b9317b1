"""What the metrics need to know of the rows, as sums.

The same sums serve the metric of a table (all rows), of each video, and of a bootstrap resample,
which is a weighted sum over videos: one definition of a metric for all three.

Legend: n rows, C clusters (videos), B resamples, D series, K classes, A action units; "..." stands
for nothing (all rows), for C, or for B.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from finetune.tallies.confusion import Confusion
from finetune.tallies.decisions import Decisions
from finetune.tallies.moments import Moments
from finetune.tallies.rows import Floats, MetricError

__all__ = ["Confusion", "Decisions", "MetricError", "Moments", "Tallies"]


@dataclass(frozen=True, kw_only=True)
class Tallies:
    """The sums of a table, by task; None: the table, or its labels, lack the task.

    Attributes:
        valence_arousal: of [n, 2].
        expression: of K classes.
        action_units: of A units.
    """

    valence_arousal: Moments | None = None
    expression: Confusion | None = None
    action_units: Decisions | None = None

    @property
    def clusters(self) -> int:
        """C, the same in every task."""
        counts = {part.clusters for part in self._parts().values()}
        assert len(counts) == 1, "tasks count other clusters"
        return int(counts.pop())

    def total(self) -> Tallies:
        """See :meth:`Sums.total`."""
        return Tallies(**{name: part.total() for name, part in self._parts().items()})

    def weighted(self, weights: Floats) -> Tallies:
        """See :meth:`Sums.weighted`."""
        return Tallies(**{name: part.weighted(weights) for name, part in self._parts().items()})

    def same_target(self, other: Tallies) -> bool:
        """Whether both are of the same tasks, clusters and targets, as far as sums tell."""
        mine, theirs = self._parts(), other._parts()
        return mine.keys() == theirs.keys() and all(
            part.same_target(theirs[name]) for name, part in mine.items()
        )

    def _parts(self) -> dict[str, Any]:
        """The tasks that are there."""
        parts = vars(self).items()
        return {name: part for name, part in parts if part is not None}
