"""FER2013: the list with its pixels, or a folder of images per class.

The list; a row's picture is its 48 x 48 grey values, so that an image is named by its usage and by
the number of its row, from 0. Whoever unpacks the list has to write the pictures by these names
(assumed; the collection itself names none)::

    fer2013.csv                      Training/00000.png, PublicTest/28709.png, PrivateTest/...

    emotion,pixels,Usage
    0,70 80 82 72 ...,Training

Folders; a class is known by its folder's name, never by the folder's place among the others. Images
come in the order of their paths::

    train/angry/<file>.jpg           angry disgust fear happy neutral sad surprise, or as in the
    test/angry/<file>.jpg            paper: anger, happiness, sadness; in any case

Source: Goodfellow et al., "Challenges in Representation Learning", ICONIP 2013, and the
files of the collection.
"""

from __future__ import annotations

import os
from pathlib import Path

from finetune.data.annotations import AbsentError, AnnotationError, Annotations
from finetune.data.columns import (
    check_split,
    entries,
    find_one,
    make_targets,
    placed,
    shown,
    whole_numbers,
)
from finetune.data.csv_files import table_rows
from finetune.labels import EXPRESSION_SPACES, LabelError, expression_from_codes
from pretrain.data.images import SUFFIXES

_USAGES = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}
SPLITS = tuple(_USAGES)

#: Folders below the root that may hold the images.
IMAGE_ROOTS = (".",)

_LIST = "fer2013.csv"
_SPACE = EXPRESSION_SPACES["fer2013_7"]
_PIXELS = 48 * 48

#: Folders that are called by the adjective.
_ADJECTIVES = {"angry": "anger", "happy": "happiness", "sad": "sadness"}


def read(root: Path, split: str) -> Annotations:
    """The images of a split and their expressions, in the space ``fer2013_7``.

    Args:
        root: with the list, or with a folder a split.
        split: one of :data:`SPLITS`; some copies with folders have no validation split.

    Raises:
        AnnotationError: the files are not as above.
    """
    check_split(root, split, SPLITS)
    place = find_one(root, (_LIST, split))
    return _read_list(place, split) if place.name == _LIST else _read_folders(root, split)


def _read_list(file: Path, split: str) -> Annotations:
    lines, codes, usages = [], [], []
    for line, (code, pixels, usage) in table_rows(file, ("emotion", "pixels", "Usage")):
        count = pixels.count(" ") + 1
        if count != _PIXELS:
            raise AnnotationError(file, line, f"{count} values", f"{_PIXELS}", "pixels")
        if usage not in _USAGES.values():
            expected = f"one of {', '.join(_USAGES.values())}"
            raise AnnotationError(file, line, shown(usage), expected, "Usage")
        lines.append(line)
        codes.append(code)
        usages.append(usage)
    rows = [row for row, usage in enumerate(usages) if usage == _USAGES[split]]
    if not rows:
        raise AbsentError(file, None, "no image", f"some of Usage {_USAGES[split]}")
    numbers = whole_numbers(file, lines, codes, "emotion")
    with placed(file, lines):
        values, valid = expression_from_codes(numbers, _SPACE, missing=())
    return Annotations(
        [f"{_USAGES[split]}/{row:05d}.png" for row in rows],
        make_targets(len(rows), expression=(values[rows], valid[rows]), expression_space=_SPACE),
    )


def _read_folders(root: Path, split: str) -> Annotations:
    images: list[str] = []
    codes: list[int] = []
    seen: dict[int, str] = {}
    expected = f"a folder for each of {', '.join(_SPACE.classes)}"
    for folder in entries(root / split, expected):
        name = _ADJECTIVES.get(folder.lower(), folder)
        try:
            index = _SPACE.index(name)
        except LabelError as error:
            raise AnnotationError(root / split, None, shown(folder), error.expected) from None
        if index in seen:
            got = f"{seen[index]} and {folder}"
            raise AnnotationError(root / split, None, got, "one folder a class")
        seen[index] = folder
        for file in entries(root / split / folder, "a folder of images"):
            if os.path.splitext(file)[1].lower() in SUFFIXES:
                images.append(f"{split}/{folder}/{file}")
                codes.append(index)
    absent = [name for index, name in enumerate(_SPACE.classes) if index not in seen]
    if absent:
        raise AnnotationError(root / split, None, f"no folder for {', '.join(absent)}", expected)
    if not images:
        raise AnnotationError(root / split, None, "no images", "images in the folders")
    expression = expression_from_codes(codes, _SPACE, missing=())
    return Annotations(
        images, make_targets(len(images), expression=expression, expression_space=_SPACE)
    )
