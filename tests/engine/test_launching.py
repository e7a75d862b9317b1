"""What was asked for against what the launcher says, before a process group is there."""

import json
from pathlib import Path

import pytest
import torch

from pretrain.engine.launching import LaunchError, RuntimeConfig, start

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU takes it")


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment of two processes, whose launcher was told nothing."""
    for name in ("ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_FSDP", "ACCELERATE_MIXED_PRECISION"):
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
        ({"bf16": {"enabled": True}}, "DeepSpeed's bf16: got a section, expected none"),
        ({"optimizer": {"type": "Lamb"}}, "DeepSpeed's optimizer: got a section, expected none"),
        ({"gradient_clipping": 1.0}, "DeepSpeed's gradient_clipping: got 1.0, expected auto"),
        (
            {"gradient_accumulation_steps": 4},
            "DeepSpeed's gradient_accumulation_steps: got 4, expected auto",
        ),
    ],
)
def test_deepspeeds_file_may_not_say_what_the_config_says(launched, tmp_path, settings, message):
    deepspeed(launched, tmp_path, settings)
    assert message in refusal(accumulation=2)


def test_a_missing_deepspeed_file_is_named(launched, tmp_path):
    file = deepspeed(launched, tmp_path, {})
    file.unlink()
    assert refusal() == f"{file}: No such file or directory, expected DeepSpeed settings (JSON)"
