"""The losses of all tasks, with ArcFace's margin, and what tasks teach each other.

Shapes: B batch, K expressions, A action units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from finetune.batches import LabelledBatch, SeenBatch
from finetune.clips import ClipBatch
from finetune.labels import Predictions
from finetune.models.affect import AffectModel, SequenceModel
from finetune.objectives.coupling import (
    CouplingConfig,
    co_annotated,
    matched_units,
    taught_expressions,
    taught_units,
)
from finetune.objectives.margin import MarginConfig, with_margin
from finetune.objectives.supervised import LossConfig, Supervised

#: What tasks teach each other, as it is logged.
_TAUGHT = ("distribution_matching", "co_annotation")


class Recognition(Supervised):
    """A model under the losses of its tasks.

    Args:
        model: answers all tasks.
        losses: their weights.
        margin: of the expressions' angles.
        scale: of the cosines that are the expressions' logits; None: they are none.
        coupling: what tasks teach each other.
        shares: [K, A], p(AU | expression), where they teach anything.
        expression_weights: by class; None: all equal.
        action_unit_weights: by unit; None: 1.
    """

    shares: Tensor | None

    def __init__(
        self,
        model: AffectModel,
        losses: LossConfig,
        *,
        margin: MarginConfig,
        scale: float | None,
        coupling: CouplingConfig,
        shares: Tensor | None,
        expression_weights: Mapping[str, float] | None = None,
        action_unit_weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(model, losses, expression_weights, action_unit_weights)
        self.margin, self.scale, self.coupling = margin, scale, coupling
        self.register_buffer("shares", shares, persistent=False)
        classes = model.labels.expressions.classes if model.labels.expressions else ()
        self._neutral = classes.index("Neutral") if "Neutral" in classes else None
        self._taught = _TAUGHT if shares is not None else ()
        self.tasks = (*self.tasks, *self._taught)

    def counts(self, batch: LabelledBatch | SeenBatch) -> Tensor:
        """See :class:`~finetune.objectives.objective.TrainedModel`."""
        counts = super().counts(batch)
        if not self._taught:
            return counts
        labels = batch.labels
        without, with_units = _rows(batch)
        units = without.sum() * labels.action_units_valid.shape[1]
        return torch.cat([counts, torch.stack([units, with_units.sum()]).to(counts)])

    def forward(self, batch: LabelledBatch | SeenBatch) -> Tensor:
        """See :class:`~finetune.objectives.objective.TrainedModel`."""
        assert isinstance(batch, LabelledBatch)
        answer, labels = self._answer(batch), batch.labels
        logits = answer.expression_logits
        if self.scale is not None:
            assert logits is not None
            logits = with_margin(
                logits,
                labels.expression,
                labels.expression_valid,
                scale=self.scale,
                angle=self.margin.at(batch.epoch),
            )
        sums = self.sums(replace(answer, expression_logits=logits), labels)
        return torch.cat([sums, self._teach(answer, batch)]) if self._taught else sums

    def _answer(self, batch: LabelledBatch) -> Predictions:
        if isinstance(batch, ClipBatch):
            assert isinstance(self.model, SequenceModel)
            if batch.images.ndim == 2:  # features
                return self.model.answer_seen(batch.images, batch.present)
            return self.model.answer_clips(batch.images, batch.present, batch.sound, batch.heard)
        return self.model(batch.images)  # type: ignore[no-any-return]

    def _teach(self, answer: Predictions, batch: LabelledBatch) -> Tensor:
        assert self.shares is not None
        assert answer.expression_logits is not None
        assert answer.action_unit_logits is not None
        labels = batch.labels
        without, with_units = _rows(batch)
        units, mass = matched_units(answer.expression_logits, self.shares)
        expressions, seen = co_annotated(
            labels.action_units, labels.action_units_valid, self.shares, self._neutral
        )
        return torch.stack(
            [
                self.coupling.distribution_matching
                * taught_units(answer.action_unit_logits, units, mass * without),
                self.coupling.co_annotation
                * taught_expressions(answer.expression_logits, expressions, seen & with_units),
            ]
        )


def _rows(batch: LabelledBatch | SeenBatch) -> tuple[Tensor, Tensor]:
    """Rows [B] without any AU label, and rows with some but without an expression.

    The empty slots of a clip are neither.
    """
    labelled = batch.labels.action_units_valid.any(1)
    without = ~labelled
    if isinstance(batch, ClipBatch):
        without = without & batch.present.flatten()
    return without, labelled & ~batch.labels.expression_valid
