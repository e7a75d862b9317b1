"""What a run of stage two hands on: the model's folder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file

from finetune.loading.description import CONFIG, WEIGHTS, describe
from finetune.loading.notes import ModelNotes
from finetune.models.affect import AffectModel
from pretrain.files import WriteError


def save_model(model: AffectModel, folder: Path, notes: ModelNotes | None = None) -> None:
    """Writes a model's folder whole or not at all; :func:`~finetune.load.load_model` opens it.

    An older model in its place is replaced; anything else there is refused.

    Args:
        model: without wrappers of a data-parallel run; its weights may be on any device.
        folder: what to write.
        notes: how it was trained; None: nothing is known.

    Raises:
        WriteError: it cannot be written, something else is there, or the notes are of other names
            than the model's.
    """
    notes = notes or ModelNotes()
    if problem := notes.problem(model.labels):
        raise WriteError(f"{folder}: {problem}")
    if os.path.lexists(folder) and not (
        folder.is_dir() and {entry.name for entry in folder.iterdir()} <= {CONFIG, WEIGHTS}
    ):
        raise WriteError(f"{folder}: holds something else, expected a model or nothing")
    draft, older = (
        folder.with_name(f".{folder.name}.{os.getpid()}.{end}") for end in ("new", "old")
    )
    text = json.dumps(describe(model, notes), indent=1, ensure_ascii=False) + "\n"
    try:
        draft.mkdir(parents=True)
        (draft / CONFIG).write_text(text, encoding="utf-8")
        tensors = {n: v.detach().cpu().contiguous() for n, v in model.state_dict().items()}
        save_file(tensors, draft / WEIGHTS, {"format": "pt"})
        if folder.exists():
            folder.rename(older)
        draft.rename(folder)
    except (OSError, SafetensorError) as error:
        if older.exists() and not folder.exists():
            older.rename(folder)
        raise WriteError(f"{folder}: cannot write: {error}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(older, ignore_errors=True)
