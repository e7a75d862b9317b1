"""Processes, precision, signals: what Accelerate starts, checked against what was asked for."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

import numpy as np
import psutil
import torch
import torch.distributed as dist
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import DistributedType, broadcast_object_list, gather_object
from torch import Tensor

from pretrain.engine.config import operational
from pretrain.engine.cores import usable_cores
from pretrain.errors import UserError

#: Exit code after a stop signal: the state is saved, start the same command with --resume auto.
EXIT_STOPPED = 75

Value = TypeVar("Value")

_PRECISIONS = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
_DISTRIBUTED = {
    DistributedType.NO: "none",
    DistributedType.MULTI_CPU: "ddp",
    DistributedType.MULTI_GPU: "ddp",
    DistributedType.DEEPSPEED: "deepspeed",
    DistributedType.FSDP: "fsdp",
}


class LaunchError(UserError):
    """The launcher started something else than what was asked for."""


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """Where and how the numbers are computed.

    Attributes:
        precision: fp32, bf16 (autocast) or fp16 (autocast and loss scaling; needs a GPU).
        processes: number of processes the run must have; null takes what the launcher started.
        distributed: none or ddp: how the processes must work together; null takes the launcher's.
        threads: CPU threads a process; null shares the machine's cores among its processes.
        compile: compile the model (one graph, static shapes); needs a C++ compiler on a CPU.
    """

    precision: str = "fp32"
    processes: int | None = operational(None)
    distributed: str | None = operational(None)
    threads: int | None = operational(None)
    compile: bool = operational(False)

    def __post_init__(self) -> None:
        """Refuses unknown precisions and numbers below one."""
        if self.precision not in _PRECISIONS:
            raise ValueError(f"precision '{self.precision}', expected {', '.join(_PRECISIONS)}")
        if self.distributed not in (None, "none", "ddp"):
            raise ValueError(f"distributed '{self.distributed}', expected none, ddp or null")
        for name in ("processes", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} {value}, expected at least 1")


class Runtime:
    """The processes of a run and what they agree on.

    Args:
        config: what was asked for.
        accumulation: micro-batches a step and process.

    Raises:
        LaunchError: the launcher's processes, precision or accumulation are not those asked for.
    """

    def __init__(self, config: RuntimeConfig, accumulation: int = 1) -> None:
        _refuse_other_settings(config, accumulation)
        if config.precision == "fp16" and not torch.cuda.is_available():
            raise LaunchError("runtime.precision: got fp16 on a CPU, expected fp32 or bf16 there")
        self.accelerator = Accelerator(
            mixed_precision=_PRECISIONS[config.precision],
            gradient_accumulation_steps=accumulation,
            kwargs_handlers=[DistributedDataParallelKwargs(gradient_as_bucket_view=True)],
        )
        self.config, self.accumulation = config, accumulation
        self.rank: int = self.accelerator.process_index
        self.world_size: int = self.accelerator.num_processes
        self.device: torch.device = self.accelerator.device
        self.distributed = _DISTRIBUTED.get(self.accelerator.distributed_type, "unknown")
        self._check_processes()
        # Hosts agree on gloo: a flag that went through the GPU would make every step wait for it.
        self._hosts = dist.new_group(backend="gloo") if self.world_size > 1 else None
        if self.device.type == "cpu":
            torch.set_num_threads(config.threads or self._fair_share_of_cores())

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

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
        return broadcast_object_list([value])[0] if self.world_size > 1 else value

    def collect(self, values: list[Value]) -> list[Value]:
        """All processes' lists, joined, on every process."""
        return gather_object(values) if self.world_size > 1 else values

    @contextmanager
    def main_first_error(self) -> Iterator[None]:
        """An error that the main process alone meets (a full disk) ends all processes alike."""
        error: UserError | None = None
        try:
            yield
        except UserError as caught:
            error = caught
        shared = self.decide(error) or error
        if shared is not None:
            raise shared

    def seed_step(self, seed: int, step: int) -> None:
        """Torch's generators as a function of (seed, step, rank): a resume needs no saved state."""
        state = np.random.SeedSequence((seed, step, self.rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0] >> np.uint64(1)))

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
        local = int(os.environ.get("LOCAL_WORLD_SIZE", self.world_size))
        return max(1, usable_cores() // local)

    def _check_processes(self) -> None:
        if self.distributed not in ("none", "ddp"):
            raise LaunchError(
                f"launcher: distributed type {self.accelerator.distributed_type},"
                " expected none or ddp"
            )
        asked = self.config.processes or _processes_asked_of_launcher()
        if asked is not None and asked != self.world_size:
            raise LaunchError(
                f"launcher: {self.world_size} process(es), expected {asked}; on a CPU start with"
                f" ACCELERATE_USE_CPU=true torchrun --nproc_per_node {asked}"
            )
        if self.config.distributed not in (None, self.distributed):
            raise LaunchError(
                f"launcher: distributed type {self.distributed}, expected {self.config.distributed}"
            )


def _refuse_other_settings(config: RuntimeConfig, accumulation: int) -> None:
    """The config wins; a launcher that was told otherwise on purpose is refused."""
    launcher = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")  # "no" is the launcher's default
    if launcher not in ("no", _PRECISIONS[config.precision]):
        raise LaunchError(
            f"launcher: mixed precision {launcher}, expected {config.precision} (runtime.precision)"
        )
    steps = int(os.environ.get("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", 1))
    if steps not in (1, accumulation):
        raise LaunchError(
            f"launcher: {steps} accumulation steps, expected {accumulation}"
            " (global_batch_size / processes / micro_batch_size)"
        )


def _processes_asked_of_launcher() -> int | None:
    """``--num_processes`` of the ``accelerate launch`` above us.

    With ``--cpu --num_processes 2`` it starts a single process and says nothing; the command line
    is the only trace of what was asked.
    """
    try:
        parent = psutil.Process().parent()
        command = parent.cmdline() if parent else []
    except psutil.Error:
        return None
    if "launch" not in command or not any("accelerate" in word for word in command):
        return None
    for position, word in enumerate(command):
        option, _, value = word.partition("=")
        if option in ("--num_processes", "--num-processes"):
            return int(value or command[position + 1])
        if word.endswith(".py"):  # what follows are the program's own options
            break
    return None


class StopSignal:
    """Remembers SIGTERM, SIGUSR1 and the first Ctrl-C, so that the loop can save and leave.

    A second Ctrl-C interrupts at once. Use as a context; handlers are put back at its end.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        """Installs the handlers."""
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        """Restores the handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received == "SIGINT":
            raise KeyboardInterrupt
        self.received = signal.Signals(number).name
        os.write(sys.stderr.fileno(), f"\n{self.received}: saving, then leaving\n".encode())
