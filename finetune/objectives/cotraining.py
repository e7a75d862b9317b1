"""Masked co-training: every view learns the labels from its part of the image, and they must agree.

Shapes: B batch, W views, N patches.

Source: Li et al. 2022, "Affective behaviour analysis using pretrained model with facial prior": the
mean over views of the supervised loss, plus lambda times the Jensen-Shannon divergence of what they
say. The agreement on action units and on valence and arousal is ours; so is the teacher among the
views (an average of weights that teaches: Tarvainen and Valpola 2017, "Mean teachers are better
role models").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from finetune.batches import LabelledBatch, SeenBatch
from finetune.losses import bernoulli_js_divergence, js_divergence, squared_disagreement
from finetune.models.affect import AffectModel
from finetune.objectives.supervised import LossConfig, Supervised
from pretrain.models.masking import visible_patches

#: By the name of what is logged: the task, what views say of it, how far apart they are.
_AGREEMENTS: Mapping[str, tuple[str, str, Callable[[Tensor], tuple[Tensor, Tensor]]]] = {
    "affect_agreement": ("valence", "valence_arousal", squared_disagreement),
    "expression_agreement": ("expression", "expression_logits", js_divergence),
    "action_unit_agreement": ("action_units", "action_unit_logits", bernoulli_js_divergence),
}


@dataclass(frozen=True, kw_only=True)
class CoTrainingConfig:
    """How views differ, and what their agreement counts.

    Attributes:
        mask_ratio: share of the patches that a view does not see, in [0, 1); 0: it sees all.
        masks: independent, or disjoint: no patch is seen by two views.
        weight: lambda of the agreement. (The paper's 100 is on a divergence that it averages over
            its six classes: 100 / 6 here.)
        ramp_epochs: epochs over which the weight grows linearly from 0; 0: none.
        teacher: whether the views must also agree with what the average of the weights
            (``optim.ema_decay``) says of the whole image; nothing flows back into it.
    """

    mask_ratio: float = 0.75
    masks: str = "independent"
    weight: float = 1.0
    ramp_epochs: int = 0
    teacher: bool = False

    def __post_init__(self) -> None:
        """Refuses unknown masks and numbers out of range."""
        if not 0 <= self.mask_ratio < 1:
            raise ValueError(f"mask_ratio {self.mask_ratio}, expected in [0, 1)")
        if self.masks not in ("independent", "disjoint"):
            raise ValueError(f"masks {self.masks!r}, expected independent or disjoint")
        if self.weight < 0 or self.ramp_epochs < 0:
            raise ValueError(
                f"weight {self.weight}, ramp_epochs {self.ramp_epochs}, expected 0 or more"
            )

    def at(self, epoch: int) -> float:
        """The weight in an epoch, counted from 0."""
        return self.weight * min(1.0, epoch / self.ramp_epochs if self.ramp_epochs else 1.0)


class CoTraining(Supervised):
    """A model whose views are under the losses of all tasks, and under that of their agreement.

    Args:
        model: answers views.
        config: how they differ.
        losses: of each view.
        expression_weights: by class; None: all equal.
        action_unit_weights: by unit; None: 1.
    """

    def __init__(
        self,
        model: AffectModel,
        config: CoTrainingConfig,
        losses: LossConfig,
        expression_weights: Mapping[str, float] | None = None,
        action_unit_weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(model, losses, expression_weights, action_unit_weights)
        self.cotraining = config
        self._teacher: tuple[AffectModel, ...] = ()  # in a tuple: no part of what is trained
        labels = model.labels
        self._entries = {
            "valence_arousal": 2 if labels.valence_arousal else 0,
            "expression_logits": 1 if labels.expressions else 0,
            "action_unit_logits": len(labels.action_units or ()),
        }
        self._agreements = {
            name: (field, divergence)
            for name, (task, field, divergence) in _AGREEMENTS.items()
            if self._entries[field] and losses.of_task(task)
        }
        self.tasks = (*self.tasks, *self._agreements)

    def learn_from(self, teacher: AffectModel) -> None:
        """Whom the views must agree with, see :class:`CoTrainingConfig`.

        Args:
            teacher: of the same form, never trained here.
        """
        self._teacher = (teacher.eval().requires_grad_(False),)

    def counts(self, batch: LabelledBatch | SeenBatch) -> Tensor:
        """See :class:`~finetune.objectives.objective.TrainedModel`."""
        labelled = super().counts(batch)
        rows = len(batch.labels.expression)
        entries = [rows * self._entries[field] for field, _ in self._agreements.values()]
        return torch.cat([labelled, labelled.new_tensor(entries)])

    def forward(self, batch: LabelledBatch | SeenBatch) -> Tensor:
        """See :class:`~finetune.objectives.objective.TrainedModel`."""
        assert isinstance(batch, LabelledBatch)
        assert batch.noise is not None
        config = self.cotraining
        visible = visible_patches(
            batch.noise, config.mask_ratio, disjoint=config.masks == "disjoint"
        )
        answers = self.model.answer_views(batch.images, visible)
        supervised = torch.stack([self.sums(answer, batch.labels) for answer in answers]).mean(0)
        with torch.no_grad():
            answers += [teacher(batch.images) for teacher in self._teacher]
        agreements = [
            divergence(torch.stack([getattr(answer, field) for answer in answers]))[0]
            for field, divergence in self._agreements.values()
        ]
        return torch.cat([supervised, config.at(batch.epoch) * torch.stack(agreements)])
