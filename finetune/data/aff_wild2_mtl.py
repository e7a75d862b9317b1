"""s-Aff-Wild2, the multi-task challenge: valence, arousal, expression and action units of a frame.

::

    cropped_aligned/<video>/<frame>.jpg       112 x 112 faces; frames are sparse: 00001, 00003, ...
    training_set_annotations.txt              image,valence,arousal,expression,aus
                                              426/00001.jpg,0.00,0.05,0,0,0,1,0,0,0,0,0,0,0,1,0
    validation_set_annotations.txt            likewise
    MTL_Challenge_test_set_release.txt        the images to predict, see `listed_images`
    test_data/cropped_aligned/<video>/...     some copies: testset/cropped_aligned

The header has 5 names and a row 16 cells, the last 12 of which are the action units. Missing are
-5 (valence, arousal) and -1 (expression, action units).

Source: the organisers' description of the challenge (ABAW4 in 2022, ABAW7 and ABAW11 use the same
files).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from finetune.data.annotations import (
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
from finetune.data.columns import check_split, make_targets, placed, real_numbers, whole_numbers
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

_FILES = {
    "train": "training_set_annotations.txt",
    "validation": "validation_set_annotations.txt",
    "test": "MTL_Challenge_test_set_release.txt",
}
SPLITS = tuple(_FILES)

#: Folders below the root that may hold the listed images; no two splits share a video.
IMAGE_ROOTS = (
    *("cropped_aligned", "test_data/cropped_aligned", "testset/cropped_aligned"),
    *("test_data", "testset", "."),
)

_EXPRESSIONS = EXPRESSION_SPACES["aff_wild2_8"]
_ACTION_UNITS = ACTION_UNIT_SPACES["aff_wild2_12"]

_EXPRESSION = "expression"
_HEADER = ("image", *VALENCE_AROUSAL, _EXPRESSION, "aus")
_LABELS = (*VALENCE_AROUSAL, _EXPRESSION, *_ACTION_UNITS.names)


def read(root: Path, split: str) -> Annotations:
    """The images of a split in the order of its file, with the video and the frame of each.

    Args:
        root: folder of the files above.
        split: one of :data:`SPLITS`; in ``test`` every label is missing.

    Raises:
        AnnotationError: a file that is missing or is not as described, by line and column.
    """
    check_split(root, split, SPLITS)
    file = root / _FILES[split]
    if split == "test":
        images, lines = listed_images(file)
        targets = make_targets(
            len(images), expression_space=_EXPRESSIONS, action_unit_space=_ACTION_UNITS
        )
    else:
        header, *rows = content_lines(file, f"the header {','.join(_HEADER)} and a line an image")
        check_header(file, header, _HEADER)
        if not rows:
            raise AnnotationError(file, None, "a header alone", "a line an image")
        lines = range(2, 2 + len(rows))
        names, *labels = split_cells(file, lines, rows, ("image", *_LABELS))
        images = [name.rstrip() for name in names]
        targets = _targets(file, lines, dict(zip(_LABELS, labels, strict=True)))
    videos, frames = video_frames(file, lines, images)
    return Annotations(images, targets, videos, frames)


def _targets(file: Path, lines: range, cells: Mapping[str, Sequence[str]]) -> Targets:
    affect = [real_numbers(file, lines, cells[name], name) for name in VALENCE_AROUSAL]
    expressions = whole_numbers(file, lines, cells[_EXPRESSION], _EXPRESSION)
    units = [whole_numbers(file, lines, cells[name], name) for name in _ACTION_UNITS.names]
    with placed(file, lines):
        return make_targets(
            len(lines),
            valence_arousal=valence_arousal_from_codes(
                np.column_stack(affect), missing=AFF_WILD2.valence_arousal
            ),
            expression=expression_from_codes(
                expressions, _EXPRESSIONS, missing=AFF_WILD2.expression
            ),
            action_units=action_units_from_codes(
                np.column_stack(units), _ACTION_UNITS, missing=AFF_WILD2.action_units
            ),
            expression_space=_EXPRESSIONS,
            action_unit_space=_ACTION_UNITS,
        )
