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

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from finetune.data import csv_files
from finetune.data.annotations import AnnotationError, Annotations
from finetune.data.challenge_files import listed_images
from finetune.data.columns import WHOLE, check_split, image_name, make_targets, shown, whole_numbers
from finetune.data.csv_files import Table
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
    if kind not in _READERS:
        expected = f"one of .txt {' '.join(_READERS)}"
        raise AnnotationError(file, None, f"a {kind} file" if kind else "no ending", expected)
    table = _READERS[kind](file)
    if not table.lines:
        raise AnnotationError(file, None, "a header alone", "a row an image")
    cells = zip(table.lines, table.columns[_IMAGE], strict=True)
    images = [image_name(file, line, cell) for line, cell in cells]
    videos = _complete(table, _VIDEO)
    return Annotations(images, make_targets(len(images)), videos, _frames(table))


def _complete(table: Table, name: str) -> list[str] | None:
    """A column that every row has; None: that none has."""
    cells = table.columns.get(name, [])
    if not any(cells):
        return None
    if not all(cells):
        line = table.lines[cells.index("")]
        raise AnnotationError(table.file, line, "is empty", "one in every row or in none", name)
    return cells


def _frames(table: Table) -> Integers | None:
    cells = _complete(table, _FRAME)
    if cells is None:
        return None
    frames = whole_numbers(table.file, table.lines, cells, _FRAME)
    if frames.min() < 0:
        row = int(frames.argmin())
        raise AnnotationError(table.file, table.lines[row], shown(cells[row]), "0 or more", _FRAME)
    return frames


def _csv(file: Path) -> Table:
    return csv_files.read_table(file, _known(file, csv_files.read_header(file)))


def _parquet(file: Path) -> Table:
    import pyarrow.parquet

    try:
        with open(file, "rb") as stream:  # its own errors say where in Arrow they come from
            content = pyarrow.parquet.ParquetFile(stream)
            names = _known(file, content.schema_arrow.names)
            table = content.read(names)
        columns = {name: table.column(name).to_pylist() for name in names}
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())
        raise AnnotationError(file, None, reason, "a Parquet file") from None
    cells = {name: _as_text(file, name, column) for name, column in columns.items()}
    return Table(file, range(1, table.num_rows + 1), cells)


def _as_text(file: Path, name: str, column: Sequence[object]) -> list[str]:
    """The cells as a CSV file would have them."""
    kinds = (str,) if name == _IMAGE else (str, int, float)
    for line, cell in enumerate(column, start=1):
        if cell is not None and not isinstance(cell, kinds):
            expected = "text" if name == _IMAGE else "text or a number"
            raise AnnotationError(file, line, shown(repr(cell)), expected, name)
    return ["" if cell is None else str(cell).strip() for cell in column]


_READERS: Mapping[str, Callable[[Path], Table]] = {".csv": _csv, ".parquet": _parquet}


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
