"""``ledger.jsonl``: how every submission came to be, a line each, and none without its line."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from finetune.submission.template import ONLY
from pretrain.files import WriteError, write_bytes, write_folder

LEDGER = "ledger.jsonl"


def digest(files: Mapping[str, bytes]) -> str:
    """What tells a submission from any other: the SHA-256 of its one file.

    Of a folder, that of the lines ``<SHA-256>  <name>`` of its files, sorted by name, as
    ``export LC_ALL=C; sha256sum *.txt | sha256sum`` prints it in the folder.
    """
    if ONLY in files:
        return hashlib.sha256(files[ONLY]).hexdigest()
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return hashlib.sha256(sums.encode()).hexdigest()


def place(out: Path, files: Mapping[str, bytes], record: Mapping[str, Any]) -> None:
    """Puts a submission where it belongs and its record into the ledger beside it.

    The files are written out whole under another name first, then the record, and then they appear
    by a rename: a program that is killed in between leaves a line without a submission at worst,
    never a submission without a line. One file replaces what was there; a folder has to be new.

    Args:
        out: the file or folder.
        files: content by name.
        record: JSON values.

    Raises:
        WriteError: something cannot be written; nothing has appeared then.
    """
    draft = out.with_name(f".{out.name}.{os.getpid()}.draft")
    try:
        _write(draft, files, out)
        append(out.with_name(LEDGER), record)
        try:
            if ONLY not in files and os.path.lexists(out):
                raise WriteError(f"{out}: is there already, expected a new folder")
            draft.replace(out)
        except OSError as error:
            raise WriteError(f"{out}: cannot write: {error.strerror}") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        shutil.rmtree(draft, ignore_errors=True)


def _write(draft: Path, files: Mapping[str, bytes], out: Path) -> None:
    try:
        if ONLY in files:
            write_bytes(draft, files[ONLY])
        else:
            write_folder(draft, files)
    except WriteError as error:
        raise WriteError(str(error).replace(str(draft), str(out))) from None


def append(ledger: Path, record: Mapping[str, Any]) -> None:
    """Adds a line in one write, under a lock: programs that run at once wait for each other.

    Raises:
        WriteError: it cannot be written.
    """
    line = (json.dumps(record) + "\n").encode()
    try:
        file = os.open(ledger, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            with suppress(OSError):  # a file system without locks: a blank line at worst
                fcntl.lockf(file, fcntl.LOCK_EX)  # a line being written looks cut short
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":  # a line that was cut short
                line = b"\n" + line
            if os.write(file, line) != len(line):
                raise WriteError(f"{ledger}: cannot write: the line was cut short")
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise WriteError(f"{ledger}: cannot write: {error.strerror}") from None
