"""Predictions of every setting that a fit looks at, each made once."""

from __future__ import annotations

from collections.abc import Mapping

from finetune.data.annotations import Annotations
from finetune.labels import Floats
from finetune.postprocessing.aligning import aligned, in_order
from finetune.postprocessing.columns import TASKS, only
from finetune.postprocessing.ensembling import combine
from finetune.postprocessing.objectives import Objective
from finetune.postprocessing.smoothing import smooth
from finetune.scoring.joined import join
from finetune.table import PredictionTable, TableError


class Candidates:
    """The predictions of a table, or of an ensemble, by weights and width.

    Weights and widths change a row by other predictions of its video, never by a label: so they are
    made of all rows at once, whichever of them a fit may look at.

    Args:
        members: raw predictions by what messages call them; more than one: an ensemble.
        annotations: labels of the same images.
        mapping: see :func:`~finetune.scoring.joined.join`.

    Raises:
        TableError: see :func:`~.aligning.aligned`.
    """

    def __init__(
        self,
        members: Mapping[str, PredictionTable],
        annotations: Annotations,
        mapping: str | None = None,
    ) -> None:
        self.annotations, self.mapping = annotations, mapping
        ordered = dict[str, PredictionTable]()
        for name, table in members.items():
            try:
                ordered[name] = in_order(table, annotations.images)
            except TableError as error:
                raise TableError(f"{name}: {error}") from None
        self.tables = aligned(ordered)
        self._made: dict[tuple[str, tuple[float, ...], float], Floats] = {}

    @property
    def members(self) -> int:
        """M; 1: no ensemble."""
        return len(self.tables)

    def prediction(self, objective: Objective, weights: tuple[float, ...], width: float) -> Floats:
        """What the objective scores, [n, C] in the labels' spaces.

        Args:
            objective: of the task.
            weights: one a member; nothing to one alone.
            width: of smoothing in frames.
        """
        key = (objective.task, weights, width)
        if key in self._made:
            return self._made[key]
        table = self.tables[0]
        if self.members > 1:
            table = combine(self.tables, dict.fromkeys(TASKS, weights))
        smoothed = smooth(only(table, objective.task), {objective.task: width})
        found = objective.predicted(join(smoothed, self.annotations, self.mapping))
        if width or self.members == 1:  # many weights are tried, each at width 0 alone
            self._made[key] = found
        return found
