"""Checkpoints: safetensors and JSON in a folder that appears whole or not at all.

A save writes into a hidden folder, flushes it to the disk, lists sizes and checksums in a file
``COMMITTED``, renames the folder, and only then prunes older ones. Reading checks the list, so a
torn or truncated checkpoint is told from a good one and the one before it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pretrain.errors import UserError

COMMITTED = "COMMITTED"
_STATE = "state.json"


class CheckpointError(UserError):
    """A checkpoint that cannot be written, read, or continued from."""


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """When the run's state is saved. It is also saved at the end and on a stop signal.

    Attributes:
        every_steps: optimiser steps between two checkpoints; null saves by time only.
        every_minutes: minutes between two checkpoints; null saves by steps only.
        keep: newest checkpoints that stay on the disk.
    """

    every_steps: int | None = None
    every_minutes: float | None = 15.0
    keep: int = 2

    def __post_init__(self) -> None:
        """Refuses intervals and numbers below one."""
        for name in ("every_steps", "every_minutes", "keep"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} {value}, expected > 0")


@dataclass(frozen=True)
class Checkpoint:
    """What a save held.

    Attributes:
        path: its folder.
        tensors: ``{"model": {name: tensor}, "optimizer": {...}, ...}``, on the CPU.
        state: everything else, JSON.
    """

    path: Path
    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save(
    folder: Path,
    step: int,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    keep: int,
) -> Path:
    """Commits a checkpoint and prunes to the newest ``keep``.

    Args:
        folder: the run's ``checkpoints`` folder.
        step: optimiser steps done.
        tensors: one safetensors file each.
        state: JSON values.
        keep: checkpoints to keep.

    Returns:
        The checkpoint's folder.

    Raises:
        CheckpointError: it could not be written (a full disk, say); older ones are untouched.
    """
    final = folder / f"step-{step:08d}"
    draft = folder / f".{final.name}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".step-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        draft.mkdir()
        for name, entries in tensors.items():
            contiguous = {key: value.detach().cpu().contiguous() for key, value in entries.items()}
            save_file(contiguous, draft / f"{name}.safetensors", metadata={"format": "pt"})
        (draft / _STATE).write_text(json.dumps(state, indent=1))
        listing = {file.name: _describe(file) for file in sorted(draft.iterdir())}
        (draft / COMMITTED).write_text(json.dumps(listing, indent=1))
        for file in [*draft.iterdir(), draft]:
            _flush(file)
        if final.exists():  # saved before, by a run that was set back to an older step
            shutil.rmtree(final)
        draft.rename(final)
        _flush(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        kept = _committed(folder)
        last = kept[0].name if kept else "none"
        raise CheckpointError(
            f"{final}: cannot write the checkpoint: {reason}; last good one: {last}"
        ) from None
    # A later step is torn, or of a future that was abandoned by resuming from before it.
    for later in [path for path in _folders(folder) if path.name > final.name]:
        shutil.rmtree(later, ignore_errors=True)
    for old in _committed(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def read(path: Path) -> Checkpoint:
    """Reads a checkpoint after checking that it is whole.

    Raises:
        CheckpointError: not a checkpoint, or a file of it is missing, truncated or changed.
    """
    try:
        listing = json.loads((path / COMMITTED).read_text())
        if unlisted := {*listing} ^ {file.name for file in path.iterdir()} ^ {COMMITTED}:
            raise CheckpointError(
                f"{path}: files and {COMMITTED} differ in {', '.join(sorted(unlisted))}"
            )
        for name, expected in listing.items():
            found = _describe(path / name)
            if found != expected:
                raise CheckpointError(
                    f"{path / name}: {found['bytes']} bytes, sha256 {found['sha256'][:8]}, expected"
                    f" {expected['bytes']} bytes, sha256 {expected['sha256'][:8]}"
                )
        tensors = {file.stem: load_file(file) for file in sorted(path.glob("*.safetensors"))}
        return Checkpoint(path, tensors, json.loads((path / _STATE).read_text()))
    except CheckpointError:
        raise
    except (OSError, SafetensorError, ValueError, TypeError, LookupError) as error:
        raise CheckpointError(f"{path}: not a whole checkpoint: {error}") from None


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint of a run that is whole, and what was wrong with newer ones."""
    rejected: list[str] = []
    for path in _folders(folder):
        try:
            return read(path), rejected
        except CheckpointError as error:
            rejected.append(str(error))
    return None, rejected


def _committed(folder: Path) -> list[Path]:
    return [path for path in _folders(folder) if (path / COMMITTED).exists()]


def _folders(folder: Path) -> list[Path]:
    """Checkpoint folders, newest first, whole or not; a user's copy has another name."""
    found = [path for path in folder.glob("step-*") if re.fullmatch(r"step-\d{8}", path.name)]
    return sorted(found, reverse=True)


def _describe(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return {"bytes": stream.tell(), "sha256": digest.hexdigest()}


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
