"""Optimiser, parameter groups and learning rate, all by optimiser step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW with linear warm-up and half-cosine decay.

    Attributes:
        base_lr: learning rate for 256 images a step; the peak is base_lr * global_batch_size / 256.
        betas: Adam's decay rates of the first and second moment.
        weight_decay: decoupled decay of weight matrices; one-dimensional parameters have none.
        warmup_epochs: linear warm-up to the peak.
        min_lr: learning rate at the end.
        clip_norm: largest norm of the whole gradient; null does not clip.
        ema_decay: decay a step of an exponential average of the weights; null keeps none.
    """

    base_lr: float = 1.5e-4
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.05
    warmup_epochs: float = 40.0
    min_lr: float = 0.0
    clip_norm: float | None = None
    ema_decay: float | None = None

    def __post_init__(self) -> None:
        """Refuses values outside their ranges."""
        for name, valid, expected in (
            ("base_lr", self.base_lr > 0, "> 0"),
            ("betas", all(0 <= beta < 1 for beta in self.betas), "two numbers in [0, 1)"),
            ("weight_decay", self.weight_decay >= 0, ">= 0"),
            ("warmup_epochs", self.warmup_epochs >= 0, ">= 0"),
            ("min_lr", self.min_lr >= 0, ">= 0"),
            ("clip_norm", self.clip_norm is None or self.clip_norm > 0, "> 0 or null"),
            (
                "ema_decay",
                self.ema_decay is None or 0 < self.ema_decay < 1,
                "inside (0, 1) or null",
            ),
        ):
            if not valid:
                raise ValueError(f"{name} {getattr(self, name)}, expected {expected}")


@dataclass(frozen=True)
class Schedule:
    """The learning rate of every step.

    Attributes:
        peak_lr: after the warm-up.
        min_lr: at the end.
        warmup_steps: steps of linear warm-up; the first has peak_lr / warmup_steps.
        steps: all steps of the run.
    """

    peak_lr: float
    min_lr: float
    warmup_steps: int
    steps: int

    def lr(self, step: int) -> float:
        """Learning rate of a step, counted from 0. A skipped step counts: its data are used up."""
        if step < self.warmup_steps:
            return self.peak_lr * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        return self.min_lr + (self.peak_lr - self.min_lr) * cosine


def peak_lr(base_lr: float, global_batch_size: int) -> float:
    """The linear scaling rule (Goyal et al. 2017): base_lr is for 256 images a step."""
    return base_lr * global_batch_size / 256


def build_schedule(
    config: OptimConfig, *, global_batch_size: int, steps_per_epoch: int, epochs: float
) -> Schedule:
    """The schedule of a run.

    Raises:
        ValueError: the run has no step, or a warm-up longer than itself.
    """
    steps = round(epochs * steps_per_epoch)
    warmup_steps = round(config.warmup_epochs * steps_per_epoch)
    if steps < 1:
        raise ValueError(
            f"training.epochs {epochs} is less than half a step of {steps_per_epoch} an epoch,"
            " expected at least one step"
        )
    if warmup_steps > steps:
        raise ValueError(
            f"optim.warmup_epochs {config.warmup_epochs}, expected at most {epochs} (all epochs)"
        )
    return Schedule(peak_lr(config.base_lr, global_batch_size), config.min_lr, warmup_steps, steps)


def build_optimizer(
    model: nn.Module, config: OptimConfig, groups: list[dict[str, Any]] | None = None
) -> torch.optim.AdamW:
    """Fused AdamW; biases, norms and other one-dimensional parameters without weight decay.

    Args:
        model: whose trainable parameters are optimised.
        config: of it.
        groups: other groups of its parameters, each with a ``weight_decay``; they may carry
            ``lr_scale``, a factor on the scheduled learning rate.
    """
    if groups is not None:
        return torch.optim.AdamW(groups, lr=config.base_lr, betas=config.betas, fused=True)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.base_lr, betas=config.betas, fused=True)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Sets the learning rate of every group, times its ``lr_scale``."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


class WeightAverage:
    """Exponential moving average of what a model learns, without reading the device.

    Trainable parameters, and the statistics of batch norms, which belong to the weights that were
    averaged with them. The average is young at first: after t steps no more than (1 + t) / (10 + t)
    of it stays, else fresh weights would be in it for long.

    Args:
        model: to follow.
        decay: share of the average that stays, a step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._live = _learned(model)
        self.weights = {name: value.detach().clone() for name, value in self._live.items()}

    @torch.no_grad()
    def update(self, step: int, skipped: Tensor) -> None:
        """Moves towards the weights; not at all where ``skipped`` (a scalar of 0 or 1) is 1.

        Args:
            step: steps before this one.
            skipped: whether it changed nothing.
        """
        share = (1 - min(self.decay, (1 + step) / (10 + step))) * (1 - skipped)
        for name, value in self._live.items():
            self.weights[name].lerp_(value.detach(), share.to(value.dtype))

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Gives a model of the same form the averaged weights."""
        tensors = _tensors(model)
        for name, value in self.weights.items():
            tensors[name].copy_(value)

    def lend_to(self, model: nn.Module) -> None:
        """Puts the averages into a model of the same form, which then follows them."""
        tensors = _tensors(model)
        for name, value in self.weights.items():
            tensors[name].data = value

    def load(self, weights: dict[str, Tensor]) -> None:
        """Takes over saved averages; what was not averaged then starts from what is there now."""
        for name, value in self.weights.items():
            value.copy_(weights[name] if name in weights else self._live[name].detach())


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _learned(model: nn.Module) -> dict[str, Tensor]:
    """Trainable parameters and the running statistics of batch norms, by name."""
    found: dict[str, Tensor] = {n: p for n, p in model.named_parameters() if p.requires_grad}
    for prefix, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            found |= {
                f"{prefix}.{name}" if prefix else name: value
                for name, value in module.named_buffers(recurse=False)
                if value.is_floating_point()
            }
    return found


def optimizer_tensors(optimizer: torch.optim.Optimizer, module: nn.Module) -> dict[str, Tensor]:
    """The optimiser's state as ``{"exp_avg/blocks.0.attn.qkv.weight": tensor}``."""
    names: dict[Tensor, str] = {parameter: name for name, parameter in module.named_parameters()}
    return {
        f"{key}/{names[parameter]}": value
        for parameter, entries in optimizer.state.items()
        for key, value in entries.items()
    }


def load_optimizer_tensors(
    optimizer: torch.optim.Optimizer, module: nn.Module, tensors: dict[str, Tensor]
) -> None:
    """Puts back what :func:`optimizer_tensors` gave."""
    parameters = dict(module.named_parameters())
    for entry, value in tensors.items():
        key, _, name = entry.partition("/")
        parameter = parameters[name]
        optimizer.state[parameter][key] = value.to(parameter.device)
