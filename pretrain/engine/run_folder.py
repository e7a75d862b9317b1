"""The run's folder: who may write into it, what it was started with, where it goes on."""

from __future__ import annotations

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

_PACKAGES = ("torch", "torchvision", "timm", "accelerate", "numpy", "pillow", "safetensors")


class RunFolderError(UserError):
    """A folder that cannot take the run."""


def claim(folder: Path, resume: str | None) -> tuple[Checkpoint | None, list[str]]:
    """Decides where the run starts. Only the main process asks; the others are told.

    Args:
        folder: the run's folder.
        resume: None starts a new run; ``auto`` goes on from the newest whole checkpoint of the
            folder, or starts where there is none; a path goes on from that checkpoint.

    Returns:
        The checkpoint to go on from (None: start), and notes on torn ones that were passed over.

    Raises:
        RunFolderError: the folder holds another run, or cannot be written.
        CheckpointError: the checkpoint that was named is not whole.
    """
    holds_run = any((folder / name).exists() for name in ("run.json", "config.yaml", "checkpoints"))
    if resume is None and holds_run:
        raise RunFolderError(
            f"{folder}: holds another run; expected a new --output_dir, or --resume auto to go on"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot make the run's folder: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise RunFolderError(f"{folder}: not writable")
    if resume is None:
        return None, []
    if resume != "auto":
        return read(Path(resume)), []
    return newest(folder / "checkpoints")


def refuse_other_run(checkpoint: Checkpoint, defining: Mapping[str, Any]) -> None:
    """Refuses to continue a run whose defining fields were others.

    Args:
        checkpoint: its state holds ``defining`` of the run that saved it.
        defining: of this run.

    Raises:
        CheckpointError: names every field that differs.
    """
    saved = checkpoint.state["defining"]
    differences = [
        f"{key} {saved.get(key, 'absent')!r} (now {defining.get(key, 'absent')!r})"
        for key in sorted(saved.keys() | defining.keys())
        if saved.get(key, "absent") != defining.get(key, "absent")
    ]
    if differences:
        raise CheckpointError(f"{checkpoint.path}: made with {', '.join(differences)}")


def write_text(path: Path, text: str) -> None:
    """Writes a file whole or not at all.

    Raises:
        RunFolderError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise RunFolderError(f"{path}: cannot write: {error.strerror}") from None


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
