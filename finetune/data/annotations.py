"""What every reader gives: images in the order of their list, and what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune.data.groups import groups_of, keys_of
from finetune.labels import LabelError, Targets
from pretrain.errors import UserError


class AnnotationError(UserError):
    """A label file that is not as its format says."""

    def __init__(
        self, file: Path, line: int | None, got: str, expected: str, column: str = ""
    ) -> None:
        place = f"{file}" if line is None else f"{file}:{line}"
        self.file, self.line, self.column = file, line, column
        what = f"{column} {got}" if column else got
        printable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in f"{place}: {what}")
        super().__init__(f"{printable}, expected {expected}")


class AbsentError(AnnotationError):
    """Label files of a split that are not there at all; those of another split may be."""


@dataclass(frozen=True)
class Annotations:
    """Images and their labels.

    Attributes:
        images: paths relative to the root, with "/", in the order of the list, duplicates kept.
        targets: labels, in the label spaces of the collection.
        videos: the video of each image; None: a collection of stills.
        frames: number of each image in its video, [n]; None: a collection of stills.
        subjects: who each image shows; None: unknown.
    """

    images: Sequence[str]
    targets: Targets
    videos: Sequence[str] | None = None
    frames: NDArray[np.int64] | None = None
    subjects: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Refuses columns that do not belong together: our own fault, not a user's."""
        for column in (self.targets, self.videos, self.frames, self.subjects):
            assert column is None or len(column) == len(self.images)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def groups(self) -> list[str]:
        """What must not be torn apart, by row: see :func:`~finetune.data.groups.groups_of`."""
        return groups_of(self.images, self.videos, self.subjects)

    @property
    def recordings(self) -> list[str]:
        """The recording of each row, or the image itself where there are no videos."""
        return groups_of(self.images, self.videos)

    @property
    def grouped_by(self) -> str:
        """What :attr:`groups` are: recordings, subjects or images."""
        if self.subjects is not None:
            return "subjects"
        return "images" if self.videos is None else "recordings"

    @property
    def keys(self) -> set[str]:
        """By what others may know the groups: see :func:`~finetune.data.groups.keys_of`."""
        return keys_of(self.images, self.videos, self.subjects)

    def select(self, rows: NDArray[np.int64]) -> Annotations:
        """Some rows, in this order."""
        at = rows.tolist()
        return Annotations(
            [self.images[row] for row in at],
            self.targets.select(rows),
            None if self.videos is None else [self.videos[row] for row in at],
            None if self.frames is None else self.frames[rows],
            None if self.subjects is None else [self.subjects[row] for row in at],
        )


def read_lines(file: Path, expected: str) -> list[str]:
    """The lines of a text file without their ends; a BOM, CRLF and a missing last end are fine.

    Args:
        file: UTF-8.
        expected: what the file should be, for errors.

    Raises:
        AbsentError: it is not there.
        AnnotationError: it cannot be read, or is not UTF-8.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise unreadable(file, error, expected) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        got = f"byte 0x{content[error.start]:02x}"
        raise AnnotationError(file, line, got, f"{expected} in UTF-8") from None
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def content_lines(file: Path, expected: str) -> list[str]:
    """The lines of a file without spaces around them and without blank lines at its end.

    Line i of the file is item i - 1: a blank line in between stays, and is refused by who reads it.

    Args:
        file: UTF-8.
        expected: what the file should be, for errors.

    Raises:
        AnnotationError: it cannot be read, or holds nothing.
    """
    lines = [line.strip() for line in read_lines(file, expected)]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise AnnotationError(file, None, "empty", expected)
    return lines


def unreadable(path: Path, error: OSError, expected: str) -> AnnotationError:
    """The error of a file or folder that the system does not open.

    Args:
        path: of it.
        error: what the system says.
        expected: what should be there.
    """
    kind = AbsentError if isinstance(error, FileNotFoundError) else AnnotationError
    return kind(path, None, error.strerror or str(error), expected)


def at_line(file: Path, error: LabelError, lines: Sequence[int]) -> AnnotationError:
    """The error of a label with its place in the file.

    Args:
        file: that was read.
        error: of an array whose rows came from these lines.
        lines: line numbers by row, from 1.
    """
    line = None if error.row is None else lines[error.row]
    return AnnotationError(file, line, f"{error.got}", error.expected, error.column)
