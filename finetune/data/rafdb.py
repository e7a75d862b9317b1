"""RAF-DB, single-label part: one list of both splits.

::

    EmoLabel/list_patition_label.txt       (spelt so; or below basic/, or in the root itself)
    Image/aligned/train_00001_aligned.jpg

    train_00001.jpg 5
    test_0001.jpg 7

The aligned images are named; the start of a name says its split. Codes: 1 Surprise ... 7 Neutral.

Source: Li, Deng, Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression
Recognition in the Wild", CVPR 2017, and the collection's own files.
"""

from __future__ import annotations

import os
from pathlib import Path

from finetune.data.annotations import (
    AbsentError,
    AnnotationError,
    Annotations,
    content_lines,
)
from finetune.data.columns import (
    check_split,
    find_one,
    image_name,
    make_targets,
    placed,
    shown,
    whole_numbers,
)
from finetune.labels import EXPRESSION_SPACES, expression_from_codes

SPLITS = ("train", "test")

#: Folders below the root that may hold the images, the usual one first.
IMAGE_ROOTS = ("Image/aligned", "basic/Image/aligned", "aligned", ".")

_LIST = "list_patition_label.txt"


def read(root: Path, split: str) -> Annotations:
    """The images of a split and their expressions, in the space ``rafdb_7``.

    Args:
        root: with the list and the images.
        split: one of :data:`SPLITS`.

    Raises:
        AnnotationError: the list is not as above, in either split.
    """
    check_split(root, split, SPLITS)
    file = find_one(root, (f"EmoLabel/{_LIST}", f"basic/EmoLabel/{_LIST}", _LIST))
    images, codes, lines = [], [], []
    for line, text in enumerate(content_lines(file, "lines of an image and its class"), start=1):
        cells = text.split()
        if len(cells) != 2:
            raise AnnotationError(file, line, f"{len(cells)} words", "an image and its class")
        name = image_name(file, line, cells[0])
        part = name.split("_")[0]
        if part not in SPLITS:
            raise AnnotationError(
                file, line, shown(name), f"{' or '.join(f'{s}_...' for s in SPLITS)}", "image"
            )
        images.append((part, name))
        codes.append(cells[1])
        lines.append(line)
    if not any(part == split for part, _ in images):
        raise AbsentError(file, None, f"no image of {split}", f"names {split}_...")
    space = EXPRESSION_SPACES["rafdb_7"]
    numbers = whole_numbers(file, lines, codes, "expression")
    with placed(file, lines):
        values, valid = expression_from_codes(numbers, space, missing=(), first=1)
    rows = [row for row, (part, _) in enumerate(images) if part == split]
    return Annotations(
        [aligned(images[row][1]) for row in rows],
        make_targets(len(rows), expression=(values[rows], valid[rows]), expression_space=space),
    )


def aligned(name: str) -> str:
    """The file of the aligned face: ``train_00001_aligned.jpg`` for ``train_00001.jpg``."""
    stem, ending = os.path.splitext(name)
    return f"{stem}_aligned{ending}"
