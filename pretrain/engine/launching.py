"""What was asked for against what the launcher started: several recipes quietly run one process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator, DeepSpeedPlugin, DistributedDataParallelKwargs
from accelerate.utils import DistributedType, InitProcessGroupKwargs

from pretrain.engine import deepspeed_settings
from pretrain.engine.config import operational
from pretrain.engine.launcher import LaunchError as LaunchError
from pretrain.engine.launcher import number, processes, processes_asked_for, refuse_no_rendezvous

#: As Accelerate calls them.
PRECISIONS = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}

#: How processes can share a model.
KINDS = ("none", "ddp", "fsdp", "zero1", "zero2", "zero3")

_PLAIN = (DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)

#: What Accelerate calls a launch of each kind; FSDP2 is torch's own and needs a plain one.
_STARTED = {
    "none": (DistributedType.NO,),
    "ddp": _PLAIN,
    "fsdp": (*_PLAIN, DistributedType.FSDP),
    **dict.fromkeys(("zero1", "zero2", "zero3"), (DistributedType.DEEPSPEED,)),
}


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """Where and how the numbers are computed.

    Attributes:
        precision: fp32, bf16 (autocast) or fp16 (autocast and loss scaling; needs a GPU).
        processes: number of processes the run must have; null takes what the launcher started.
        distributed: none, ddp, fsdp (FSDP2), zero1, zero2 or zero3 (DeepSpeed): how the processes
            share the model; null takes the launcher's.
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
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision '{self.precision}', expected {', '.join(PRECISIONS)}")
        if self.distributed not in (None, *KINDS):
            expected = f"{', '.join(KINDS)} or null"
            raise ValueError(f"distributed '{self.distributed}', expected {expected}")
        for name in ("processes", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} {value}, expected at least 1")


def start(config: RuntimeConfig, accumulation: int, averaged: bool) -> tuple[Accelerator, str]:
    """Starts the processes' part of Accelerate.

    Args:
        config: what was asked for.
        accumulation: micro-batches a step and process.
        averaged: whether the weights are averaged over steps.

    Returns:
        It, and which of :data:`KINDS` the run is.

    Raises:
        LaunchError: the launcher's kind, precision or accumulation is not the one asked for, or the
            combination cannot work.
    """
    kind = _kind(config)
    _refuse_other_settings(config, accumulation)
    _refuse_combinations(config, kind, averaged)
    zero = kind.startswith("zero")
    settings: dict[str, Any] = {
        "mixed_precision": PRECISIONS[config.precision],
        "gradient_accumulation_steps": accumulation,
        "kwargs_handlers": [DistributedDataParallelKwargs(gradient_as_bucket_view=True)],
    }
    if zero:
        settings |= _deepspeed(config, kind, accumulation)
    refuse_no_rendezvous()
    accelerator = Accelerator(**settings)
    found = accelerator.distributed_type
    if found not in _STARTED[kind]:
        hint = " (on a CPU without ACCELERATE_USE_CPU)" if zero else ""
        raise LaunchError(f"launcher: distributed type {found.value}, expected {kind}{hint}")
    return accelerator, kind


def refuse_other_number(config: RuntimeConfig, started: int) -> None:
    """A run that should have more processes than there are, or fewer.

    Raises:
        LaunchError: the config, or the command line of the launcher, named another number.
    """
    asked = config.processes or processes_asked_for()
    if asked not in (None, started):
        raise LaunchError(
            f"launcher: {started} process(es), expected {asked}; on a CPU start with"
            f" ACCELERATE_USE_CPU=true torchrun --nproc_per_node {asked}"
        )


def _kind(config: RuntimeConfig) -> str:
    """The launcher's kind where it has one, else the config's, else one or several processes."""
    launched = _kind_of_launcher()
    if launched and config.distributed not in (None, launched):
        raise LaunchError(
            f"launcher: {launched}, expected {config.distributed} (runtime.distributed)"
        )
    count = processes()
    several = count > 1
    kind = launched or config.distributed or ("ddp" if several else "none")
    if several != (kind != "none") and not (kind.startswith("zero") and torch.cuda.is_available()):
        expected = "1" if kind == "none" else "2 or more"
        raise LaunchError(
            f"launcher: {count} process(es), expected {expected} for runtime.distributed {kind}"
        )
    return kind


def _kind_of_launcher() -> str | None:
    """What ``accelerate launch`` was told, if it was told to shard."""
    if os.environ.get("ACCELERATE_USE_MEGATRON_LM", "false") == "true":
        raise LaunchError("launcher: Megatron-LM, expected ddp, fsdp, zero1, zero2 or zero3")
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false") == "true":
        return f"zero{deepspeed_settings.stage(deepspeed_settings.read())}"
    if os.environ.get("ACCELERATE_USE_FSDP", "false") == "true":
        if (version := os.environ.get("FSDP_VERSION", "1")) != "2":
            raise LaunchError(f"launcher: FSDP version {version}, expected 2 (fsdp_version)")
        return "fsdp"
    return None


def _refuse_combinations(config: RuntimeConfig, kind: str, averaged: bool) -> None:
    """What cannot work, or was never shown to."""
    if config.precision == "fp16" and not torch.cuda.is_available():
        raise LaunchError("runtime.precision: got fp16 on a CPU, expected fp32 or bf16 there")
    if config.precision == "fp16" and kind not in ("none", "ddp"):
        raise LaunchError(f"runtime.precision: got fp16 with {kind}, expected fp32 or bf16")
    if config.compile and kind not in ("none", "ddp"):
        raise LaunchError(f"runtime.compile: got true with {kind}, expected false, or ddp")
    if averaged and kind in ("zero3", "fsdp"):
        raise LaunchError(
            f"optim.ema_decay: got an average of weights that {kind} splits, expected null, or ddp,"
            " zero1 or zero2"
        )


def _deepspeed(config: RuntimeConfig, kind: str, accumulation: int) -> dict[str, Any]:
    """Accelerate's settings for DeepSpeed; what our config knows is not asked of its file."""
    try:
        import deepspeed  # noqa: F401
    except ImportError:
        raise LaunchError(
            f"runtime.distributed {kind}: DeepSpeed is not installed, expected"
            " pip install 'faceprior[deepspeed]'"
        ) from None
    settings = deepspeed_settings.ours(
        deepspeed_settings.read(),
        stage=int(kind.removeprefix("zero")),
        accumulation=accumulation,
        bf16=config.precision == "bf16",
    )
    hosts = processes() > 1 and not torch.cuda.is_available()
    return {
        "mixed_precision": "no",
        "deepspeed_plugin": DeepSpeedPlugin(hf_ds_config=settings),
        "kwargs_handlers": [InitProcessGroupKwargs(backend="gloo")] if hosts else [],
    }


def _refuse_other_settings(config: RuntimeConfig, accumulation: int) -> None:
    """The config wins; a launcher that was told otherwise on purpose is refused."""
    launcher = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")  # "no" is the launcher's default
    if launcher not in ("no", PRECISIONS[config.precision]):
        raise LaunchError(
            f"launcher: mixed precision {launcher}, expected {config.precision} (runtime.precision)"
        )
    backend = os.environ.get("ACCELERATE_DYNAMO_BACKEND", "no")
    if backend.lower() != "no":
        raise LaunchError(f"launcher: dynamo backend {backend}, expected no (runtime.compile)")
    steps = number("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", 1)
    if steps not in (1, accumulation):
        raise LaunchError(
            f"launcher: {steps} accumulation steps, expected {accumulation}"
            " (global_batch_size / processes / micro_batch_size)"
        )
