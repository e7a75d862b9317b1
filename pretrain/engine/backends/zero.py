"""DeepSpeed's ZeRO: optimiser states (1), gradients (2) or parameters as well (3) are split.

DeepSpeed steps by itself within the last backward, and reads the norm on the host every step: that
is its cost here, not a choice of ours. Its own checkpoints are pickled shards of one number of
processes; ours hold whole tensors by name.
"""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from pretrain.engine.optim import set_lr
from pretrain.engine.runtime import Runtime

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Zero:
    """See :class:`~pretrain.engine.backends.Backend`."""

    def __init__(
        self,
        runtime: Runtime,
        model: nn.Module,
        optimizer: torch.optim.AdamW,
        clip_norm: float | None,
    ) -> None:
        self.accelerator, self.device, self.module = runtime.accelerator, runtime.device, model
        self.splits_weights = runtime.distributed == "zero3"
        # ZeRO-3 would warn of torch's renamed collectives in every step.
        warnings.filterwarnings("ignore", r"`torch\.distributed\.", FutureWarning)
        self.model, self._wrapped = self.accelerator.prepare(model, optimizer)
        self.optimizer: Any = self.model.optimizer
        self.optimizer.clip_grad = clip_norm or 0.0  # 0 does not clip
        self._states = self._make_states()

    def set_lr(self, lr: float) -> None:
        """See the protocol."""
        set_lr(self.optimizer, lr)

    def micro_batch(self, last: bool) -> AbstractContextManager[object]:
        """Accelerate counts the micro-batches itself."""
        del last
        return self.accelerator.accumulate(self.model)  # type: ignore[no-any-return]

    def backward(self, loss: Tensor) -> None:
        """The last one of a step also steps, unless the norm is not finite."""
        self.accelerator.backward(loss)

    def step(self) -> tuple[Tensor, Tensor]:
        """What the step inside the last backward found."""
        norm = torch.as_tensor(self.model.get_global_grad_norm(), device=self.device).float()
        return norm, torch.tensor(float(self.optimizer.overflow), device=self.device)

    def weights(self) -> dict[str, Tensor]:
        """See the protocol."""
        from deepspeed.utils import safe_get_full_fp32_param

        parameters, found = dict(self.module.named_parameters()), dict[str, Tensor]()
        for name, value in self.module.state_dict().items():
            whole = safe_get_full_fp32_param(parameters[name]) if name in parameters else value
            self._keep(found, name, whole)
        return found

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """See the protocol."""
        from deepspeed.utils import safe_get_full_optimizer_state

        step, found = self._states[0]["step"], dict[str, Tensor]()
        for name, parameter in self.module.named_parameters():
            self._keep(found, f"step/{name}", step)
            for key in _MOMENTS:
                whole = safe_get_full_optimizer_state(parameter, key)
                self._keep(found, f"{key}/{name}", whole)
        return found

    def load(self, weights: dict[str, Tensor], optimizer: dict[str, Tensor]) -> None:
        """See the protocol."""
        from deepspeed.runtime.zero import GatheredParameters
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        for name, buffer in self.module.named_buffers():
            if name in weights:
                buffer.copy_(weights[name])
        for name, parameter in self.module.named_parameters():
            whole = weights[name].to(self.device)
            with torch.no_grad(), GatheredParameters([parameter], modifier_rank=0):
                parameter.data.copy_(whole)
            safe_set_full_fp32_param(parameter, whole)
            for key in _MOMENTS:
                moment = optimizer[f"{key}/{name}"].to(self.device)
                safe_set_full_optimizer_state(parameter, moment, key)
        steps = next(value for entry, value in optimizer.items() if entry.startswith("step/"))
        for state in self._states:
            state["step"].copy_(steps)

    def _keep(self, found: dict[str, Tensor], name: str, whole: Tensor) -> None:
        """Whole tensors stay with the main process alone, and off the device."""
        if self.accelerator.is_main_process:
            found[name] = whole.detach().cpu().clone()

    def _make_states(self) -> list[dict[str, Tensor]]:
        """Adam's states, as AdamW would make them in its first step.

        DeepSpeed can only gather and set states that are there, and finds those of its first
        parameter group alone when it looks for them during the first step.
        """
        zero = self.optimizer
        flat = (
            zero.fp32_partitioned_groups_flat
            if hasattr(zero, "fp32_partitioned_groups_flat")
            else zero.single_partition_of_fp32_groups
        )
        states = []
        for tensor in flat:
            state = {key: torch.zeros_like(tensor) for key in _MOMENTS}
            state["step"] = torch.zeros((), dtype=torch.float32, device=tensor.device)
            zero.optimizer.state[tensor] = state
            states.append(state)
        if hasattr(zero, "_lazy_init_hp_params_optimizer_state"):
            zero._lazy_init_hp_params_optimizer_state()
        return states
