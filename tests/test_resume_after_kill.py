"""kill -9 at random instants: the resumed run is the uninterrupted one, bit for bit.

The default run kills a few times. For more: ``python tests/test_resume_after_kill.py 20``.
"""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

from programs import PRETRAIN, SMOKE, run, start

from pretrain.engine.tracking import read_metrics

ARGUMENTS = (
    *(PRETRAIN, "--config", SMOKE, "--training.epochs", "4", "--log.every_steps", "1"),
    *("--checkpoint.every_steps", "3", "--checkpoint.keep", "2", "--log.trackers", "[]"),
    *("--runtime.threads", "1"),
)
KEPT = ("step", "loss", "grad_norm", "lr", "skipped")


def bits(folder: Path) -> list[list[float]]:
    return [[record[key] for key in KEPT] for record in read_metrics(folder)]


def kill_until_done(folder: Path, kills: int, rng: random.Random) -> list[int]:
    """Kills at a random moment after a random step, resumes; returns the steps of the kills."""
    killed_at = []
    for _ in range(kills):
        process = start(*ARGUMENTS, "--output_dir", folder, "--resume", "auto")
        assert process.stdout is not None
        last = rng.randrange(0, 6)
        for _line, _ in zip(process.stdout, range(last), strict=False):
            pass  # a line a step
        try:
            process.wait(timeout=rng.uniform(0.0, 0.5))  # the moment: inside a step, or a save
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        records = read_metrics(folder)
        killed_at.append(int(records[-1]["step"]) if records else 0)
        if process.returncode == 0:
            break
    code, _, errors = run(*ARGUMENTS, "--output_dir", folder, "--resume", "auto")
    assert code == 0, errors
    return killed_at


def compare(folder: Path, kills: int, seed: int) -> list[int]:
    code, _, errors = run(*ARGUMENTS, "--output_dir", folder / "whole")
    assert code == 0, errors
    killed_at = kill_until_done(folder / "killed", kills, random.Random(seed))
    assert bits(folder / "killed") == bits(folder / "whole")
    weights = [(folder / name / "mae.safetensors").read_bytes() for name in ("killed", "whole")]
    assert weights[0] == weights[1]
    return killed_at


def test_a_run_killed_and_resumed_is_bitwise_the_same(tmp_path: Path) -> None:
    compare(tmp_path, kills=3, seed=0)


if __name__ == "__main__":
    wanted, done = int(sys.argv[1]), 0
    while done < wanted:
        with tempfile.TemporaryDirectory() as name:
            steps = compare(Path(name), min(5, wanted - done), seed=done)
        done += len(steps)
        print(f"{done}/{wanted} kills, at steps {steps}: bitwise the same")
