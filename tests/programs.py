"""Starts the programs as a user does: other processes, real files, real signals."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRETRAIN = ROOT / "pretrain" / "main.py"
SMOKE = ROOT / "configs" / "pretrain" / "smoke.yaml"


def environment(**changes: str) -> dict[str, str]:
    """Ours, without what an outer launcher may have set."""
    names = ("ACCELERATE", "WORLD_SIZE", "LOCAL_", "RANK", "MASTER_", "OMP_NUM", "CUDA_VIS")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(names)}
    # Threads that wait for each other sleep instead of spinning: on a busy machine, a run with two
    # would be ten times slower.
    quiet = {"CUDA_VISIBLE_DEVICES": "", "OMP_WAIT_POLICY": "PASSIVE"}
    # What DeepSpeed compiles at its first use belongs to this environment: two that share the usual
    # place compile it anew in turn, and a build that was killed leaves its lock there.
    quiet["TORCH_EXTENSIONS_DIR"] = str(Path(sys.prefix) / "torch_extensions")
    return kept | quiet | changes


#: Several processes on this machine: append their number, the program and its options.
TORCHRUN = (
    *("-m", "torch.distributed.run", "--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0"),
    "--nproc_per_node",
)


def of_kind(kind: str) -> dict[str, str]:
    """What the environment of a run on several CPUs needs to be of a kind of sharing.

    With the flag DeepSpeed would quietly become DDP, without it DDP looks for GPUs.
    """
    return {} if kind.startswith("zero") else {"ACCELERATE_USE_CPU": "true"}


def start(*arguments: object, **changes: str) -> subprocess.Popen[str]:
    """Starts Python with arguments."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own, that a test can signal as a scheduler does
    )


def run(*arguments: object, timeout: float = 400, **changes: str) -> tuple[int, str, str]:
    """Runs Python with arguments to its end: exit code, stdout, stderr."""
    process = start(*arguments, **changes)
    try:
        output, errors = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, output, errors
