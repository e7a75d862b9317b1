"""DeepSpeed's settings: what its file may say, and what our config says in its place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pretrain.engine.launcher import LaunchError

#: What a file may set beside ``zero_optimization``; where we decide, to "auto" alone.
_FREE = ("steps_per_print", "wall_clock_breakdown", "zero_allow_untested_optimizer")
_AUTO = (
    *("gradient_accumulation_steps", "gradient_clipping"),
    *("train_batch_size", "train_micro_batch_size_per_gpu"),
)
#: What it may set of ``zero_optimization``: memory and speed, nothing that computes another run.
_FREE_OF_ZERO = (
    *("stage", "overlap_comm", "contiguous_gradients", "reduce_scatter", "reduce_bucket_size"),
    *("allgather_partitions", "allgather_bucket_size", "round_robin_gradients", "sub_group_size"),
    *("stage3_prefetch_bucket_size", "stage3_param_persistence_threshold"),
    *("stage3_max_live_parameters", "stage3_max_reuse_distance"),
    "stage3_gather_16bit_weights_on_model_save",
)


def read() -> dict[str, Any]:
    """What the launcher's ``deepspeed_config_file`` says; empty without one.

    Raises:
        LaunchError: it cannot be read, or is no object.
    """
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


def stage(settings: Mapping[str, Any]) -> int:
    """The stage of ZeRO that the launcher was told, 1 to 3.

    Raises:
        LaunchError: it is none of them.
    """
    found = _section(settings).get("stage")
    if found is None:
        found = os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "2")
    if str(found) not in ("1", "2", "3"):
        raise LaunchError(f"launcher: ZeRO stage {found}, expected 1, 2 or 3")
    return int(found)


def ours(
    settings: Mapping[str, Any], stage: int, accumulation: int, *, bf16: bool
) -> dict[str, Any]:
    """What DeepSpeed is told.

    Args:
        settings: of the file.
        stage: of ZeRO.
        accumulation: micro-batches a step and process.
        bf16: whether forward runs in bfloat16.

    Raises:
        LaunchError: the file says what our config says, or what DeepSpeed does not know.
    """
    _refuse_what_is_not_free(settings, accumulation)
    zero = {**_section(settings), "stage": stage}
    if stage == 3:  # its own linear rounds to bf16 before the bias: another forward
        zero["memory_efficient_linear"] = False
    _refuse_what_deepspeed_refuses(zero)
    free = {key: settings[key] for key in _FREE if key in settings}
    told = free | {
        "zero_optimization": zero,
        "train_micro_batch_size_per_gpu": 1,  # only multiplied into a number that nobody reads
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": 0.0,  # the backend sets it
        "zero_allow_untested_optimizer": True,
    }
    if bf16:  # DDP's numerics: weights, gradients and states stay float32
        told["torch_autocast"] = {"enabled": True, "dtype": "bfloat16"}
    return told


def _section(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    found = settings.get("zero_optimization", {})
    if not isinstance(found, dict):
        raise LaunchError(f"DeepSpeed's zero_optimization: got {found}, expected a section")
    return found


def _refuse_what_is_not_free(settings: Mapping[str, Any], accumulation: int) -> None:
    """Names the first key that is ours to decide, or was never shown to compute the same run."""
    for key, value in settings.items():
        if key in _AUTO:
            if value != "auto" and (key, value) != ("gradient_accumulation_steps", accumulation):
                raise LaunchError(f"DeepSpeed's {key}: got {value}, expected auto")
        elif key not in ("zero_optimization", *_FREE):
            got = "a section" if isinstance(value, dict) else value
            raise LaunchError(f"DeepSpeed's {key}: got {got}, expected none (ours decides)")
    for key, value in _section(settings).items():
        if key == "memory_efficient_linear" and value is False:
            continue
        if value == "auto":  # Accelerate would ask a transformer's config for it
            raise LaunchError(f"DeepSpeed's zero_optimization.{key}: got auto, expected a value")
        if key not in _FREE_OF_ZERO:
            got = "a section" if isinstance(value, dict) else value
            raise LaunchError(
                f"DeepSpeed's zero_optimization.{key}: got {got}, expected none of it"
                " (it is no setting, or may compute another run)"
            )
    for part in ("OPTIMIZER", "PARAM"):
        device = os.environ.get(f"ACCELERATE_DEEPSPEED_OFFLOAD_{part}_DEVICE", "none")
        if device != "none":
            raise LaunchError(f"launcher: {part.lower()} offload to {device}, expected none")


def _refuse_what_deepspeed_refuses(zero: dict[str, Any]) -> None:
    """Values of a wrong type or size, which it would meet with the run's folder made."""
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig
    from pydantic import ValidationError

    try:
        DeepSpeedZeroConfig(**zero)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise LaunchError(
            f"DeepSpeed's zero_optimization.{key}: got {first['input']!r}, {first['msg']}"
        ) from None
