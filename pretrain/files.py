"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pretrain.errors import UserError


class WriteError(UserError):
    """A file that cannot be written."""


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; makes its folder.

    Raises:
        WriteError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise WriteError(f"{path}: cannot write: {error.strerror}") from None


def write_text(path: Path, text: str) -> None:
    """:func:`write_bytes` of UTF-8 text."""
    write_bytes(path, text.encode("utf-8"))


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes a new folder of files whole or not at all.

    Args:
        path: the folder, which must not be there yet.
        files: content by name.

    Raises:
        WriteError: it is there, or cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if os.path.lexists(path):
            raise WriteError(f"{path}: is there already, expected a new folder")
        draft.mkdir(parents=True)
        for name, content in files.items():
            (draft / name).write_bytes(content)
        draft.rename(path)
    except OSError as error:
        raise WriteError(f"{path}: cannot write: {error.strerror}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
