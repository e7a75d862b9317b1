"""The multi-task objective: concordance, cross-entropy and binary cross-entropy, where labelled.

Shapes: B batch, K expressions, A action units.

Source: Li et al. 2022, "Affective behaviour analysis using pretrained model with facial prior",
equations of the losses; each is over its valid labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from finetune.batches import LabelledBatch, LabelTensors, SeenBatch
from finetune.label_weights import ACTION_UNIT_WEIGHTS, EXPRESSION_WEIGHTS
from finetune.labels import Predictions
from finetune.losses import (
    binary_cross_entropy,
    ccc_loss,
    cross_entropy,
    soft_cross_entropy,
    squared_error,
)
from finetune.models.affect import AffectModel
from finetune.models.label_spaces import LabelSpaces
from finetune.objectives.objective import TrainedModel, concordance_counts

TASKS = ("valence", "arousal", "expression", "action_units")

_AFFECT_LOSSES: Mapping[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "ccc": ccc_loss,
    "mse": squared_error,
}


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What the tasks count.

    Attributes:
        valence_arousal: weight of (1 - CCC of valence) + (1 - CCC of arousal); 0 leaves the task
            out.
        valence_arousal_loss: ccc, or mse: the squared errors of both in the place of 1 - CCC.
        expression: weight of the cross-entropy; 0 leaves the task out.
        action_units: weight of the binary cross-entropy; 0 leaves the task out.
        expression_weights: of the classes, from the training labels: none, balanced (by 1 /
            frequency) or sqrt (by its root).
        action_unit_weights: of the images that show a unit, likewise: none or balanced (negatives
            / positives).
        votes: whether expressions are the shares of raters, where a source has them, and not the
            most frequent one.
    """

    valence_arousal: float = 1.0
    expression: float = 1.0
    action_units: float = 1.0
    valence_arousal_loss: str = "ccc"
    expression_weights: str = "none"
    action_unit_weights: str = "balanced"
    votes: bool = False

    def __post_init__(self) -> None:
        """Refuses negative weights, weights of nothing, and unknown names."""
        weights = (self.valence_arousal, self.expression, self.action_units)
        if min(weights) < 0 or max(weights) == 0:
            raise ValueError(f"weights {weights}, expected 0 or more and one above")
        for name, known in (
            ("expression_weights", EXPRESSION_WEIGHTS),
            ("action_unit_weights", ACTION_UNIT_WEIGHTS),
            ("valence_arousal_loss", tuple(_AFFECT_LOSSES)),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} {getattr(self, name)!r}, expected one of {', '.join(known)}"
                )

    @property
    def trained_tasks(self) -> tuple[str, ...]:
        """Names of :class:`~finetune.labels.Predictions`' tasks that count."""
        names = ("valence_arousal", "expression", "action_units")
        return tuple(name for name in names if getattr(self, name))

    def of_task(self, task: str) -> float:
        """Weight of one of :data:`TASKS`."""
        if task in ("valence", "arousal"):
            return self.valence_arousal
        return float(getattr(self, task))


class Supervised(TrainedModel):
    """A model under the losses of all tasks that it answers.

    Every head runs in every step, whatever is labelled: a head that is left out has gradient zero.

    Args:
        model: answers some of the tasks.
        config: their weights.
        expression_weights: by class; None: all equal.
        action_unit_weights: by unit; None: 1.
    """

    expression_weight: Tensor | None
    positive_weight: Tensor | None

    def __init__(
        self,
        model: AffectModel,
        config: LossConfig,
        expression_weights: Mapping[str, float] | None = None,
        action_unit_weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(model)
        self.config = config
        self.tasks = self._labelled = tasks_of(model.labels)
        spaces = model.labels
        classes = spaces.expressions.classes if spaces.expressions else ()
        units = spaces.action_units.names if spaces.action_units else ()
        for name, weights, columns in (
            ("expression_weight", expression_weights, classes),
            ("positive_weight", action_unit_weights, units),
        ):
            tensor = None if weights is None else torch.tensor([weights[c] for c in columns])
            self.register_buffer(name, tensor, persistent=False)

    def counts(self, batch: LabelledBatch | SeenBatch) -> Tensor:
        """See :class:`TrainedModel`."""
        labels = batch.labels
        affect = labels.valence_arousal_valid.sum(0)
        if self.config.valence_arousal_loss == "ccc":
            affect = concordance_counts(labels.valence_arousal_valid)
        found = {
            "valence": affect[0],
            "arousal": affect[1],
            "expression": labels.expression_valid.sum(),
            "action_units": labels.action_units_valid.sum(),
        }
        return torch.stack([found[task] for task in self._labelled])

    def forward(self, batch: LabelledBatch | SeenBatch) -> Tensor:
        """See :class:`TrainedModel`."""
        if isinstance(batch, SeenBatch):
            return self.sums(self.model.answer(batch.seen), batch.labels)
        return self.sums(self.model(batch.images), batch.labels)

    def sums(self, answer: Predictions, labels: LabelTensors) -> Tensor:
        """Weighted sums of the losses of an answer, [tasks]."""
        found: list[Tensor] = []
        for place, series in enumerate(("valence", "arousal")):
            if answer.valence_arousal is not None:
                total, _ = _AFFECT_LOSSES[self.config.valence_arousal_loss](
                    answer.valence_arousal[:, place],
                    labels.valence_arousal[:, place],
                    labels.valence_arousal_valid[:, place],
                )
                found.append(total * self.config.of_task(series))
        if answer.expression_logits is not None:
            found.append(self._expression(answer.expression_logits, labels))
        if answer.action_unit_logits is not None:
            total, _ = binary_cross_entropy(
                answer.action_unit_logits,
                labels.action_units,
                labels.action_units_valid,
                self.positive_weight,
            )
            found.append(total * self.config.action_units)
        return torch.stack(found)

    def _expression(self, logits: Tensor, labels: LabelTensors) -> Tensor:
        weight = self.expression_weight
        if self.config.votes:
            total, _ = soft_cross_entropy(
                logits, labels.expression_votes, labels.expression_valid, weight
            )
        else:
            total, _ = cross_entropy(logits, labels.expression, labels.expression_valid, weight)
        return total * self.config.expression


def tasks_of(labels: LabelSpaces) -> Sequence[str]:
    """Those of :data:`TASKS` that a model with these columns answers."""
    answered = {
        "valence": labels.valence_arousal,
        "arousal": labels.valence_arousal,
        "expression": labels.expressions is not None,
        "action_units": labels.action_units is not None,
    }
    return tuple(task for task in TASKS if answered[task])
