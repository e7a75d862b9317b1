"""Every way to share a model among processes is the same run, saved in the same form."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from programs import PRETRAIN, SMOKE, TORCHRUN, of_kind, run
from safetensors.torch import load_file

from pretrain.engine.tracking import read_metrics

pytestmark = pytest.mark.distributed

OPTIONS = (
    *("--config", SMOKE, "--training.epochs", 1, "--log.every_steps", 1, "--log.trackers", "[]"),
    *("--pictures", 1, "--data.workers", 0, "--optim.clip_norm", 0.5),
)


def train(folder: Path, kind: str, *more: object, processes: int = 2) -> dict[str, Any]:
    """Runs to the end and returns what the last start recorded."""
    shared = (*TORCHRUN, processes) if processes > 1 else ()
    asked = ("--runtime.distributed", kind, "--runtime.processes", processes)
    environment = of_kind(kind) if processes > 1 else {}
    code, _, errors = run(
        *(*shared, PRETRAIN, *OPTIONS, *asked, "--output_dir", folder, *more), **environment
    )
    assert code == 0, errors
    facts = json.loads((folder / "run.json").read_text())["starts"][-1]
    assert (facts["world_size"], facts["distributed"]) == (processes, kind)
    return dict(facts)


def values(folder: Path, key: str) -> list[float]:
    return [record[key] for record in read_metrics(folder)]


@pytest.fixture(scope="module")
def ddp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ddp")
    train(folder, "ddp", "--training.micro_batch_size", 8)
    return folder


@pytest.mark.parametrize("kind", ["fsdp", "zero1", "zero2", "zero3"])
def test_a_way_of_sharing_computes_the_run_of_ddp(tmp_path: Path, ddp: Path, kind: str) -> None:
    facts = train(tmp_path, kind, "--training.micro_batch_size", 8)
    assert facts["micro_batches"] == 2
    assert values(tmp_path, "loss") == pytest.approx(values(ddp, "loss"), rel=1e-5)
    assert values(tmp_path, "grad_norm") == pytest.approx(values(ddp, "grad_norm"), rel=1e-4)
    for name in ("mae.safetensors", "encoder/model.safetensors"):
        one, other = load_file(tmp_path / name), load_file(ddp / name)
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert value.dtype == torch.float32
            torch.testing.assert_close(value, other[key], rtol=1e-3, atol=1e-5, msg=key)
    saved = sorted(path.name for path in (tmp_path / "checkpoints" / "step-00000008").iterdir())
    assert saved == ["COMMITTED", "model.safetensors", "optimizer.safetensors", "state.json"]


def test_zero_3_computes_the_run_of_ddp_in_bf16_too(tmp_path: Path) -> None:
    """They differ by 5e-5, as FSDP2 and ZeRO-2 do; a forward that rounds otherwise by 8e-4."""
    for kind in ("ddp", "zero3"):
        train(
            tmp_path / kind, kind, "--training.micro_batch_size", 4, "--runtime.precision", "bf16"
        )
    found, expected = tmp_path / "zero3", tmp_path / "ddp"
    assert values(found, "loss") == pytest.approx(values(expected, "loss"), rel=1.5e-4)
    assert values(found, "grad_norm") == pytest.approx(values(expected, "grad_norm"), rel=5e-4)


def test_a_run_goes_on_under_any_kind_and_number_of_processes(tmp_path: Path, ddp: Path) -> None:
    """Two steps each; a checkpoint after every second one, the rest of the run is dropped."""
    path = [("zero3", 2), ("fsdp", 2), ("zero2", 2), ("ddp", 4), ("none", 1)]
    every = ("--checkpoint.every_steps", 2, "--checkpoint.keep", 9)
    for number, (kind, processes) in enumerate(path[:-1]):
        resume = tmp_path / "checkpoints" / f"step-{2 * number:08d}"
        more = (*every, "--resume", resume) if number else every
        facts = train(tmp_path, kind, *more, processes=processes)
        assert facts["first_step"] == 2 * number
    kind, processes = path[-1]
    resume = tmp_path / "checkpoints" / "step-00000006"
    train(tmp_path, kind, *every, "--resume", resume, processes=processes)
    assert values(tmp_path, "step") == values(ddp, "step")
    assert values(tmp_path, "loss") == pytest.approx(values(ddp, "loss"), rel=1e-4)
    assert values(tmp_path, "lr") == values(ddp, "lr")


def refusal(*arguments: object, **environment: str) -> str:
    code, _, errors = run(*arguments, **environment)
    assert code != 0
    lines = {line for line in errors.splitlines() if line.startswith("error: ")}
    assert len(lines) == 1, errors
    return lines.pop()


def test_deepspeed_that_quietly_became_ddp_is_refused(tmp_path: Path) -> None:
    shared = (*TORCHRUN, 2, PRETRAIN, *OPTIONS, "--output_dir", tmp_path / "run")
    message = refusal(*shared, "--runtime.distributed", "zero2", ACCELERATE_USE_CPU="true")
    assert message == (
        "error: launcher: distributed type MULTI_CPU, expected zero2 (on a CPU without"
        " ACCELERATE_USE_CPU)"
    )
    assert not (tmp_path / "run").exists()
