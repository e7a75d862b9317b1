"""The program from outside: exit codes, one-line errors, signals, two processes."""

import json
import os
import resource
import signal
from pathlib import Path

import pytest
from programs import PRETRAIN, SMOKE, TORCHRUN, run, start

from pretrain.engine.tracking import read_metrics
from pretrain.probing.report import read_records

SHORT = (
    *("--config", SMOKE, "--data.workers", "0", "--runtime.threads", "1"),
    *("--log.every_steps", "1", "--log.trackers", "[]"),
)


def test_a_bad_option_is_one_line_and_a_non_zero_exit(tmp_path: Path) -> None:
    code, output, errors = run(PRETRAIN, *SHORT, "--model.patch_sise", "8")
    assert (code, output) == (2, "")
    assert errors == "error: --model.patch_sise: unknown key, expected perhaps 'model.patch_size'\n"


def test_an_empty_folder_is_one_line(tmp_path: Path) -> None:
    code, _, errors = run(
        PRETRAIN, *SHORT, "--data.source", tmp_path, "--output_dir", tmp_path / "run"
    )
    assert code == 2
    assert errors.startswith(f"error: {tmp_path}: no images")
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_one_line_and_the_last_checkpoint_stands(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    arguments = (PRETRAIN, *SHORT, "--output_dir", folder, "--checkpoint.every_steps", "4")
    limited = (
        "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f" resource.setrlimit(resource.RLIMIT_FSIZE, ({10_000_000}, {resource.RLIM_INFINITY}));"
        " sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    code, _, errors = run("-c", limited, *arguments)
    last = errors.strip().splitlines()[-1]
    assert code == 2
    assert last.startswith(f"error: {folder}/checkpoints/step-00000004: cannot write")
    assert list((folder / "checkpoints").iterdir()) == []
    code, *_ = run(*arguments, "--resume", "auto")
    assert code == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_stop_signal_saves_exits_75_and_resumes_to_the_same_end(
    tmp_path: Path, name: str
) -> None:
    # The whole group gets it, loader workers and all, as from a scheduler.
    arguments = (PRETRAIN, *SHORT, "--training.epochs", "4", "--checkpoint.every_minutes", "null")
    arguments += ("--data.workers", "1", "--runtime.threads", "2")
    process = start(*arguments, "--output_dir", tmp_path / "stopped")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step 5/"):
            os.killpg(process.pid, getattr(signal, name))
            break
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 75, errors
    assert f"{name}: saving, then leaving" in errors
    code, *_ = run(*arguments, "--output_dir", tmp_path / "stopped", "--resume", "auto")
    assert code == 0
    code, *_ = run(*arguments, "--output_dir", tmp_path / "whole")
    assert code == 0
    for a, b in zip(
        read_metrics(tmp_path / "stopped"), read_metrics(tmp_path / "whole"), strict=True
    ):
        assert (a["step"], a["loss"], a["grad_norm"]) == (b["step"], b["loss"], b["grad_norm"])


def test_a_signal_before_the_first_step_is_obeyed_after_it(tmp_path: Path) -> None:
    process = start(PRETRAIN, *SHORT, "--output_dir", tmp_path / "run")
    assert process.stderr is not None
    assert "run folder" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 75, errors


def test_a_stop_signal_cuts_a_probe_short_and_the_resumed_run_makes_up_for_it(
    tmp_path: Path,
) -> None:
    probed = ("--probe.source", "synthetic", "--probe.images", 100, "--probe.every_epochs", 1)
    probed += ("--probe.synthetic.count", 200, "--probe.synthetic.size", 32)
    command = (PRETRAIN, *SHORT, *probed, "--output_dir", tmp_path, "--resume", "auto")
    process = start(*command)
    assert process.stderr is not None
    assert any("probing" in line for line in process.stderr)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert "cut short by the stop signal" in errors
    assert "stopped at step 8, saved" in errors
    assert not (tmp_path / "probe.txt").exists()
    code, output, errors = run(*command)
    assert code == 0, errors
    assert "Probe at epoch 2" in output
    assert [entry["step"] for entry in read_records(tmp_path)] == [8, 16]


@pytest.mark.distributed
def test_accelerate_launch_is_the_same_run(tmp_path: Path) -> None:
    launch = ("-m", "accelerate.commands.accelerate_cli", "launch", "--num_processes", "1")
    code, _, errors = run(*launch, PRETRAIN, *SHORT, "--output_dir", tmp_path / "launched")
    assert code == 0, errors
    code, *_ = run(PRETRAIN, *SHORT, "--output_dir", tmp_path / "plain")
    launched, plain = read_metrics(tmp_path / "launched"), read_metrics(tmp_path / "plain")
    assert [r["loss"] for r in launched] == [r["loss"] for r in plain]


@pytest.mark.distributed
def test_two_processes_are_two_and_compute_the_run_of_one(tmp_path: Path) -> None:
    asked = ("--runtime.processes", "2", "--runtime.distributed", "ddp")
    code, _, errors = run(
        *(*TORCHRUN, 2, PRETRAIN, *SHORT, *asked, "--training.micro_batch_size", "8"),
        *("--output_dir", tmp_path / "two"),
        ACCELERATE_USE_CPU="true",
    )
    assert code == 0, errors
    start_facts = json.loads((tmp_path / "two" / "run.json").read_text())["starts"][0]
    assert (start_facts["world_size"], start_facts["distributed"]) == (2, "ddp")
    assert start_facts["micro_batches"] == 2
    code, *_ = run(PRETRAIN, *SHORT, "--output_dir", tmp_path / "one")
    assert code == 0
    one, two = read_metrics(tmp_path / "one"), read_metrics(tmp_path / "two")
    assert [r["step"] for r in two] == [r["step"] for r in one]
    assert [r["loss"] for r in two] == pytest.approx([r["loss"] for r in one], rel=1e-4)
    assert [r["grad_norm"] for r in two] == pytest.approx([r["grad_norm"] for r in one], rel=1e-3)
    # A checkpoint of two processes goes on with one.
    code, _, errors = run(PRETRAIN, *SHORT, "--output_dir", tmp_path / "two", "--resume", "auto")
    assert code == 0, errors
