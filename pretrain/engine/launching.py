"""What was asked for against what the launcher started: several recipes quietly run one process."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from accelerate import Accelerator, DeepSpeedPlugin, DistributedDataParallelKwargs
from accelerate.utils import DistributedType, InitProcessGroupKwargs

from pretrain.engine.config import operational
from pretrain.errors import UserError

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


class LaunchError(UserError):
    """The launcher started something else than what was asked for."""


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
        LaunchError: the launcher's processes, kind, precision or accumulation are not those asked
            for, or the combination cannot work.
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
    accelerator = Accelerator(**settings)
    found = accelerator.distributed_type
    if found not in _STARTED[kind]:
        hint = " (on a CPU without ACCELERATE_USE_CPU)" if zero else ""
        raise LaunchError(f"launcher: distributed type {found.value}, expected {kind}{hint}")
    asked = config.processes or _processes_asked_of_launcher()
    if asked is not None and asked != accelerator.num_processes:
        raise LaunchError(
            f"launcher: {accelerator.num_processes} process(es), expected {asked}; on a CPU start"
            f" with ACCELERATE_USE_CPU=true torchrun --nproc_per_node {asked}"
        )
    return accelerator, kind


def _kind(config: RuntimeConfig) -> str:
    """The launcher's kind where it has one, else the config's, else one or several processes."""
    launched = _kind_of_launcher()
    if launched and config.distributed not in (None, launched):
        raise LaunchError(
            f"launcher: {launched}, expected {config.distributed} (runtime.distributed)"
        )
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    kind = launched or config.distributed or ("ddp" if several else "none")
    if several != (kind != "none") and not (kind.startswith("zero") and torch.cuda.is_available()):
        processes = os.environ.get("WORLD_SIZE", "1")
        expected = "1" if kind == "none" else "2 or more"
        raise LaunchError(
            f"launcher: {processes} process(es), expected {expected} for runtime.distributed {kind}"
        )
    return kind


def _kind_of_launcher() -> str | None:
    """What ``accelerate launch`` was told, if it was told to shard."""
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false") == "true":
        stage = _deepspeed_file().get("zero_optimization", {}).get("stage")
        stage = stage or os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2")
        if str(stage) not in ("1", "2", "3"):
            raise LaunchError(f"launcher: ZeRO stage {stage}, expected 1, 2 or 3")
        return f"zero{stage}"
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
    settings = _deepspeed_file()
    for key, ours in (("gradient_accumulation_steps", accumulation), ("gradient_clipping", "auto")):
        if settings.get(key, "auto") not in ("auto", ours):
            raise LaunchError(f"DeepSpeed's {key}: got {settings[key]}, expected auto")
    for key in ("bf16", "fp16", "optimizer", "scheduler"):
        if key in settings:
            raise LaunchError(f"DeepSpeed's {key}: got a section, expected none (ours decides)")
    stage = {"stage": int(kind.removeprefix("zero"))}
    settings.pop("train_batch_size", None)
    settings |= {
        "zero_optimization": settings.get("zero_optimization", {}) | stage,
        "train_micro_batch_size_per_gpu": 1,  # only multiplied into a number that nobody reads
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": 0.0,  # the backend sets it
        "zero_allow_untested_optimizer": True,
    }
    if config.precision == "bf16":  # DDP's numerics: weights, gradients and states stay float32
        settings["torch_autocast"] = {"enabled": True, "dtype": "bfloat16"}
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    hosts = several and not torch.cuda.is_available()
    return {
        "mixed_precision": "no",
        "deepspeed_plugin": DeepSpeedPlugin(hf_ds_config=settings),
        "kwargs_handlers": [InitProcessGroupKwargs(backend="gloo")] if hosts else [],
    }


def _deepspeed_file() -> dict[str, Any]:
    """What the launcher's ``deepspeed_config_file`` says; empty without one."""
    name = os.environ.get("ACCELERATE_DEEPSPEED_CONFIG_FILE")
    if not name or name == "none":
        return {}
    try:
        found = json.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise LaunchError(f"{name}: {reason}, expected DeepSpeed settings (JSON)") from None
    if not isinstance(found, dict):
        raise LaunchError(f"{name}: got no object, expected DeepSpeed settings (JSON)")
    return found


def _refuse_other_settings(config: RuntimeConfig, accumulation: int) -> None:
    """The config wins; a launcher that was told otherwise on purpose is refused."""
    launcher = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")  # "no" is the launcher's default
    if launcher not in ("no", PRECISIONS[config.precision]):
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
