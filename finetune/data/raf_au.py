"""RAF-AU: the action units of stills, in one list.

::

    RAFAU_label.txt
    aligned/0001_aligned.jpg

    0001.jpg 1+4+25
    0002.jpg L12+T23         only on the left (L), the right (R), the top (T) or the bottom (B)
    0003.jpg null            no action unit

An action unit on one side counts as present; one that is not named is absent. ``null`` is read as
an expert's finding that there is none, not as a missing label. Names of the aligned images are
assumed to be made as in RAF-DB. The space has every action unit that the list names, ascending.
There are no splits.

Source: Yan, Li, Deng, Peng, Yang, "RAF-AU Database: In-the-Wild Facial Expressions with Subjective
Emotion Judgement and Objective AU Annotations", ACCV 2020.
"""

from __future__ import annotations

import re
from pathlib import Path

from finetune.data.annotations import AnnotationError, Annotations, content_lines
from finetune.data.columns import WHOLE, check_split, image_name, named_units, shown
from finetune.data.rafdb import aligned

SPLITS = (WHOLE,)

#: Folders below the root that may hold the images, the usual one first.
IMAGE_ROOTS = ("aligned", "Image/aligned", ".")

_NONE = "null"
_UNIT = re.compile(r"[LRTB]?([1-9]\d?)", re.ASCII)


def read(root: Path, split: str) -> Annotations:
    """The images of the list and their action units.

    Args:
        root: with the list and the images.
        split: the one of :data:`SPLITS`.

    Raises:
        AnnotationError: the list is not as above.
    """
    check_split(root, split, SPLITS)
    file = root / "RAFAU_label.txt"
    expected = "an image and its action units"
    images, units = [], []
    for line, text in enumerate(content_lines(file, expected), start=1):
        cells = text.split()
        if len(cells) != 2:
            raise AnnotationError(file, line, f"{len(cells)} words", expected)
        images.append(aligned(image_name(file, line, cells[0])))
        units.append(_units(file, line, cells[1]))
    if not any(units):
        raise AnnotationError(file, None, "no action unit", "some")
    return Annotations(images, named_units(units))


def _units(file: Path, line: int, cell: str) -> set[int]:
    if cell == _NONE:
        return set()
    found = [_UNIT.fullmatch(part) for part in cell.split("+")]
    if None in found:
        expected = f"{_NONE}, or action units as in 1+L12+25"
        raise AnnotationError(file, line, shown(cell), expected, "action units")
    return {int(match[1]) for match in found if match}
