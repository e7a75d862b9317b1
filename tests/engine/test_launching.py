"""What was asked for against what the launcher says, before a process group is there."""

import json
import os
from pathlib import Path

import pytest
import torch

from pretrain.engine.deepspeed_settings import ours
from pretrain.engine.launching import LaunchError, RuntimeConfig, start

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU takes it")


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment of two processes, whose launcher was told nothing."""
    for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    return monkeypatch


def refusal(accumulation: int = 1, averaged: bool = False, **config: object) -> str:
    with pytest.raises(LaunchError) as caught:
        start(RuntimeConfig(**config), accumulation, averaged)
    message = str(caught.value)
    assert "\n" not in message
    return message


def deepspeed(monkeypatch: pytest.MonkeyPatch, folder: Path, settings: object) -> Path:
    file = folder / "zero.json"
    file.write_text(settings if isinstance(settings, str) else json.dumps(settings))
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_CONFIG_FILE", str(file))
    return file


def test_a_launcher_of_another_kind_is_refused(launched, tmp_path):
    deepspeed(launched, tmp_path, {"zero_optimization": {"stage": 3}})
    assert refusal(distributed="zero2") == ("launcher: zero3, expected zero2 (runtime.distributed)")
    launched.setenv("ACCELERATE_USE_DEEPSPEED", "false")
    launched.setenv("ACCELERATE_USE_FSDP", "true")
    assert refusal() == "launcher: FSDP version 1, expected 2 (fsdp_version)"
    launched.setenv("FSDP_VERSION", "2")
    assert refusal(distributed="ddp") == "launcher: fsdp, expected ddp (runtime.distributed)"


@NO_GPU
@pytest.mark.parametrize("kind", ["ddp", "fsdp", "zero1", "zero2", "zero3"])
def test_one_process_cannot_share(launched, kind):
    launched.setenv("WORLD_SIZE", "1")
    expected = f"launcher: 1 process(es), expected 2 or more for runtime.distributed {kind}"
    assert refusal(distributed=kind) == expected


def test_two_processes_cannot_be_none(launched):
    assert refusal(distributed="none") == (
        "launcher: 2 process(es), expected 1 for runtime.distributed none"
    )


@pytest.mark.parametrize("kind", ["fsdp", "zero3"])
def test_an_average_of_split_weights_is_refused(launched, kind):
    message = refusal(distributed=kind, averaged=True)
    assert message.startswith(f"optim.ema_decay: got an average of weights that {kind} splits")


@pytest.mark.parametrize("kind", ["fsdp", "zero1", "zero2", "zero3"])
def test_compilation_is_refused_where_it_was_never_shown_to_work(launched, kind):
    expected = f"runtime.compile: got true with {kind}, expected false, or ddp"
    assert refusal(distributed=kind, compile=True) == expected


@NO_GPU
def test_fp16_on_a_cpu_is_refused(launched):
    assert "got fp16 on a CPU" in refusal(precision="fp16", distributed="zero2")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{", "expected DeepSpeed settings (JSON)"),
        ([1], "got no object, expected DeepSpeed settings (JSON)"),
        ({"zero_optimization": {"stage": 4}}, "launcher: ZeRO stage 4, expected 1, 2 or 3"),
        ({"zero_optimization": {"stage": 0}}, "launcher: ZeRO stage 0, expected 1, 2 or 3"),
        (
            {"zero_optimization": None},
            "DeepSpeed's zero_optimization: got None, expected a section",
        ),
        (
            {"zero_optimization": True},
            "DeepSpeed's zero_optimization: got True, expected a section",
        ),
        ({"bf16": {"enabled": True}}, "DeepSpeed's bf16: got a section, expected none"),
        ({"torch_autocast": {"enabled": True}}, "DeepSpeed's torch_autocast: got a section"),
        ({"data_types": {"grad_accum_dtype": "bf16"}}, "DeepSpeed's data_types: got a section"),
        ({"communication_data_type": "fp16"}, "DeepSpeed's communication_data_type: got fp16"),
        (
            {"zero_force_ds_cpu_optimizer": True},
            "DeepSpeed's zero_force_ds_cpu_optimizer: got True",
        ),
        ({"no_such_key": 5}, "DeepSpeed's no_such_key: got 5, expected none (ours decides)"),
        ({"optimizer": {"type": "Lamb"}}, "DeepSpeed's optimizer: got a section, expected none"),
        ({"gradient_clipping": 1.0}, "DeepSpeed's gradient_clipping: got 1.0, expected auto"),
        ({"train_batch_size": 999}, "DeepSpeed's train_batch_size: got 999, expected auto"),
        (
            {"gradient_accumulation_steps": 4},
            "DeepSpeed's gradient_accumulation_steps: got 4, expected auto",
        ),
    ],
)
def test_deepspeeds_file_may_not_say_what_the_config_says(launched, tmp_path, settings, message):
    deepspeed(launched, tmp_path, settings)
    assert message in refusal(accumulation=2)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("no_such_key", 5, "got 5, expected none of it"),
        ("offload_optimizer", {"device": "cpu"}, "got a section, expected none of it"),
        ("memory_efficient_linear", True, "got True, expected none of it"),
        ("zero_quantized_gradients", True, "got True, expected none of it"),
        ("reduce_bucket_size", "auto", "got auto, expected a value"),
        ("reduce_bucket_size", 0, "got 0, "),
    ],
)
def test_what_deepspeed_would_refuse_or_compute_otherwise_is_refused_by_name(
    launched, tmp_path, key, value, message
):
    deepspeed(launched, tmp_path, {"zero_optimization": {"stage": 3, key: value}})
    assert refusal().startswith(f"DeepSpeed's zero_optimization.{key}: {message}")


def test_zero_3_computes_what_autocast_computes():
    free = {"overlap_comm": True, "memory_efficient_linear": False}
    told = ours({"zero_optimization": free}, stage=3, accumulation=2, bf16=True)
    assert told["zero_optimization"] == {
        "stage": 3,
        "overlap_comm": True,
        "memory_efficient_linear": False,
    }
    assert told["torch_autocast"] == {"enabled": True, "dtype": "bfloat16"}
    assert ours({}, stage=2, accumulation=2, bf16=False)["zero_optimization"] == {"stage": 2}


def test_offloading_that_only_the_launcher_was_told_is_refused(launched, tmp_path):
    deepspeed(launched, tmp_path, {})
    launched.setenv("ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE", "cpu")
    assert refusal() == "launcher: optimizer offload to cpu, expected none"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("WORLD_SIZE", "x", "launcher: WORLD_SIZE 'x', expected a whole number"),
        (
            *("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "auto"),
            "launcher: ACCELERATE_GRADIENT_ACCUMULATION_STEPS 'auto', expected a whole number",
        ),
        (
            *("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR"),
            "launcher: dynamo backend INDUCTOR, expected no (runtime.compile)",
        ),
        (
            *("ACCELERATE_USE_MEGATRON_LM", "true"),
            "launcher: Megatron-LM, expected ddp, fsdp, zero1, zero2 or zero3",
        ),
    ],
)
def test_what_the_launcher_says_beside_is_refused_by_name(launched, name, value, message):
    launched.setenv(name, value)
    assert refusal() == message


def test_a_number_of_processes_with_nothing_to_meet_at_is_refused(launched):
    launched.setenv("RANK", "0")
    for name in ("LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        launched.delenv(name, raising=False)
    assert refusal() == (
        "launcher: WORLD_SIZE 2 without LOCAL_RANK, MASTER_ADDR, MASTER_PORT, expected torchrun or"
        " accelerate launch, which set them"
    )


def test_a_missing_deepspeed_file_is_named(launched, tmp_path):
    file = deepspeed(launched, tmp_path, {})
    file.unlink()
    assert refusal() == f"{file}: No such file or directory, expected DeepSpeed settings (JSON)"
