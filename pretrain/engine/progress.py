"""Where a run stands: everything that a checkpoint holds beside tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass
class Progress:
    """Where a run stands: all that a checkpoint holds beside tensors.

    Attributes:
        step: optimiser steps done, skipped ones included.
        logged_step: the last log point.
        loss_sums: [tasks] sums since then of the step losses (this process's share, not yet
            summed over processes), skipped steps left out.
        norm_sum: sum since then of the gradient norms, skipped steps left out.
        skipped: steps skipped in all, as a tensor on the device.
        skipped_since: of these, since the last log point.
        streak: skipped in a row up to now.
        longest: longest such row since the last log point.
        bad: unreadable images this process met, name to reason.
    """

    step: int
    logged_step: int
    loss_sums: Tensor
    norm_sum: Tensor
    skipped: Tensor
    skipped_since: Tensor
    streak: Tensor
    longest: Tensor
    bad: dict[str, str]

    _SCALARS = ("norm_sum", "skipped", "skipped_since", "streak", "longest")

    @classmethod
    def new(cls, tasks: int, device: torch.device) -> Progress:
        """A run that has not begun."""
        zeros = torch.zeros(tasks + len(cls._SCALARS), dtype=torch.float64, device=device)
        scalars = {name: zeros[tasks + i].clone() for i, name in enumerate(cls._SCALARS)}
        return cls(step=0, logged_step=0, loss_sums=zeros[:tasks].clone(), bad={}, **scalars)

    def to_json(self, total: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """JSON values; ``total`` sums over processes."""
        scalars = {name: getattr(self, name).item() for name in self._SCALARS}
        sums = total(self.loss_sums).tolist()
        return {"step": self.step, "logged_step": self.logged_step, "loss_sums": sums, **scalars}

    def restore(self, state: dict[str, Any], is_main: bool) -> None:
        """Takes over what :meth:`to_json` gave; the sums go to the main process alone."""
        self.step, self.logged_step = state["step"], state["logged_step"]
        if is_main:
            self.loss_sums.copy_(torch.tensor(state["loss_sums"], dtype=torch.float64))
        for name in self._SCALARS:
            getattr(self, name).fill_(state[name])
