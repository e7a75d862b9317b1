"""kill -9 at random instants: the resumed run is the uninterrupted one, bit for bit.

The default run kills one process a few times. For more, and for several processes (all killed at
once, or one of them): ``python tests/test_resume_after_kill.py KILLS [PROCESSES [all|one]]``.
"""

import random
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from programs import PRETRAIN, SMOKE, TORCHRUN, run, start

from pretrain.engine.tracking import read_metrics

ARGUMENTS = (
    *(PRETRAIN, "--config", SMOKE, "--training.epochs", "4", "--log.every_steps", "1"),
    *("--checkpoint.every_steps", "3", "--checkpoint.keep", "2", "--log.trackers", "[]"),
    *("--runtime.threads", "1"),
)
KEPT = ("step", "loss", "grad_norm", "lr", "skipped")


def bits(folder: Path) -> list[list[float]]:
    return [[record[key] for key in KEPT] for record in read_metrics(folder)]


def command(processes: int) -> tuple[object, ...]:
    return ARGUMENTS if processes == 1 else (*TORCHRUN, processes, *ARGUMENTS)


def trainers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that train: torchrun's children, or the one that was started."""
    return psutil.Process(process.pid).children() or [psutil.Process(process.pid)]


def kill(process: subprocess.Popen[str], whom: str, rng: random.Random) -> None:
    """Kills the trainers, which have sessions of their own, with their launcher; or one of them."""
    with suppress(psutil.NoSuchProcess):  # what has ended by itself
        found = trainers(process)
        chosen = [rng.choice(found)] if whom == "one" else [*found, psutil.Process(process.pid)]
        for one in chosen:
            with suppress(psutil.NoSuchProcess):
                one.kill()


def kill_until_done(
    folder: Path, kills: int, rng: random.Random, processes: int = 1, whom: str = "all"
) -> list[int]:
    """Kills at a random moment after a random step, resumes; returns the steps of the kills."""
    killed_at = []
    for _ in range(kills):
        process = start(
            *(*command(processes), "--output_dir", folder, "--resume", "auto"),
            ACCELERATE_USE_CPU="true",
        )
        assert process.stdout is not None
        last = rng.randrange(0, 6)
        for _line, _ in zip(process.stdout, range(last), strict=False):
            pass  # a line a step
        try:
            process.wait(timeout=rng.uniform(0.0, 0.5))  # the moment: inside a step, or a save
        except subprocess.TimeoutExpired:
            kill(process, whom, rng)
        process.communicate(timeout=120)  # the others end as well
        records = read_metrics(folder)
        killed_at.append(int(records[-1]["step"]) if records else 0)
        if process.returncode == 0:
            break
    resume = (*command(processes), "--output_dir", folder, "--resume", "auto")
    code, _, errors = run(*resume, ACCELERATE_USE_CPU="true")
    assert code == 0, errors
    return killed_at


def compare(
    folder: Path, kills: int, seed: int, processes: int = 1, whom: str = "all"
) -> list[int]:
    whole = (*command(processes), "--output_dir", folder / "whole")
    code, _, errors = run(*whole, ACCELERATE_USE_CPU="true")
    assert code == 0, errors
    rng = random.Random(seed)
    killed_at = kill_until_done(folder / "killed", kills, rng, processes, whom)
    assert bits(folder / "killed") == bits(folder / "whole")
    weights = [(folder / name / "mae.safetensors").read_bytes() for name in ("killed", "whole")]
    assert weights[0] == weights[1]
    return killed_at


def test_a_run_killed_and_resumed_is_bitwise_the_same(tmp_path: Path) -> None:
    compare(tmp_path, kills=3, seed=0)


@pytest.mark.distributed
def test_when_one_of_two_processes_is_killed_all_end_and_the_run_goes_on_the_same(
    tmp_path: Path,
) -> None:
    compare(tmp_path, kills=1, seed=3, processes=2, whom="one")


if __name__ == "__main__":
    wanted, done = int(sys.argv[1]), 0
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    killed = sys.argv[3] if len(sys.argv) > 3 else "all"
    while done < wanted:
        with tempfile.TemporaryDirectory() as name:
            steps = compare(Path(name), min(5, wanted - done), done, number, killed)
        done += len(steps)
        print(f"{done}/{wanted} kills, at steps {steps}: bitwise the same")
