"""The job script, with stand-ins for SLURM's commands and for the trainer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs import ROOT

#: What an empty folder in front of the others on PATH gets. A step runs in the shell's place.
STANDINS = {
    "scontrol": 'if [ "$1" = show ]; then echo here; else echo "$@" >>"$WORK/requeued"; fi',
    "scancel": "",
    "srun": 'while [[ $1 == --* ]]; do shift; done; echo $$ >"$WORK/step"; exec "$@"',
    "cp": '/bin/cp "$@"; rc=$?; echo "$1" >>"$WORK/copied"; eval "${AFTER_COPY:-}"; exit $rc',
    "python": f"""
        if [ "$1" = -c ]; then exec {sys.executable} "$@"; fi
        if [ "$1" = -m ]; then echo "$@" >"$WORK/trained"; eval "$TRAINER"; exit; fi
        [ "$1" != broken.py ] || exit 2
        echo "output_dir: $WORK/run"
    """,
}
SAVE = 'mkdir -p "$WORK/run/checkpoints/step-00000004"; touch "$_/COMMITTED";'
SIGNAL = 'kill -USR1 "$BATCH";'


def submit(work: Path, program: str = "program.py", **variables: str) -> tuple[int, str]:
    """Starts the job once: its exit code and log."""
    commands = work / "commands"
    commands.mkdir(exist_ok=True)
    for name, lines in STANDINS.items():
        (commands / name).write_text(f"#!/bin/bash\n{lines}\n")
        (commands / name).chmod(0o755)
    environment = {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "VIRTUAL_ENV": sys.prefix,
        "WORK": str(work),
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NODELIST": "here",
        "SLURM_NNODES": "1",
        "SLURM_NODEID": "0",
    }
    done = subprocess.run(
        ["bash", "-c", f'export BATCH=$$; PROGRAM={program}; source "$0"', "launch/slurm_job.sh"],
        cwd=ROOT,
        env=environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def requeued(work: Path) -> int:
    """How often the job went back to the queue."""
    file = work / "requeued"
    return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "a pack"
    (folder / "shards").mkdir(parents=True)
    for number in range(4):
        (folder / "shards" / f"{number}.bin").write_bytes(bytes([number]) * 5000)
    (folder / "pack.json").write_text("{}")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_job_that_saved_before_its_time_was_up_is_requeued(tmp_path: Path) -> None:
    code, log = submit(tmp_path, TRAINER=f"{SIGNAL} {SAVE} false")
    assert (code, requeued(tmp_path)) == (0, 1)
    assert "job 7: saved before its time was up, goes back to the queue" in log


@pytest.mark.parametrize("saved_before", [True, False])
def test_a_job_that_saved_nothing_new_is_not_requeued(tmp_path: Path, saved_before: bool) -> None:
    if saved_before:
        assert submit(tmp_path, TRAINER=SAVE)[0] == 0
    code, log = submit(tmp_path, TRAINER=f"{SIGNAL} false")
    assert (code, requeued(tmp_path)) == (1, 0)
    assert "signalled, but nothing new was saved: not requeued" in log


def test_an_error_without_a_signal_is_not_requeued(tmp_path: Path) -> None:
    assert submit(tmp_path, TRAINER=f"{SAVE} false")[0] == 1
    assert submit(tmp_path, TRAINER=SIGNAL)[0] == 0  # and a job that is complete neither
    assert requeued(tmp_path) == 0


def test_a_wrong_option_ends_the_job_before_anything_is_copied(tmp_path: Path, pack: Path) -> None:
    code, _ = submit(tmp_path, "broken.py", STAGE=str(pack), STAGE_TO=str(tmp_path))
    assert code == 2
    assert not {"copied", "trained"} & {path.name for path in tmp_path.iterdir()}


def test_a_signal_while_a_pack_is_copied_leaves_whole_files_and_the_next_start_goes_on(
    tmp_path: Path, pack: Path
) -> None:
    node = tmp_path / "a node"
    stage = {"STAGE": str(pack), "STAGE_TO": str(node), "TRAINER": "true"}
    # SLURM's signal to the shell, and scancel's to the step, while the first file is copied.
    stop = SIGNAL + 'kill -USR1 "$(cat "$WORK/step")";'
    code, log = submit(tmp_path, **stage, AFTER_COPY=stop)
    assert (code, requeued(tmp_path)) == (0, 1), log
    (staged,) = node.iterdir()
    assert len(files(staged)) == 1
    assert files(staged).items() <= files(pack).items()
    assert not (tmp_path / "trained").exists()
    code, log = submit(tmp_path, **stage)
    assert code == 0, log
    assert files(staged) == files(pack)
    copied = (tmp_path / "copied").read_text().splitlines()
    assert len(copied) == len(set(copied)) == 5
    assert (tmp_path / "trained").read_text().endswith(f"--data.source {staged}\n")


def test_a_copy_that_fails_leaves_no_file_and_ends_the_job(tmp_path: Path, pack: Path) -> None:
    node = tmp_path / "node"
    stage = {"STAGE": str(pack), "STAGE_TO": str(node), "TRAINER": "true"}
    full = 'truncate -s 100 "$2"; rc=1'
    code, _ = submit(tmp_path, **stage, AFTER_COPY=full)
    assert (code, requeued(tmp_path)) == (1, 0)
    (staged,) = node.iterdir()
    assert files(staged) == {}
    assert not (tmp_path / "trained").exists()
