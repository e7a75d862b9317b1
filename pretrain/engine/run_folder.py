"""The run's folder: who may write into it, what it was started with, where it goes on."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pretrain.engine.checkpoint import Checkpoint, CheckpointError, newest, read
from pretrain.errors import UserError
from pretrain.files import write_text

_PACKAGES = ("torch", "torchvision", "timm", "accelerate", "numpy", "pillow", "safetensors")


class RunFolderError(UserError):
    """A folder that cannot take the run."""


def claim(
    folder: Path,
    resume: str | None,
    defining: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
) -> tuple[Checkpoint | None, list[str]]:
    """Decides where the run starts. Only the main process asks; the others are told.

    Args:
        folder: the run's folder; made here.
        resume: None starts a new run; ``auto`` goes on from the newest whole checkpoint of the
            folder, or starts where there is none; a path goes on from that checkpoint.
        defining: the fields that define the run.
        defaults: what those of them are that a run from before they existed was made with.

    Returns:
        The checkpoint to go on from (None: start), and notes for the person.

    Raises:
        RunFolderError: the folder holds another run, is being written by one, or cannot be written.
        CheckpointError: the checkpoint that was named is not whole, or its run was another.
    """
    holds_run = (folder / "run.json").exists() or any((folder / "checkpoints").glob("step-*"))
    if resume is None and holds_run:
        raise RunFolderError(
            f"{folder}: holds another run; expected a new --output_dir, or --resume auto to go on"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _lock(folder)
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot make the run's folder: {error.strerror}") from None
    if resume is None:
        return None, []
    if resume != "auto":
        checkpoint, notes = read(Path(os.path.expanduser(resume))), list[str]()
        if holds_run and checkpoint.path.resolve().parent != (folder / "checkpoints").resolve():
            raise RunFolderError(
                f"{folder}: holds another run than {resume}; expected a new --output_dir"
            )
    else:
        found, torn = newest(folder / "checkpoints")
        notes = [f"passed over a torn checkpoint: {reason}" for reason in torn]
        if found is None:
            if holds_run:
                _refuse_other_run(folder / "run.json", _last_defining(folder), defining, defaults)
                notes.append(f"{folder}: no whole checkpoint, starting from step 0")
            return None, notes
        checkpoint = found
    _refuse_other_run(checkpoint.path, checkpoint.state["defining"], defining, defaults)
    return checkpoint, notes


def _lock(folder: Path) -> None:
    """Refuses a second trainer; the lock is the process's and goes with it, however it ends."""
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR)  # stays open on purpose
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise RunFolderError(f"{folder}: another process is training here") from None
        # Else a file system without locks: nothing to hold on to.


def _last_defining(folder: Path) -> Mapping[str, Any]:
    path = folder / "run.json"
    starts = json.loads(path.read_text())["starts"] if path.exists() else []
    return starts[-1]["defining"] if starts else {}


def _refuse_other_run(
    source: Path,
    saved: Mapping[str, Any],
    defining: Mapping[str, Any],
    defaults: Mapping[str, Any] | None,
) -> None:
    """Names every defining field that differs."""
    saved = {key: value for key, value in (defaults or {}).items() if key in defining} | dict(saved)
    differences = [
        f"{key} {saved.get(key, 'absent')!r} (now {defining.get(key, 'absent')!r})"
        for key in sorted(saved.keys() | defining.keys())
        if saved.get(key, "absent") != defining.get(key, "absent")
    ]
    if differences:
        raise CheckpointError(f"{source}: made with {', '.join(differences)}")


def record_start(folder: Path, facts: Mapping[str, Any]) -> None:
    """Adds a start to ``run.json``: when, on what, with which versions and derived values."""
    path = folder / "run.json"
    record = json.loads(path.read_text()) if path.exists() else {"starts": []}
    record["starts"].append(
        {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": sys.argv,
            "commit": _commit(),
            "python": platform.python_version(),
            "versions": {name: _version(name) for name in _PACKAGES},
            **facts,
        }
    )
    write_text(path, json.dumps(record, indent=1) + "\n")


def record_end(folder: Path, facts: Mapping[str, Any]) -> None:
    """Adds to the latest start in ``run.json`` how it ended."""
    path = folder / "run.json"
    record = json.loads(path.read_text())
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    record["starts"][-1]["end"] = {"time": ended, **facts}
    write_text(path, json.dumps(record, indent=1) + "\n")


def _commit() -> str | None:
    """The commit of the code that runs, ``+changes`` where files differ; None outside git."""
    here = Path(__file__).parent
    git = ["git", "-C", str(here)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changed else commit


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
