"""Stage two in several processes, and as a user starts and stops it."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from programs import ROOT, TORCHRUN, of_kind, run, start
from safetensors.torch import load_file

from pretrain.engine.tracking import read_metrics

PROGRAM = ROOT / "finetune" / "main.py"
SMOKE = ROOT / "configs" / "finetune" / "smoke.yaml"
COMMAND = (PROGRAM, "--config", SMOKE, "--data.workers", 0, "--runtime.threads", 1)
# A concordance is one of its micro-batch, and so of the processes.
SUMS = ("--method.losses.valence_arousal", 0)


def losses(folder: Path) -> list[float]:
    return [record["loss"] for record in read_metrics(folder)]


@pytest.mark.distributed
@pytest.mark.parametrize("kind", ["ddp", "fsdp", "zero2"])
def test_two_processes_train_the_model_of_one(tmp_path: Path, kind: str) -> None:
    code, _, errors = run(*COMMAND, *SUMS, "--output_dir", tmp_path / "one")
    assert code == 0, errors
    both = (*COMMAND, *SUMS, "--output_dir", tmp_path / "two", "--runtime.distributed", kind)
    code, output, errors = run(*TORCHRUN, 2, *both, **of_kind(kind))
    assert code == 0, errors
    facts = json.loads((tmp_path / "two" / "run.json").read_text())["starts"][0]
    assert (facts["world_size"], facts["distributed"]) == (2, kind)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    one, two = (
        load_file(tmp_path / name / "model" / "model.safetensors") for name in ("one", "two")
    )
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert (value - two[name]).abs().max() < 1e-3, name
    assert output.count("predictions  ") == 1  # the main process alone reports


@pytest.mark.distributed
@pytest.mark.parametrize(
    "penalties",
    [
        ("--method.adversarial.r1", 1, "--method.adversarial.feature_matching", 1),
        ("--method.adversarial.weight", 0),  # nothing is played, and nobody judges
    ],
)
def test_two_processes_play_one_game(tmp_path: Path, penalties: tuple[object, ...]) -> None:
    networks = ("--method.networks.image_size", 32, "--method.networks.width", 4)
    played = ("--method", "GAN", *networks, "--method.networks.conditional", "true", *penalties)
    both = (*COMMAND, *played, "--output_dir", tmp_path, "--training.micro_batch_size", 4)
    code, _, errors = run(*TORCHRUN, 2, *both, **of_kind("ddp"))
    assert code == 0, errors
    assert all(np.isfinite(losses(tmp_path)))


@pytest.mark.distributed
@pytest.mark.parametrize(
    "more", [(), ("--method.cotraining.teacher", "true", "--optim.ema_decay", 0.5)]
)
def test_two_processes_train_the_views_of_one(tmp_path: Path, more: tuple[object, ...]) -> None:
    shape = ("--method.views.size", "tiny", "--method.views.image_size", 32)
    views = ("--method", "CoTEX", *shape, "--method.views.patch_size", 8)
    views = (
        *views,
        "--method.views.drop_path_rate",
        0,
        "--method.cotraining.mask_ratio",
        0.5,
        *more,
    )
    code, _, errors = run(*COMMAND, *views, "--output_dir", tmp_path / "one")
    assert code == 0, errors
    both = (*COMMAND, *views, "--output_dir", tmp_path / "two", "--training.micro_batch_size", 4)
    code, _, errors = run(*TORCHRUN, 2, *both, **of_kind("ddp"))
    assert code == 0, errors
    facts = json.loads((tmp_path / "two" / "run.json").read_text())["starts"][0]
    assert (facts["world_size"], facts["micro_batches"]) == (2, 2)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)


def test_a_signal_saves_and_the_same_command_goes_on(tmp_path: Path) -> None:
    longer = (*COMMAND, "--training.epochs", 40, "--output_dir", tmp_path, "--resume", "auto")
    process = start(*longer)
    assert process.stdout is not None
    assert "step" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 75, errors
    assert not (tmp_path / "model").exists()
    code, _, errors = run(*longer)
    assert code == 0, errors
    steps = [record["step"] for record in read_metrics(tmp_path)]
    assert steps == sorted(set(steps))
    assert (tmp_path / "scores.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "EMMMA"), "--method: got 'EMMMA', expected one of DAN, TimmCNN, CoTEX, EMMA"),
        (("--method", "ExpressionMethod"), "got 'ExpressionMethod', expected one of DAN"),
        (("--method.model.va_inputs", "features"), "perhaps 'method.model.va_input'"),
        (("--method.cnn", "x", "--method.model.va_input", "features"), "cnn 'x' with va_input"),
        (("--selection.share", "0.9"), "share 0.9, expected in [0, 0.5]"),
        (("--refit", "true", "--selection.share", "0.1"), "refit true with a selection"),
        (("--data.kind", "manifest", "--data.root", "/no/such"), "/no/such: no such folder"),
        (("--frozen_features", "cache"), "frozen_features with method EMMA, expected EMMA with an"),
        (("--method.losses.expression_weights", "heavy"), "expression_weights 'heavy'"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    code, _, errors = run(*COMMAND, "--output_dir", tmp_path / "run", *options)
    assert code == 2, errors
    assert message in errors
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert not (tmp_path / "run" / "config.yaml").exists()
