"""One process, or DDP: every process holds the whole model and its optimiser."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from pretrain.engine.optim import load_optimizer_tensors, optimizer_tensors, set_lr
from pretrain.engine.runtime import Runtime


class Replicated:
    """See :class:`~pretrain.engine.backends.Backend`. Nothing is read from the device."""

    splits_weights = False

    def __init__(
        self,
        runtime: Runtime,
        model: nn.Module,
        optimizer: torch.optim.AdamW,
        clip_norm: float | None,
    ) -> None:
        self.accelerator, self.clip_norm = runtime.accelerator, clip_norm
        self.module = model
        self.model: nn.Module = self.accelerator.prepare(model)
        # The bare optimiser gets found_inf: on Accelerate's wrapper it would be ignored.
        self.optimizer = optimizer
        self._wrapped = self.accelerator.prepare(optimizer)

    def set_lr(self, lr: float) -> None:
        """See the protocol."""
        set_lr(self.optimizer, lr)

    def micro_batch(self, last: bool) -> AbstractContextManager[object]:
        """Accelerate counts the micro-batches itself."""
        del last
        return self.accelerator.accumulate(self.model)  # type: ignore[no-any-return]

    def backward(self, loss: Tensor) -> None:
        """See the protocol."""
        self.accelerator.backward(loss)

    def step(self) -> tuple[Tensor, Tensor]:
        """A non-finite gradient makes the step a no-op, the device unasked."""
        self.accelerator.unscale_gradients(self._wrapped)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.clip_norm, norm)
        skip = (~torch.isfinite(norm)).float()
        if self.accelerator.scaler is None:
            self.optimizer.found_inf, self.optimizer.grad_scale = skip, None  # type: ignore[attr-defined]
        self._wrapped.step()
        self._wrapped.zero_grad()
        return norm, skip

    def weights(self) -> dict[str, Tensor]:
        """See the protocol."""
        return dict(self.module.state_dict())

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """See the protocol."""
        return optimizer_tensors(self.optimizer, self.module)

    def load(self, weights: dict[str, Tensor], optimizer: dict[str, Tensor]) -> None:
        """See the protocol."""
        self.module.load_state_dict(weights)
        load_optimizer_tensors(self.optimizer, self.module, optimizer)
