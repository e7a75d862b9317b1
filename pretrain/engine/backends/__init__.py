"""How the processes of a run share its model: replicated, ZeRO, or fully sharded.

A backend wraps the model, steps the optimiser and gathers full tensors. All give checkpoints of one
form, parameters and optimiser states by name and whole: a run saved under one goes on under any
other, and at any number of processes.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor, nn

from pretrain.engine.runtime import Runtime


class Backend(Protocol):
    """A wrapped model and its optimiser.

    Attributes:
        model: to be called; every process calls it at the same time.
        splits_weights: whether a process has a part of the weights only.
    """

    model: nn.Module
    splits_weights: bool

    def set_lr(self, lr: float) -> None:
        """The learning rate of the step to come."""

    def micro_batch(self, last: bool) -> AbstractContextManager[object]:
        """Around forward and backward of one micro-batch; gradients meet in the last one."""

    def backward(self, loss: Tensor) -> None:
        """Backward; gradients are means over processes and micro-batches."""

    def step(self) -> tuple[Tensor, Tensor]:
        """Clips and steps the optimiser once all micro-batches are through.

        Returns:
            The norm of the whole gradient, and 1.0 where it was not finite and nothing changed,
            else 0.0; scalars on the device.
        """

    def weights(self) -> dict[str, Tensor]:
        """The model's state dict, whole, on the main process alone. Every process takes part."""

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """The optimiser's state by ``KEY/PARAMETER``, likewise."""

    def load(self, weights: dict[str, Tensor], optimizer: dict[str, Tensor]) -> None:
        """Puts back what :meth:`weights` and :meth:`optimizer_tensors` gave, of any backend."""


def wrap(
    runtime: Runtime, model: nn.Module, optimizer: torch.optim.AdamW, clip_norm: float | None
) -> Backend:
    """The backend of a run.

    Args:
        runtime: says which.
        model: on the device, with the same weights in every process.
        optimizer: over its parameters.
        clip_norm: largest norm of the gradient; None does not clip.
    """
    if runtime.distributed.startswith("zero"):
        from pretrain.engine.backends.zero import Zero  # DeepSpeed is an extra

        return Zero(runtime, model, optimizer, clip_norm)
    if runtime.distributed == "fsdp":
        from pretrain.engine.backends.sharded import Sharded

        return Sharded(runtime, model, optimizer, clip_norm)
    from pretrain.engine.backends.replicated import Replicated

    return Replicated(runtime, model, optimizer, clip_norm)
