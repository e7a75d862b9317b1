"""What can befall one of several processes: all of them answer alike, and nothing is lost."""

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from programs import PRETRAIN, SMOKE, TORCHRUN, of_kind, run, start
from test_resume_after_kill import trainers

from pretrain.engine.checkpoint import newest
from pretrain.engine.tracking import read_metrics

pytestmark = pytest.mark.distributed

STEPS = 32
SHORT = (
    *(PRETRAIN, "--config", SMOKE, "--log.every_steps", 1, "--log.trackers", "[]"),
    *("--pictures", 1, "--data.workers", 0, "--runtime.threads", 1, "--training.epochs", STEPS / 8),
)
SPOILT = Path(__file__).parent / "engine" / "spoilt_program.py"


def losses(folder: Path) -> list[float]:
    return [record["loss"] for record in read_metrics(folder)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    code, _, errors = run(*SHORT, "--output_dir", folder)
    assert code == 0, errors
    return folder


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM"])
def test_a_signal_to_one_process_saves_in_all_at_the_same_step(
    tmp_path: Path, whole: Path, name: str
) -> None:
    command = (*TORCHRUN, 2, *SHORT, "--output_dir", tmp_path, "--resume", "auto")
    process = start(*command, ACCELERATE_USE_CPU="true")
    assert process.stdout is not None
    assert "step" in process.stdout.readline()
    ranks = {one.environ()["RANK"]: one for one in trainers(process)}
    ranks["1"].send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0  # torchrun makes 1 of our 75
    ending = json.loads((tmp_path / "run.json").read_text())["starts"][0]["end"]
    checkpoint, torn = newest(tmp_path / "checkpoints")
    assert (ending["complete"], torn) == (False, [])
    assert checkpoint is not None, errors
    assert checkpoint.state["progress"]["step"] == ending["step"] < STEPS
    assert losses(tmp_path) == pytest.approx(losses(whole)[: ending["step"]], rel=1e-4)
    code, _, errors = run(*command, ACCELERATE_USE_CPU="true")
    assert code == 0, errors
    assert losses(tmp_path) == pytest.approx(losses(whole), rel=1e-4)


def test_four_processes_see_the_samples_of_one(tmp_path: Path, whole: Path) -> None:
    command = (*TORCHRUN, 4, *SHORT, "--runtime.processes", 4, "--output_dir", tmp_path)
    code, _, errors = run(*command, ACCELERATE_USE_CPU="true")
    assert code == 0, errors
    assert losses(tmp_path) == pytest.approx(losses(whole), rel=1e-4)


def spoilt(kind: str) -> dict[str, Any]:
    environment = of_kind(kind) | {"PYTHONPATH": os.pathsep.join(map(str, SPOILT.parents[:2]))}
    code, output, errors = run(*TORCHRUN, 2, SPOILT, kind, **environment)
    assert code == 0, errors
    found = json.loads(next(line for line in output.splitlines() if line.startswith("{")))
    assert (found["kind"], found["processes"]) == (kind, 2)
    return dict(found)


@pytest.fixture(scope="module")
def spoilt_ddp() -> dict[str, Any]:
    return spoilt("ddp")


@pytest.mark.parametrize("kind", ["ddp", "fsdp", "zero2", "zero3"])
def test_a_nan_in_one_process_skips_the_step_in_all(spoilt_ddp: dict[str, Any], kind: str) -> None:
    found = spoilt_ddp if kind == "ddp" else spoilt(kind)
    assert (found["skipped"], found["steps"]) == (1, 11)  # of twelve
    for name, weights in found["weights"].items():
        assert np.isfinite(weights).all()
        # Each process began with weights of its own: the main one's have to be those of all.
        np.testing.assert_allclose(weights, spoilt_ddp["weights"][name], rtol=1e-4)


def nodes(folder: Path, *own: tuple[object, ...]) -> list[tuple[int, str]]:
    """Starts a process each with options of its own, as on so many nodes: exit codes and errors."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(len(own))}
    place = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "ACCELERATE_USE_CPU": "true"}
    meeting["OMP_NUM_THREADS"] = "1"  # which torchrun sets as well
    started = [
        start(*SHORT, "--output_dir", folder, *options, **meeting, **place, RANK=str(rank))
        for rank, options in enumerate(own)
    ]
    try:
        errors = [process.communicate(timeout=120)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, text) for process, text in zip(started, errors, strict=True)]


def test_processes_that_were_told_otherwise_end_before_the_first_step(tmp_path: Path) -> None:
    other = ("--seed", 1, "--optim.base_lr", 0.01, "--checkpoint.every_steps", 3)
    first, second = nodes(tmp_path / "run", (), other)
    message = (
        "error: seed 1 in process 1 and 0 in process 0, optim.base_lr 0.01 in process 1 and 0.001 in"
        " process 0, checkpoint.every_steps 3 in process 1 and None in process 0; expected the same"
        " options and data in each\n"
    )
    assert [first, second] == [(2, message), (2, "")]  # said once
    assert not (tmp_path / "run").exists()


def test_data_that_one_node_lacks_ends_all_with_its_line(tmp_path: Path) -> None:
    missing = ("--data.source", tmp_path / "missing")
    first, second = nodes(tmp_path / "run", (), missing)
    place = f"process 1 on {socket.gethostname()}"
    message = f"error: {place}: {missing[1]}: no such folder, expected a folder of images\n"
    assert [first, second] == [(2, message), (2, "")]


def test_who_waits_for_a_process_that_was_killed_says_so_in_one_line(tmp_path: Path) -> None:
    process = start(*TORCHRUN, 2, *SHORT, "--output_dir", tmp_path, ACCELERATE_USE_CPU="true")
    assert process.stdout is not None
    assert "step" in process.stdout.readline()
    ranks = {one.environ()["RANK"]: one for one in trainers(process)}
    ranks["1"].kill()
    _, errors = process.communicate(timeout=120)
    assert "error: another process ended; its error is above\n" in errors
    assert "gloo" not in errors


def test_a_broken_image_of_one_process_is_named_once(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(64):
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{number:03d}.png")
    (images / "017.png").write_bytes(b"no image")
    command = (*TORCHRUN, 2, *SHORT, "--data.source", images, "--data.max_bad_share", 0.1)
    code, _, errors = run(*(*command, "--output_dir", tmp_path / "run"), ACCELERATE_USE_CPU="true")
    assert code == 0, errors
    ending = json.loads((tmp_path / "run" / "run.json").read_text())["starts"][0]["end"]
    assert list(ending["bad_images"]) == [str(images / "017.png")]
    assert errors.count("bad image") >= 1
