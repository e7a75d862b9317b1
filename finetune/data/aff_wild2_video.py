"""Aff-Wild2, the video-wise tracks: valence-arousal, expressions or action units of every frame.

::

    VA_Estimation_Challenge/Train_Set/<video>.txt        valence,arousal
                                                         0.12,-0.05
    VA_Estimation_Challenge/Validation_Set/<video>.txt   likewise
    EXPR_Classification_Challenge/...                    Neutral,Anger, ... (the eight names)
    (later EXPR_Recognition_Challenge/...)               4
    AU_Detection_Challenge/...                           AU1,AU2, ... (the twelve)
                                                         0,1,0,0,0,0,1,0,0,0,1,0
    CVPR_6th_ABAW_VA_test_set_sample.txt                 the images to predict, see `listed_images`
    cropped_aligned/<video>/00001.jpg                    faces
    cropped_aligned_new_50_vids/<video>/00001.jpg        further ones

Line 0 is the header and line i frame i, whose face may be absent. A video of two persons has two
files and two folders of faces, ``<video>_left`` and ``<video>_right``. Missing are -5 (valence,
arousal) and -1 (expression, action units).

The list of the test split lies in the root or in the track's folder: its name ends in
``_VA_test_set_sample.txt`` or ``_VA_test_set_example.txt`` (``EXPR`` and ``AU`` likewise, in any
case). The organisers' lists of videos alone (ABAW3) say no frames, and are not read.

Source: the organisers' descriptions of the challenges (ABAW3, 5, 6, 8 and 10) and their files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from finetune.data.annotations import (
    AbsentError,
    AnnotationError,
    Annotations,
    content_lines,
)
from finetune.data.challenge_files import (
    check_header,
    listed_images,
    split_cells,
    video_frames,
)
from finetune.data.columns import (
    check_split,
    entries,
    find_one,
    make_targets,
    placed,
    real_numbers,
    shown,
    whole_numbers,
)
from finetune.labels import (
    ACTION_UNIT_SPACES,
    AFF_WILD2,
    EXPRESSION_SPACES,
    VALENCE_AROUSAL,
    Targets,
    action_units_from_codes,
    expression_from_codes,
    valence_arousal_from_codes,
)

_FOLDERS = {"train": "Train_Set", "validation": "Validation_Set"}
SPLITS = (*_FOLDERS, "test")

#: Folders below the root that may hold the listed images, the usual one first.
IMAGE_ROOTS = ("cropped_aligned", "cropped_aligned_new_50_vids", ".")

_EXPRESSIONS = EXPRESSION_SPACES["aff_wild2_8"]
_ACTION_UNITS = ACTION_UNIT_SPACES["aff_wild2_12"]

_EXPRESSION = "expression"

#: Targets of n images, of which the labels that a track has are given.
_targets = partial(make_targets, expression_space=_EXPRESSIONS, action_unit_space=_ACTION_UNITS)


@dataclass(frozen=True)
class _Track:
    """One kind of label.

    Attributes:
        short: what its lists of test images call it.
        folders: what its folder is called, of which one is there.
        header: of its files.
        columns: what the numbers of a line are.
        targets: makes labels of a file, the lines of its frames and its columns.
    """

    short: str
    folders: tuple[str, ...]
    header: tuple[str, ...]
    columns: tuple[str, ...]
    targets: Callable[[Path, range, Sequence[Sequence[str]]], Targets]


def _valence_arousal(file: Path, lines: range, columns: Sequence[Sequence[str]]) -> Targets:
    values = [
        real_numbers(file, lines, cells, name)
        for name, cells in zip(VALENCE_AROUSAL, columns, strict=True)
    ]
    codes = valence_arousal_from_codes(np.column_stack(values), missing=AFF_WILD2.valence_arousal)
    return _targets(len(lines), valence_arousal=codes)


def _expression(file: Path, lines: range, columns: Sequence[Sequence[str]]) -> Targets:
    values = whole_numbers(file, lines, columns[0], _EXPRESSION)
    codes = expression_from_codes(values, _EXPRESSIONS, missing=AFF_WILD2.expression)
    return _targets(len(lines), expression=codes)


def _action_units(file: Path, lines: range, columns: Sequence[Sequence[str]]) -> Targets:
    values = [
        whole_numbers(file, lines, cells, name)
        for name, cells in zip(_ACTION_UNITS.names, columns, strict=True)
    ]
    codes = action_units_from_codes(
        np.column_stack(values), _ACTION_UNITS, missing=AFF_WILD2.action_units
    )
    return _targets(len(lines), action_units=codes)


_VA = _Track("VA", ("VA_Estimation_Challenge",), VALENCE_AROUSAL, VALENCE_AROUSAL, _valence_arousal)
_EXPR = _Track(
    "EXPR",
    ("EXPR_Classification_Challenge", "EXPR_Recognition_Challenge"),
    _EXPRESSIONS.classes,
    (_EXPRESSION,),
    _expression,
)
_AU = _Track(
    "AU", ("AU_Detection_Challenge",), _ACTION_UNITS.names, _ACTION_UNITS.names, _action_units
)


TRACKS = {track.short: track for track in (_VA, _EXPR, _AU)}


def read(root: Path, split: str, track: str) -> Annotations:
    """One kind of label of every frame, videos by name; the other labels are missing.

    Args:
        root: folder of the files above.
        split: one of :data:`SPLITS`; in ``test`` every label is missing.
        track: one of :data:`TRACKS`.

    Raises:
        AnnotationError: a file that is missing or is not as described, by line and column.
    """
    if track not in TRACKS:
        raise AnnotationError(root, None, shown(track), f"one of {', '.join(TRACKS)}", "track")
    return _read(TRACKS[track], root, split)


def _read(track: _Track, root: Path, split: str) -> Annotations:
    check_split(root, split, SPLITS)
    if split == "test":
        return _read_list(track, root)
    folder = find_one(root, track.folders) / _FOLDERS[split]
    files = _label_files(folder)
    parts = [_read_video(track, file) for file in files]
    images, videos = list[str](), list[str]()
    for file, part in zip(files, parts, strict=True):
        images += (f"{file.stem}/{frame:05d}.jpg" for frame in range(1, len(part) + 1))
        videos += [file.stem] * len(part)
    frames = np.concatenate([np.arange(1, len(part) + 1) for part in parts])
    return Annotations(images, Targets.joined(parts), videos, frames)


def _read_video(track: _Track, file: Path) -> Targets:
    header, *rows = content_lines(file, f"the header {','.join(track.header)} and a line a frame")
    check_header(file, header, track.header)
    if not rows:
        raise AnnotationError(file, None, "a header alone", "a line a frame")
    lines = range(2, 2 + len(rows))
    columns = split_cells(file, lines, rows, track.columns)
    with placed(file, lines):
        return track.targets(file, lines, columns)


def _label_files(folder: Path) -> list[Path]:
    expected = "a folder of <video>.txt"
    names = [name for name in entries(folder, expected) if name.endswith(".txt")]
    if not names:
        raise AnnotationError(folder, None, "no .txt files", expected)
    return [folder / name for name in names]


def _read_list(track: _Track, root: Path) -> Annotations:
    name = re.compile(rf"(?:.*_)?{track.short}_test_set_(?:sample|example)\.txt", re.IGNORECASE)
    expected = f"one list called *_{track.short}_test_set_sample.txt"
    folders = ["", *(folder for folder in track.folders if (root / folder).is_dir())]
    found = [
        root / folder / entry
        for folder in folders
        for entry in entries(root / folder, expected)
        if name.fullmatch(entry)
    ]
    if not found:
        raise AbsentError(root, None, "none", expected)
    if len(found) > 1:
        got = ", ".join(str(file.relative_to(root)) for file in found)
        raise AnnotationError(root, None, got, expected)
    images, lines = listed_images(found[0])
    videos, frames = video_frames(found[0], lines, images)
    return Annotations(images, _targets(len(images)), videos, frames)
