import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pretrain.engine.cores import usable_cores
from pretrain.engine.launching import LaunchError, RuntimeConfig
from pretrain.engine.runtime import Runtime


def test_one_process_agrees_with_itself() -> None:
    runtime = Runtime(RuntimeConfig())
    assert runtime.agree([True, False]) == [True, False]
    assert runtime.decide("value") == "value"
    assert runtime.collect([1, 2]) == [1, 2]
    assert runtime.total(torch.tensor([2.0])).tolist() == [2.0]
    assert runtime.is_main
    facts = runtime.describe()
    assert (facts["world_size"], facts["distributed"]) == (1, "none")


def test_the_seed_of_a_step_is_a_function_of_seed_and_step() -> None:
    runtime = Runtime(RuntimeConfig())

    def draw(seed: int, step: int) -> float:
        runtime.seed_step(seed, step)
        return torch.rand(()).item()

    assert draw(0, 5) == draw(0, 5)
    assert len({draw(seed, step) for seed in range(3) for step in range(3)}) == 9


def test_another_process_count_than_asked_for_is_refused() -> None:
    with pytest.raises(LaunchError, match=r"launcher: 1 process\(es\), expected 2"):
        Runtime(RuntimeConfig(processes=2))
    with pytest.raises(
        LaunchError, match=r"1 process\(es\), expected 2 or more for runtime.distributed ddp"
    ):
        Runtime(RuntimeConfig(distributed="ddp"))


def test_a_launcher_that_disagrees_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    with pytest.raises(LaunchError, match="mixed precision bf16, expected fp32"):
        Runtime(RuntimeConfig())
    Runtime(RuntimeConfig(precision="bf16"))


def test_a_launcher_that_accumulates_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    with pytest.raises(LaunchError, match="4 accumulation steps, expected 2"):
        Runtime(RuntimeConfig(), accumulation=2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU can do fp16")
def test_fp16_on_a_cpu_is_refused() -> None:
    with pytest.raises(LaunchError, match="got fp16 on a CPU"):
        Runtime(RuntimeConfig(precision="fp16"))


def test_the_cpu_is_shared_out_unless_told_otherwise() -> None:
    before = torch.get_num_threads()
    if Runtime(RuntimeConfig()).device.type == "cpu":
        assert torch.get_num_threads() == usable_cores()
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("field", "value"),
    [("precision", "fp8"), ("processes", 0), ("distributed", "zero"), ("threads", 0)],
)
def test_unknown_settings_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        RuntimeConfig(**{field: value})


def test_an_error_of_one_process_alone_keeps_its_type_and_message() -> None:
    runtime = Runtime(RuntimeConfig())
    with pytest.raises(LaunchError, match=r"^here$"), runtime.shared_errors():
        raise LaunchError("here")
    runtime.refuse_differences({"seed": 0})


MULTI_CPU = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_CPU
num_machines: 1
num_processes: 2
use_cpu: true
"""


@pytest.mark.distributed
@pytest.mark.parametrize("asked", ["on the command line", "in a file"])
def test_two_cpu_processes_that_silently_became_one_are_refused(tmp_path: Path, asked: str) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "from pretrain.engine.launching import *\n"
        "from pretrain.engine.runtime import Runtime\n"
        "try:\n    Runtime(RuntimeConfig())\n"
        "except LaunchError as error:\n    print('refused', error)\n"
    )
    (tmp_path / "two.yaml").write_text(MULTI_CPU)
    told = ["--cpu", "--num_processes", "2"]
    if asked == "in a file":
        told = ["--config_file", str(tmp_path / "two.yaml")]
    launch = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
    done = subprocess.run(
        [*launch, *told, str(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "refused launcher: 1 process(es), expected 2" in done.stdout
