"""A model under its losses, and how the loop asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from finetune.models.affect import AffectModel


class TrainedModel(nn.Module):
    """What the loop trains: a model, and whatever its losses learn beside it.

    The losses are computed inside ``forward``: what wraps the module (DDP, FSDP, DeepSpeed) then
    sees one call from a batch to one tensor.

    Args:
        model: the model that is handed on in the end.

    Attributes:
        tasks: what is paid for.
        turns: see :class:`~pretrain.engine.loop.Objective`; ``forward`` is told which one, if there
            are several.
    """

    tasks: Sequence[str]
    turns: Sequence[str] = ("",)

    def __init__(self, model: AffectModel) -> None:
        super().__init__()
        self.model = model

    def counts(self, batch: Any) -> Tensor:
        """Valid entries of each task, [tasks], from the labels alone."""
        raise NotImplementedError

    def forward(self, batch: Any) -> Tensor:
        """Weighted sum of the losses over the valid entries of each task, [tasks]."""
        raise NotImplementedError


class Losses:
    """The loop's view of a :class:`TrainedModel`.

    Args:
        trained: it, unwrapped.
    """

    def __init__(self, trained: TrainedModel) -> None:
        self.tasks, self.turns, self._counts = trained.tasks, trained.turns, trained.counts

    def counts(self, batch: Any) -> Tensor:
        """See :class:`~pretrain.engine.loop.Objective`."""
        return self._counts(batch)

    def sums(self, model: nn.Module, batch: Any, turn: str) -> Tensor:
        """See :class:`~pretrain.engine.loop.Objective`."""
        return model(batch, turn) if turn else model(batch)  # type: ignore[no-any-return]


def concordance_counts(valid: Tensor) -> Tensor:
    """Rows that count in the CCC of each series: [S] of valid [B, S]; fewer than two are none."""
    rows = valid.sum(0)
    return torch.where(rows >= 2, rows, 0)
