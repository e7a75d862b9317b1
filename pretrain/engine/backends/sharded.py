"""FSDP2: parameters, gradients and optimiser states are split over the processes, block by block.

This is torch's own ``fully_shard``. Accelerate's never runs on a CPU, where it quietly becomes DDP.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from pretrain.engine.optim import optimizer_tensors, set_lr
from pretrain.engine.runtime import Runtime


class Sharded:
    """See :class:`~pretrain.engine.backends.Backend`."""

    splits_weights = True

    def __init__(
        self,
        runtime: Runtime,
        model: nn.Module,
        optimizer: torch.optim.AdamW,
        clip_norm: float | None,
    ) -> None:
        self.runtime, self.clip_norm = runtime, clip_norm
        names = {parameter: name for name, parameter in model.named_parameters()}
        for tensor in model.state_dict().values():  # as DDP and DeepSpeed do by themselves
            dist.broadcast(tensor, 0)
        mesh = init_device_mesh(runtime.device.type, (runtime.world_size,))
        for layers in model.modules():
            if isinstance(layers, nn.ModuleList):  # the blocks of encoder and decoder
                for block in layers:
                    fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
        assert isinstance(model, FSDPModule)
        self.module: nn.Module = model
        self.model: nn.Module = model
        self._sharded, self._micro_batches = model, runtime.accumulation
        now = dict(model.named_parameters())  # sharding has put new ones in their places
        for group in optimizer.param_groups:
            group["params"] = [now[names[parameter]] for parameter in group["params"]]
        self.optimizer = optimizer

    def set_lr(self, lr: float) -> None:
        """See the protocol."""
        set_lr(self.optimizer, lr)

    def micro_batch(self, last: bool) -> AbstractContextManager[object]:
        """See the protocol."""
        self._sharded.set_requires_gradient_sync(last)
        return self.runtime.autocast()

    def backward(self, loss: Tensor) -> None:
        """See the protocol."""
        (loss / self._micro_batches).backward()  # type: ignore[no-untyped-call]

    def step(self) -> tuple[Tensor, Tensor]:
        """See the protocol; nothing is read from the device."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        norm = _whole(norm)
        if self.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.clip_norm, norm)
        skip = (~torch.isfinite(norm)).float()
        self.optimizer.found_inf, self.optimizer.grad_scale = skip, None  # type: ignore[attr-defined]
        self.optimizer.step()
        self.optimizer.zero_grad()
        return norm, skip

    def weights(self) -> dict[str, Tensor]:
        """See the protocol."""
        return self._gathered(self.module.state_dict())

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """See the protocol."""
        return self._gathered(optimizer_tensors(self.optimizer, self.module))

    def load(self, weights: dict[str, Tensor], optimizer: dict[str, Tensor]) -> None:
        """See the protocol."""
        parameters = dict(self.module.named_parameters())
        with torch.no_grad():
            for name, value in self.module.state_dict().items():
                value.copy_(_like(value, weights[name]))
        for entry, value in optimizer.items():
            key, _, name = entry.partition("/")
            parameter = parameters[name]
            whole = value.to(self.runtime.device)
            self.optimizer.state[parameter][key] = _like(parameter, whole) if whole.ndim else whole

    def _gathered(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Whole tensors, one after the other, kept by the main process alone and off the device."""
        found = dict[str, Tensor]()
        for name, value in tensors.items():
            whole = _whole(value)
            if self.runtime.is_main:
                found[name] = whole.detach().cpu()
        return found


def _whole(value: Tensor) -> Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value


def _like(value: Tensor, whole: Tensor) -> Tensor:
    """A whole tensor, split as another one is."""
    whole = whole.to(value.device)
    if not isinstance(value, DTensor):
        return whole
    return distribute_tensor(whole, value.device_mesh, value.placements)
