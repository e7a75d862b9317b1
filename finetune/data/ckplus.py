"""CK+: the last frame of each posed sequence, its action units and, for some, its expression.

::

    cohn-kanade-images/S005/001/S005_001_00000011.png
    FACS/S005/001/S005_001_00000011_facs.txt            lines of an action unit and its intensity
    Emotion/S005/001/S005_001_00000011_emotion.txt      one number; many sequences have no file

    9.0000000e+00   4.0000000e+00

Some copies have ``FACS_labels/FACS`` and ``Emotion_labels/Emotion``. Intensity 0 is "present, not
graded": whatever a file lists is present, what it does not list is absent. The space has every
action unit that some file lists, ascending. Expressions: 0 neutral, 1 anger, 2 contempt, 3 disgust,
4 fear, 5 happy, 6 sadness, 7 surprise. Sequences come in the order of their names; there are no
splits.

Source: Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", CVPR Workshops 2010, and the
collection's own description of its files.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from finetune.data.annotations import AnnotationError, Annotations, content_lines
from finetune.data.columns import (
    WHOLE,
    check_split,
    entries,
    find_one,
    named_units,
    shown,
    whole_numbers,
)
from finetune.labels import (
    EXPRESSION_SPACES,
    NO_EXPRESSION,
    Integers,
    LabelError,
    Mask,
    expression_from_codes,
)

SPLITS = (WHOLE,)

#: Folders below the root that may hold the images.
IMAGE_ROOTS = (".",)

_SPACE = EXPRESSION_SPACES["ckplus_8"]

_FACS = ("FACS", "FACS_labels/FACS")
_EMOTION = ("Emotion", "Emotion_labels/Emotion")


def read(root: Path, split: str) -> Annotations:
    """The last frame of every sequence that is FACS coded.

    Args:
        root: with the folders of images, FACS codes and emotions.
        split: the one of :data:`SPLITS`.

    Raises:
        AnnotationError: a file is not as above, or belongs to no sequence.
    """
    check_split(root, split, SPLITS)
    coded = _files(find_one(root, _FACS), "facs")
    emotions = _files(find_one(root, _EMOTION), "emotion")
    for name, file in emotions.items():
        if name not in coded:
            raise AnnotationError(file, None, "no FACS file of this frame", f"{name}_facs.txt")
    units = [_units(file) for file in coded.values()]
    if not units:
        raise AnnotationError(root / _FACS[0], None, "empty", "FACS files")
    values, valid = _expressions([emotions.get(name) for name in coded])
    parts = [name.split("_") for name in coded]
    videos = [f"{subject}/{sequence}" for subject, sequence, _ in parts]
    return Annotations(
        [
            f"cohn-kanade-images/{video}/{name}.png"
            for video, name in zip(videos, coded, strict=True)
        ],
        named_units(units, (values, valid), _SPACE),
        videos=videos,
        frames=np.array([int(frame) for _, _, frame in parts], np.int64),
        subjects=[subject for subject, _, _ in parts],
    )


def _files(root: Path, kind: str) -> dict[str, Path]:
    """The label files by the name of their frame, in its order; a sequence has one at most."""
    found: dict[str, Path] = {}
    for subject in entries(root, "a folder a subject"):
        for sequence in entries(root / subject, "a folder a sequence"):
            folder = root / subject / sequence
            expected = f"one file {subject}_{sequence}_<frame>_{kind}.txt"
            names = entries(folder, expected)
            if len(names) > 1:
                raise AnnotationError(folder, None, f"{len(names)} files", expected)
            for name in names:
                frame = rf"({re.escape(subject)}_{re.escape(sequence)}_\d{{1,18}})_{kind}\.txt"
                match = re.fullmatch(frame, name, re.ASCII)
                if match is None or match[1].count("_") != 2:
                    raise AnnotationError(folder, None, shown(name), expected)
                found[match[1]] = folder / name
    return found


def _units(file: Path) -> set[int]:
    """The action units of a frame."""
    expected = "lines of an action unit and its intensity"
    rows = [line.split() for line in content_lines(file, expected)]
    lines = [line for line, cells in enumerate(rows, start=1) if cells]
    rows = [cells for cells in rows if cells]
    for line, cells in zip(lines, rows, strict=True):
        if len(cells) != 2:
            raise AnnotationError(file, line, f"{len(cells)} numbers", expected)
    units = whole_numbers(file, lines, [cells[0] for cells in rows], "action unit")
    grades = whole_numbers(file, lines, [cells[1] for cells in rows], "intensity")
    for line, unit, grade in zip(lines, units.tolist(), grades.tolist(), strict=True):
        if not 1 <= unit <= 99:
            raise AnnotationError(file, line, f"{unit}", "1 to 99", "action unit")
        if not 0 <= grade <= 5:
            raise AnnotationError(file, line, f"{grade}", "0 to 5", "intensity")
    return set(units.tolist())


def _expressions(files: list[Path | None]) -> tuple[Integers, Mask]:
    codes = [NO_EXPRESSION if file is None else _emotion(file) for file in files]
    return expression_from_codes(codes, _SPACE, missing=(NO_EXPRESSION,))


def _emotion(file: Path) -> int:
    cells = " ".join(content_lines(file, "one number")).split()
    if len(cells) != 1:
        raise AnnotationError(file, None, f"{len(cells)} numbers", "one", "expression")
    codes = whole_numbers(file, [None], cells, "expression")
    try:
        expression_from_codes(codes, _SPACE, missing=())
    except LabelError as error:
        raise AnnotationError(file, None, str(error.got), error.expected, error.column) from None
    return int(codes[0])
