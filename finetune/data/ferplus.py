"""FER+: the faces of FER2013, each with the answers of ten raters.

::

    fer2013new.csv
    FER2013Train/fer0000000.png     as the tool that comes with the collection writes them;
    FER2013Valid/..., FER2013Test/...    one folder a split

    Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF
    Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0

A row without an image name is a picture that was taken out, and is no row here.

The rule: the label is the answer with the most votes. It is missing where two or more answers share
the most, or where ``unknown`` or ``NF`` (no face) has the most. Where it is not missing,
``expression_votes`` are the votes for the eight expressions as shares of these; elsewhere they are
zero, as is every value of a missing label.

Source: Barsoum, Zhang, Canton Ferrer, Zhang, "Training Deep Networks for Facial Expression
Recognition with Crowd-Sourced Label Distribution", ICMI 2016, and the collection's own file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from finetune.data.annotations import AbsentError, AnnotationError, Annotations
from finetune.data.columns import (
    check_split,
    image_name,
    make_targets,
    placed,
    shown,
    whole_numbers,
)
from finetune.data.csv_files import read_table
from finetune.labels import EXPRESSION_SPACES, NO_EXPRESSION, Integers, expression_from_codes

_USAGES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
_FOLDERS = {"train": "FER2013Train", "validation": "FER2013Valid", "test": "FER2013Test"}
SPLITS = tuple(_USAGES)

#: Folders below the root that may hold the images.
IMAGE_ROOTS = (".",)

_SPACE = EXPRESSION_SPACES["ferplus_8"]
_ANSWERS = (*(name.lower() for name in _SPACE.classes), "unknown", "NF")
_RATERS = 10


def read(root: Path, split: str) -> Annotations:
    """The images of a split with labels and votes in the space ``ferplus_8``.

    Args:
        root: with the list and the folders of images.
        split: one of :data:`SPLITS`.

    Raises:
        AnnotationError: the list is not as above, in any split.
    """
    check_split(root, split, SPLITS)
    file = root / "fer2013new.csv"
    table = read_table(file, ("Usage", "Image name", *_ANSWERS))
    votes = np.stack([_votes(file, table.lines, table.columns[name], name) for name in _ANSWERS], 1)
    rows, images = [], []
    named = zip(table.lines, table.columns["Usage"], table.columns["Image name"], strict=True)
    for row, (line, usage, name) in enumerate(named):
        if usage not in _USAGES.values():
            expected = f"one of {', '.join(_USAGES.values())}"
            raise AnnotationError(file, line, shown(usage), expected, "Usage")
        if name and usage == _USAGES[split]:
            rows.append(row)
            images.append(f"{_FOLDERS[split]}/{image_name(file, line, name, 'Image name')}")
    if not rows:
        raise AbsentError(file, None, "no image", f"some of Usage {_USAGES[split]}")
    votes = votes[rows]
    with placed(file, [table.lines[row] for row in rows]):
        labels, valid = expression_from_codes(_majority(votes), _SPACE, missing=(NO_EXPRESSION,))
    shares = np.where(valid[:, None], votes[:, : len(_SPACE)], 0).astype(np.float64)
    shares[valid] /= shares[valid].sum(1, keepdims=True)
    return Annotations(
        images,
        make_targets(
            len(rows),
            expression=(labels, valid),
            expression_space=_SPACE,
            expression_votes=shares,
        ),
    )


def _votes(file: Path, lines: Sequence[int], cells: Sequence[str], name: str) -> Integers:
    counts = whole_numbers(file, lines, cells, name)
    bad = (counts < 0) | (counts > _RATERS)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise AnnotationError(file, lines[row], shown(cells[row]), f"0 to {_RATERS} votes", name)
    return counts


def _majority(votes: Integers) -> Integers:
    """The class with the most votes [n]; none where two share them, or it is no expression."""
    most = votes.max(1)
    alone = (votes == most[:, None]).sum(1) == 1
    first = votes.argmax(1)
    return np.where(alone & (first < len(_SPACE)), first, NO_EXPRESSION)
