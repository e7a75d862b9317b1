"""What a fit raises, task by task: mean CCC, macro-F1, mean F1 of the action units.

An objective knows the labels of all rows; a fit looks at some of them. Settings are in the spaces
of the labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from finetune.labels import VALENCE_AROUSAL, Floats, Mask
from finetune.postprocessing.decisions import fit_biases, fit_thresholds
from finetune.scoring.joined import Joined
from finetune.tallies import Confusion, Decisions, Moments


@dataclass(frozen=True)
class Fit:
    """The best that some predictions can score on the rows of a fit.

    Attributes:
        score: with the setting.
        setting: biases [K] or thresholds [A]; None: nothing is decided.
        unknown: names of classes or action units whose setting no label speaks of.
    """

    score: float
    setting: Floats | None = None
    unknown: tuple[str, ...] = ()


class Objective(ABC):
    """The labels of one task, and its score.

    Args:
        joined: predictions with labels that know the task.
    """

    #: As :data:`~.columns.TASKS` has it.
    task: ClassVar[str]

    @abstractmethod
    def __init__(self, joined: Joined) -> None: ...

    @abstractmethod
    def predicted(self, joined: Joined) -> Floats:
        """The predictions [n, C] that the labels speak of; NaN in a null row."""

    @abstractmethod
    def fit(self, prediction: Floats, rows: Mask) -> Fit | None:
        """Chooses the setting.

        Args:
            prediction: [n, C].
            rows: [n] that may be looked at.

        Returns:
            None: none of these rows has a label.
        """

    @abstractmethod
    def decided(self, prediction: Floats, fit: Fit | None) -> Any:
        """What is scored: numbers [n, C], classes [n], or decisions [n, C], by a setting."""

    @abstractmethod
    def tally(self, decided: Any) -> Any:
        """The sums of all rows that have both, for the metrics."""


class Affect(Objective):
    """Valence and arousal: nothing is decided."""

    task = "valence_arousal"

    def __init__(self, joined: Joined) -> None:
        places = [VALENCE_AROUSAL.index(name) for name in joined.series]
        self.target = joined.annotations.targets.valence_arousal[:, places]
        self.valid = joined.affect_valid()

    def predicted(self, joined: Joined) -> Floats:
        """See :class:`Objective`."""
        return joined.affect()[1]

    def fit(self, prediction: Floats, rows: Mask) -> Fit | None:
        """See :class:`Objective`."""
        valid = self.valid[rows]
        known = valid.any(0)
        if not known.any():
            return None
        moments = Moments.of(
            target=self.target[rows][:, known],
            prediction=prediction[rows][:, known],
            valid=valid[:, known],
        )
        return Fit(float(moments.ccc().mean()))

    def decided(self, prediction: Floats, fit: Fit | None) -> Any:
        """See :class:`Objective`."""
        return prediction

    def tally(self, decided: Any) -> Any:
        """See :class:`Objective`."""
        return Moments.of(target=self.target, prediction=decided, valid=self.valid)


class Expression(Objective):
    """Expressions: a bias a class."""

    task = "expression"

    def __init__(self, joined: Joined) -> None:
        self.classes = joined.classes
        self.target = joined.annotations.targets.expression
        self.valid = joined.expression_valid()

    def predicted(self, joined: Joined) -> Floats:
        """See :class:`Objective`."""
        assert joined.table.expression is not None
        return joined.table.expression

    def fit(self, prediction: Floats, rows: Mask) -> Fit | None:
        """See :class:`Objective`."""
        valid = self.valid & rows
        if not valid.any():
            return None
        biases, score, labelled = fit_biases(self.target[valid], prediction[valid])
        unknown = [name for name, there in zip(self.classes, labelled, strict=True) if not there]
        return Fit(score, biases, tuple(unknown))

    def decided(self, prediction: Floats, fit: Fit | None) -> Any:
        """See :class:`Objective`."""
        scores = np.where(np.isnan(prediction), 0, prediction)
        if fit is None or fit.setting is None or not fit.setting.any():
            return scores.argmax(1)
        with np.errstate(divide="ignore"):
            return (np.log(scores) + fit.setting).argmax(1)

    def tally(self, decided: Any) -> Any:
        """See :class:`Objective`."""
        classes = len(self.classes)
        return Confusion.of(
            target=self.target, prediction=decided, classes=classes, valid=self.valid
        )


class ActionUnits(Objective):
    """Action units: a threshold each."""

    task = "action_units"

    def __init__(self, joined: Joined) -> None:
        self.units = joined.units
        self.target = joined.action_units()[0]
        self.valid = joined.units_valid()

    def predicted(self, joined: Joined) -> Floats:
        """See :class:`Objective`."""
        return joined.action_units()[1]

    def fit(self, prediction: Floats, rows: Mask) -> Fit | None:
        """See :class:`Objective`."""
        valid = self.valid[rows]
        known = valid.any(0)
        if not known.any():
            return None
        thresholds, f1, present = fit_thresholds(self.target[rows], prediction[rows], valid)
        unknown = [name for name, there in zip(self.units, present, strict=True) if not there]
        return Fit(float(f1[known].mean()), thresholds, tuple(unknown))

    def decided(self, prediction: Floats, fit: Fit | None) -> Any:
        """See :class:`Objective`."""
        limits = 0.5 if fit is None or fit.setting is None else fit.setting
        return (prediction >= limits).astype(np.int64)

    def tally(self, decided: Any) -> Any:
        """See :class:`Objective`."""
        return Decisions.of(target=self.target, prediction=decided, valid=self.valid)


def objectives_of(joined: Joined) -> list[Objective]:
    """An objective for each task that predictions and labels both know."""
    known = ((Affect, joined.series), (Expression, joined.classes), (ActionUnits, joined.units))
    return [objective(joined) for objective, names in known if names]
