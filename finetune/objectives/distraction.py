"""The objective of DAN: cross-entropy, attention heads that differ, features near their class.

Source: Wen et al. 2021, "Distract your attention: multi-head cross attention network for facial
expression recognition".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from finetune.batches import LabelledBatch
from finetune.losses import affinity_loss, cross_entropy, partition_loss
from finetune.models.dan import DAN
from finetune.objectives.objective import TrainedModel


class Distraction(TrainedModel):
    """DAN under its three losses, each of weight 1, and the class centres that one of them learns.

    Args:
        model: the network.
    """

    model: DAN
    tasks = ("expression", "affinity", "partition")

    def __init__(self, model: DAN) -> None:
        super().__init__(model)
        classes = len(model.labels.expressions or ())
        self.centres = nn.Parameter(torch.randn(classes, model.num_features))

    def counts(self, batch: LabelledBatch) -> Tensor:
        """See :class:`TrainedModel`."""
        labelled = batch.labels.expression_valid.sum()
        every = torch.full_like(labelled, len(batch.images))
        return torch.stack([labelled, labelled, every])

    def forward(self, batch: LabelledBatch) -> Tensor:
        """See :class:`TrainedModel`."""
        labels, outputs = batch.labels, self.model.training_outputs(batch.images)
        expression, valid = labels.expression, labels.expression_valid
        return torch.stack(
            [
                cross_entropy(outputs.logits.float(), expression, valid)[0],
                affinity_loss(outputs.features.float(), expression, valid, self.centres)[0],
                partition_loss(outputs.heads.float())[0],
            ]
        )
