"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pretrain.errors import UserError

#: Endings of what programs write about a collection, perhaps into its folder.
_RESULTS = (".json", ".html")


class WriteError(UserError):
    """A file that cannot be written."""


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; makes its folder. A link is followed.

    Raises:
        WriteError: it cannot be written, or is a device, a pipe, a folder.
    """
    place = Path(os.path.realpath(path))
    if os.path.exists(place) and not os.path.isfile(place):
        raise WriteError(f"{path}: is no regular file, expected a file to write")
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        draft.replace(place)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise WriteError(f"{path}: cannot write: {error.strerror}") from None


def make_folder(out: str) -> Path:
    """Makes the folder for results: after minutes of work it would be too late to refuse it.

    Raises:
        WriteError: it cannot be made.
    """
    folder = Path(os.path.expanduser(out))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"out {folder}: {error.strerror}, expected a folder") from None
    return folder


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder that appears whole or not at all, for what is too much to hold in memory.

    Args:
        path: absolute; a folder that is there is empty.

    Yields:
        A folder beside it, to be filled. It takes the place of ``path`` in the end, and goes where
        the filling fails. One that a killed process has left is removed by the next.

    Raises:
        WriteError: it cannot be made, or something else came to be in its place.
    """
    draft = path.with_name(f".{path.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    make_folder(str(draft))
    try:
        yield draft
        try:
            with suppress(FileNotFoundError):
                path.rmdir()
            draft.rename(path)
        except OSError as error:
            raise WriteError(f"{path}: {error.strerror}, expected a new folder") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def check_out(out: Path, read: Iterable[Path], below: Path | None = None) -> None:
    """Refuses a place for a result, before the work that it would be the result of.

    Args:
        out: the file to write.
        read: files that are read, which it must not replace.
        below: a folder of files that are read; new files in it are fine.

    Raises:
        WriteError: it would replace one of them, or cannot be written.
    """
    place = Path(os.path.realpath(out))
    if any(Path(os.path.realpath(file)) == place for file in read):
        raise WriteError(f"{out}: is read as well, expected another file")
    if os.path.exists(place):  # Path.exists raises for a name that is too long
        if not os.path.isfile(place):
            raise WriteError(f"{out}: is no regular file, expected a file to write")
        result = place.suffix.lower() in _RESULTS  # of an earlier time, and no label file
        if below is not None and not result and place.is_relative_to(os.path.realpath(below)):
            raise WriteError(f"{out}: is a file of the collection, expected another place")
    above = next(folder for folder in place.parents if os.path.lexists(folder))
    if not os.path.isdir(above):
        raise WriteError(f"{out}: {above} is no folder, expected one")
    if not os.access(above, os.W_OK | os.X_OK):
        raise WriteError(f"{out}: {above} may not be written into, expected a folder that may")


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
