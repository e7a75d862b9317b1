"""DISFA: intensities of twelve action units in every frame of a video for each subject.

::

    ActionUnit_Labels/SN001/SN001_au1.txt         a file an action unit, a line a frame
    ActionUnit_Labels/SN001/SN001_au2.txt ...

    1,0                                           frame, intensity 0 to 5
    2,3

An action unit counts as present from intensity 2. The collection has videos and no images; those of
a subject are assumed to be ``SN001/00001.jpg`` and so on, numbered as its frames are. Subjects come
in the order of their names. There are no splits; who needs folds makes them of ``subjects``.

Source: Mavadati, Mahoor, Bartlett, Trinh, Cohn, "DISFA: A Spontaneous Facial Action Intensity
Database", IEEE TAC 2013, and the collection's own files.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from finetune.data.annotations import AnnotationError, Annotations, content_lines
from finetune.data.challenge_files import split_cells
from finetune.data.columns import WHOLE, check_split, entries, make_targets, shown, whole_numbers
from finetune.labels import ACTION_UNIT_SPACES, Integers, LabelError, Mask, action_units_from_codes

SPLITS = (WHOLE,)

#: Folders below the root that may hold the images, the usual one first.
IMAGE_ROOTS = (".", "cropped_aligned")

_SPACE = ACTION_UNIT_SPACES["disfa_12"]
_SUBJECT = re.compile(r"SN\d{3}", re.ASCII)
_COLUMNS = ("frame", "intensity")


def read(root: Path, split: str) -> Annotations:
    """Every frame of every subject, with the action units of ``disfa_12``.

    Args:
        root: with ``ActionUnit_Labels``.
        split: the one of :data:`SPLITS`.

    Raises:
        AnnotationError: a file is missing or not as above, or two of a subject list other frames.
    """
    check_split(root, split, SPLITS)
    folder = root / "ActionUnit_Labels"
    expected = "folders SN001 and so on"
    subjects = entries(folder, expected)
    if not subjects:
        raise AnnotationError(folder, None, "empty", expected)
    frames, units, valid, who = [], [], [], []
    for subject in subjects:
        if not _SUBJECT.fullmatch(subject):
            raise AnnotationError(folder, None, shown(subject), expected)
        numbers, intensities = _subject(folder / subject)
        present, known = _presence(folder / subject, intensities)
        frames.append(numbers)
        units.append(present)
        valid.append(known)
        who += [subject] * len(numbers)
    every = np.concatenate(frames)
    return Annotations(
        [f"{subject}/{frame:05d}.jpg" for subject, frame in zip(who, every.tolist(), strict=True)],
        make_targets(
            len(who),
            action_units=(np.concatenate(units), np.concatenate(valid)),
            action_unit_space=_SPACE,
        ),
        videos=who,
        frames=every,
        subjects=who,
    )


def _file(folder: Path, unit: str) -> Path:
    return folder / f"{folder.name}_{unit.lower()}.txt"


def _presence(folder: Path, intensities: Integers) -> tuple[Integers, Mask]:
    """Whether each action unit is there [n, A], and which labels are valid: all of them."""
    try:
        return action_units_from_codes(intensities, _SPACE, missing=(), present_from=2, highest=5)
    except LabelError as error:
        row = error.row or 0
        file = _file(folder, error.column)
        got = str(error.got)
        raise AnnotationError(file, row + 1, got, error.expected, _COLUMNS[1]) from None


def _subject(folder: Path) -> tuple[Integers, Integers]:
    """The frames [n] of a subject and intensities [n, A]; row i is line i + 1 of each file."""
    columns: list[Integers] = []
    frames: Integers | None = None
    for unit in _SPACE.names:
        file = _file(folder, unit)
        rows = content_lines(file, "lines of a frame and an intensity")
        lines = range(1, len(rows) + 1)
        found, intensities = (
            whole_numbers(file, lines, [cell.strip() for cell in cells], name)
            for name, cells in zip(_COLUMNS, split_cells(file, lines, rows, _COLUMNS), strict=True)
        )
        if found.min() < 0:
            row = int(found.argmin())
            raise AnnotationError(file, lines[row], f"{found[row]}", "0 or more", _COLUMNS[0])
        if frames is None:
            frames = found
        _check_frames(file, found, frames, _file(folder, _SPACE.names[0]))
        columns.append(intensities)
    assert frames is not None
    return frames, np.stack(columns, axis=1)


def _check_frames(file: Path, got: Integers, wanted: Integers, first: Path) -> None:
    """Refuses a file that lists other frames than the subject's first one."""
    if len(got) != len(wanted):
        raise AnnotationError(file, None, f"{len(got)} lines", f"{len(wanted)} as {first.name} has")
    other = got != wanted
    if other.any():
        row = int(np.flatnonzero(other)[0])
        expected = f"{wanted[row]} as in {first.name}"
        raise AnnotationError(file, row + 1, f"{got[row]}", expected, _COLUMNS[0])
