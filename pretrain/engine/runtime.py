"""The processes of a run and what they agree on."""

from __future__ import annotations

import copy
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from pretrain.engine.cores import usable_cores
from pretrain.engine.launcher import number
from pretrain.engine.launching import RuntimeConfig, refuse_other_number, start
from pretrain.errors import UserError

Value = TypeVar("Value")

_PATIENCE = timedelta(days=1)


class Runtime:
    """The processes of a run and what they agree on.

    Args:
        config: what was asked for.
        accumulation: micro-batches a step and process.
        averaged: whether the weights are averaged over steps.

    Raises:
        LaunchError: the launcher started something else, or the combination cannot work.
    """

    def __init__(
        self, config: RuntimeConfig, accumulation: int = 1, *, averaged: bool = False
    ) -> None:
        self.accelerator, self.distributed = start(config, accumulation, averaged)
        self.config, self.accumulation = config, accumulation
        self.rank: int = self.accelerator.process_index
        self.world_size: int = self.accelerator.num_processes
        self.device: torch.device = self.accelerator.device
        # Hosts agree on gloo: a flag that went through the GPU would make every step wait for it.
        # Its patience is long: the others wait while the main process probes, or writes a large
        # checkpoint. Who waits for a process that has ended is ended by the launcher.
        self._hosts = (
            dist.new_group(backend="gloo", timeout=_PATIENCE) if self.world_size > 1 else None
        )
        with self.shared_errors():
            refuse_other_number(config, self.world_size)
        if self.device.type == "cpu":
            torch.set_num_threads(config.threads or self._fair_share_of_cores())

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    def spare_workers(self) -> int:
        """Loader processes: on a GPU the cores left over, on a CPU one: the model needs them."""
        if self.device.type == "cpu":
            return 1
        return min(8, max(1, self._fair_share_of_cores() - 1))

    def alone(self) -> Runtime:
        """The same device and precision for what one process does while the others wait."""
        alone = copy.copy(self)
        alone.rank, alone.world_size, alone._hosts = 0, 1, None
        return alone

    def agree(self, flags: Sequence[bool]) -> list[bool]:
        """Which of the flags is set on any process; all processes get the same answer."""
        if self._hosts is None:
            return list(flags)
        votes = torch.tensor([int(flag) for flag in flags])
        dist.all_reduce(votes, op=dist.ReduceOp.MAX, group=self._hosts)  # type: ignore[arg-type]
        return [bool(vote) for vote in votes.tolist()]

    def total(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes, on the device."""
        if self.world_size > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def decide(self, value: Value) -> Value:
        """The main process's value, on every process."""
        if self._hosts is None:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, group=self._hosts)  # type: ignore[arg-type]
        return values[0]

    def collect(self, values: list[Value]) -> list[Value]:
        """All processes' lists, joined, on every process."""
        if self._hosts is None:
            return values
        found: list[Any] = [None] * self.world_size
        dist.all_gather_object(found, values, group=self._hosts)  # type: ignore[arg-type]
        return [value for part in found for value in part]

    @contextmanager
    def main_first_error(self) -> Iterator[None]:
        """An error that the main process alone meets (a full disk) ends all processes alike."""
        error: UserError | None = None
        try:
            yield
        except UserError as caught:
            error = caught
        shared = self.decide(error)
        if shared is not None:
            shared.everywhere = True
            raise shared
        if error is not None:
            raise error

    @contextmanager
    def shared_errors(self) -> Iterator[None]:
        """An error that any process meets (files that one node lacks) ends all of them with it.

        Nothing inside may wait for the other processes.
        """
        error: UserError | None = None
        try:
            yield
        except UserError as caught:
            error = caught
        if not any(self.agree([error is not None])):
            return
        host = socket.gethostname()
        met = self.collect([] if error is None else [(self.rank, host, error)])
        rank, host, first = met[0]
        shared = first if rank == 0 else UserError(f"process {rank} on {host}: {first}")
        shared.everywhere = True
        raise shared

    def refuse_differences(self, values: Mapping[str, Any]) -> None:
        """Ends all processes where one of them has other values than the main one.

        Each reads its own command line and files; with other values they would train a mixture, or
        wait for each other for ever.

        Args:
            values: what has to be the same in every process, by name.

        Raises:
            UserError: on every process, with every name that differs.
        """
        first, *others = self.collect([dict(values)])
        found = list[str]()
        for key in dict.fromkeys(key for one in (first, *others) for key in one):
            expected = first.get(key, "absent")
            for rank, one in enumerate(others, start=1):
                if (got := one.get(key, "absent")) != expected:
                    found.append(f"{key} {got!r} in process {rank} and {expected!r} in process 0")
                    break
        if found:
            error = UserError(f"{', '.join(found)}; expected the same options and data in each")
            error.everywhere = True
            raise error

    def seed_step(self, seed: int, step: int) -> None:
        """Torch's generators as a function of (seed, step, rank): a resume needs no saved state."""
        state = np.random.SeedSequence((seed, step, self.rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0] >> np.uint64(1)))

    def autocast(self) -> AbstractContextManager[object]:
        """Computes in the run's precision inside, for a model that nothing else wraps."""
        return self.accelerator.autocast()  # type: ignore[no-any-return]

    def describe(self) -> dict[str, Any]:
        """What this run computes on, for ``run.json`` and the first log line."""
        cuda = self.device.type == "cuda"
        return {
            "device": torch.cuda.get_device_name(self.device) if cuda else "cpu",
            "world_size": self.world_size,
            "distributed": self.distributed,
            "precision": self.config.precision,
            "threads": torch.get_num_threads(),
        }

    def close(self) -> None:
        """Ends the process group; without it a finished run warns of leaked resources."""
        self.accelerator.end_training()
        if dist.is_initialized():
            dist.destroy_process_group()

    def _fair_share_of_cores(self) -> int:
        """Launchers set one thread a process "for performance", which halves a small machine."""
        return max(1, usable_cores() // number("LOCAL_WORLD_SIZE", self.world_size))
