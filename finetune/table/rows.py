"""Predictions in memory: checked once, then known to be in range.

n rows, K expressions, A action units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from finetune.data.groups import groups_of
from finetune.labels import (
    VALENCE_AROUSAL,
    ActionUnitSpace,
    ExpressionSpace,
    Floats,
    Integers,
    Mask,
    convert_votes,
)
from finetune.table.about import About
from pretrain.errors import UserError

#: How far probabilities may be from adding up to 1: models work in single or half precision.
_SUM_TOLERANCE = 1e-2

EXPRESSION_PREFIX = "expression_"


class TableError(UserError):
    """A table that is not as :mod:`finetune.table` says, or does not fit what is asked of it."""


@dataclass(frozen=True, kw_only=True)
class PredictionTable:
    """Predictions of a list of images. A row without any is NaN in every task.

    Attributes:
        images: [n], duplicates kept.
        videos: [n]; None: stills.
        frames: [n] numbers of the images in their videos; None: stills.
        valence_arousal: [n, 2] in [-1, 1]; None: the model does not know it.
        expression: [n, K] probabilities; None: likewise.
        expression_space: their columns; None: there are none.
        biases: [K], added to the logarithms of the probabilities before the largest is taken;
            None: zeros.
        action_units: [n, A] probabilities; None: likewise.
        action_unit_space: their columns; None: there are none.
        thresholds: [A], an action unit is there from this probability on; None: 0.5.
        filled: [n], how a row was filled afterwards, "" where it is the model's; None: no row was.
        about: where the predictions come from.

    Raises:
        TableError: a value outside of its range, by row (from 1) and column.
    """

    images: Sequence[str]
    videos: Sequence[str] | None = None
    frames: Integers | None = None
    valence_arousal: Floats | None = None
    expression: Floats | None = None
    expression_space: ExpressionSpace | None = None
    biases: Floats | None = None
    action_units: Floats | None = None
    action_unit_space: ActionUnitSpace | None = None
    thresholds: Floats | None = None
    filled: Sequence[str] | None = None
    about: About = field(default_factory=About)

    def __post_init__(self) -> None:
        """Refuses what no later step could make sense of."""
        n, tasks = len(self.images), self._tasks()
        for column in (self.videos, self.frames, self.filled):
            assert column is None or len(column) == n
        if not tasks:
            raise TableError(
                f"got no predictions, expected some of {', '.join(VALENCE_AROUSAL)}, "
                f"{EXPRESSION_PREFIX}<Name>, AU<n>"
            )
        for names, values in tasks:
            assert values.shape == (n, len(names))
        assert self.biases is None or self.biases.shape == (len(self.expression_space or ()),)
        assert self.thresholds is None or self.thresholds.shape == (
            len(self.action_unit_space or ()),
        )
        self._check_rows(tasks)

    def __len__(self) -> int:
        """N."""
        return len(self.images)

    @cached_property
    def present(self) -> Mask:
        """[n], whether a row has predictions."""
        return np.asarray(~np.isnan(self._tasks()[0][1][:, 0]))

    @cached_property
    def groups(self) -> list[str]:
        """What must not be torn apart, by row: see :func:`~finetune.data.groups.groups_of`."""
        return groups_of(self.images, self.videos)

    @property
    def columns(self) -> dict[str, Floats]:
        """Every prediction by the name of its column, [n] each."""
        return {
            name: values[:, place]
            for names, values in self._tasks()
            for place, name in enumerate(names)
        }

    def decided_expression(self) -> Integers:
        """The class of each row [n], biases applied; of equal ones the first. 0 in a null row."""
        assert self.expression is not None
        scores = np.where(self.present[:, None], self.expression, 0)
        if self.biases is None or not self.biases.any():
            return np.asarray(scores.argmax(1))
        with np.errstate(divide="ignore"):
            return np.asarray((np.log(scores) + self.biases).argmax(1))

    def decided_action_units(self) -> Integers:
        """Whether each action unit is there, [n, A], 0 or 1. 0 in a null row."""
        assert self.action_units is not None
        limits = 0.5 if self.thresholds is None else self.thresholds
        return (self.action_units >= limits).astype(np.int64)  # NaN is never above

    def select(self, rows: Integers) -> PredictionTable:
        """Some rows, in this order."""
        at = rows.tolist()
        return replace(
            self,
            images=[self.images[row] for row in at],
            videos=None if self.videos is None else [self.videos[row] for row in at],
            filled=None if self.filled is None else [self.filled[row] for row in at],
            frames=None if self.frames is None else self.frames[rows],
            valence_arousal=None if self.valence_arousal is None else self.valence_arousal[rows],
            expression=None if self.expression is None else self.expression[rows],
            action_units=None if self.action_units is None else self.action_units[rows],
        )

    def without(self, rows: Mask) -> PredictionTable:
        """The same table with no prediction in some rows [n]."""

        def emptied(values: Floats | None) -> Floats | None:
            return None if values is None else np.where(rows[:, None], np.nan, values)

        return replace(
            self,
            valence_arousal=emptied(self.valence_arousal),
            expression=emptied(self.expression),
            action_units=emptied(self.action_units),
        )

    def in_space(self, space: ExpressionSpace, mapping: str | None = None) -> PredictionTable:
        """The same predictions with the classes of another space.

        Probabilities of classes that it lacks are taken out and the rest scaled to 1; its classes
        that the table lacks get 0. Biases are applied first, and gone afterwards.

        Raises:
            TableError: a row whose whole probability is of classes that the space lacks.
        """
        assert self.expression is not None
        assert self.expression_space is not None
        scores = self.expression
        if self.biases is not None and self.biases.any():
            scores = scores * np.exp(self.biases - self.biases.max())
            scores = scores / scores.sum(1, keepdims=True)
        elif space == self.expression_space:
            return self
        converted, kept = convert_votes(scores, self.expression_space, space, mapping)
        if (lost := self.present & ~kept).any():
            row = int(lost.argmax())
            raise TableError(
                f"row {row + 1} ({self.images[row]}): every probability is of an expression that"
                f" {space.name} lacks, expected some of {', '.join(space.classes)}"
            )
        converted[~self.present] = np.nan
        return replace(self, expression=converted, expression_space=space, biases=None)

    def _tasks(self) -> list[tuple[tuple[str, ...], Floats]]:
        """The columns of each task that is there, and their values [n, columns]."""
        tasks: list[tuple[tuple[str, ...], Floats]] = []
        if self.valence_arousal is not None:
            tasks.append((VALENCE_AROUSAL, self.valence_arousal))
        if self.expression is not None:
            assert self.expression_space is not None
            names = tuple(f"{EXPRESSION_PREFIX}{name}" for name in self.expression_space.classes)
            tasks.append((names, self.expression))
        if self.action_units is not None:
            assert self.action_unit_space is not None
            tasks.append((self.action_unit_space.names, self.action_units))
        return tasks

    def _check_rows(self, tasks: Sequence[tuple[tuple[str, ...], Floats]]) -> None:
        for names, values in tasks:
            least = -1 if names == VALENCE_AROUSAL else 0
            bad = (values < least) | (values > 1) | (np.isnan(values) == self.present[:, None])
            if bad.any():
                row, column = (int(place[0]) for place in np.nonzero(bad))
                got = values[row, column]
                raise TableError(
                    f"row {row + 1} ({self.images[row]}): {names[column]}"
                    f" {'null' if np.isnan(got) else f'{got:.9g}'}, expected"
                    f" {f'in [{least}, 1]' if self.present[row] else 'null, as its other columns'}"
                )
        if self.expression is None:
            return
        off = np.abs(self.expression.sum(1) - 1) > _SUM_TOLERANCE
        if off.any():
            row = int(off.argmax())
            raise TableError(
                f"row {row + 1} ({self.images[row]}): expressions add up to"
                f" {self.expression[row].sum():g}, expected probabilities that add up to 1"
            )
