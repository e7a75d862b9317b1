"""Images without labels: those that a file lists, in its order, duplicates kept.

::

    frames.txt                  frames.csv                 or frames.parquet
        v1/00001.jpg                image,video,frame
        v1/00002.jpg                v1/00001.jpg,v1,1
                                    v1/00002.jpg,v1,2

A text has a path a line, and may be a list that a challenge released: a header of one word, and
what follows a comma, are not looked at. A table has a column ``image`` and may have ``video`` (any
text) and ``frame`` (a whole number), in every row or in none; its other columns are left alone,
labels too. Paths are relative to the root. A listed image may be absent. There are no splits.

Source: our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finetune.data.annotations import AnnotationError, Annotations
from finetune.data.challenge_files import listed_images
from finetune.data.columns import WHOLE, check_split, image_name, make_targets, shown, whole_numbers
from finetune.data.csv_files import Table
from finetune.data.table_files import (
    complete_column,
    read_csv,
    read_parquet,
)
from finetune.labels import Integers

SPLITS = (WHOLE,)

#: The folder that the images are relative to.
IMAGE_ROOTS = (".",)

_IMAGE, _VIDEO, _FRAME = _COLUMNS = ("image", "video", "frame")


def read(root: Path, split: str, file: Path) -> Annotations:
    """The listed images; every label is missing.

    Args:
        root: folder of the images.
        split: the one of :data:`SPLITS`.
        file: the list, ending in .txt, .csv or .parquet.

    Raises:
        AnnotationError: it cannot be read or understood, by line and column.
    """
    check_split(root, split, SPLITS)
    kind = file.suffix.lower()
    if kind == ".txt":
        images, _ = listed_images(file)
        return Annotations(images, make_targets(len(images)))
    if kind not in (".csv", ".parquet"):
        got = f"a {kind} file" if kind else "no ending"
        raise AnnotationError(file, None, got, "one of .txt .csv .parquet")
    table = read_csv(file, _known) if kind == ".csv" else read_parquet(file, _known, {_IMAGE})
    if not table.lines:
        raise AnnotationError(file, None, "a header alone", "a row an image")
    cells = zip(table.lines, table.columns[_IMAGE], strict=True)
    images = [image_name(file, line, cell) for line, cell in cells]
    videos, frames = complete_column(table, _VIDEO), _frames(table)
    return Annotations(images, make_targets(len(images)), videos, frames)


def _frames(table: Table) -> Integers | None:
    cells = complete_column(table, _FRAME)
    if cells is None:
        return None
    frames = whole_numbers(table.file, table.lines, cells, _FRAME)
    if frames.min() < 0:
        row = int(frames.argmin())
        raise AnnotationError(table.file, table.lines[row], shown(cells[row]), "0 or more", _FRAME)
    return frames


def _known(file: Path, header: Sequence[str]) -> list[str]:
    """The columns that mean something; one that nearly does is refused."""
    for name in header:
        if name not in _COLUMNS and (low := name.strip().lower()) in _COLUMNS:
            raise AnnotationError(file, 1, f"column {shown(name)}", f"it called {low}")
    for name in _COLUMNS:
        if header.count(name) > 1:
            raise AnnotationError(file, 1, f"column {name} twice", "it once")
    if _IMAGE not in header:
        got = shown(", ".join(header))
        raise AnnotationError(file, 1, f"the columns {got}", f"one called {_IMAGE}")
    return [name for name in _COLUMNS if name in header]
