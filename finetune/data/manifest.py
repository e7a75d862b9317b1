"""The door for any data: a table of images and of what is known of them, one file a split.

::

    train.csv                  or train.parquet; validation and test likewise
        image,valence,arousal,expression,AU1,AU12,subject,video,frame
        a/00001.jpg,0.25,-0.1,Happiness,0,1,s1,a,1
        b.jpg,,,Neutral,,,s2,b,1

``image`` is a path relative to the root; every other column may be missing: ``valence`` and
``arousal`` in [-1, 1], ``expression`` a name in any case, ``AU1`` ... ``AU45`` 0 or 1, ``subject``
and ``video`` any text, ``frame`` a whole number. An empty cell is a missing label; ``subject``,
``video`` and ``frame`` are known of every image or of none. Further columns are left alone, unless
one is a known name misspelt: ``Valence``, ``AU01``.

Stage one reads the same files. Source: our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from finetune.data.annotations import AnnotationError, Annotations
from finetune.data.columns import (
    check_split,
    find_one,
    image_name,
    make_targets,
    placed,
    real_numbers,
    shown,
    whole_numbers,
)
from finetune.data.csv_files import Table
from finetune.data.table_files import (
    complete_column,
    read_csv,
    read_parquet,
)
from finetune.labels import (
    EXPRESSIONS,
    VALENCE_AROUSAL,
    ActionUnitSpace,
    ExpressionSpace,
    Integers,
    LabelError,
    Mask,
    action_unit_space,
    action_units_from_codes,
    valence_arousal_from_codes,
)

SPLITS = ("train", "validation", "test")

#: The folder that the images are relative to.
IMAGE_ROOTS = (".",)

_IMAGE, _EXPRESSION, _FRAME = "image", "expression", "frame"
_UNITS = tuple(f"AU{unit}" for unit in range(1, 46))
_COLUMNS = (_IMAGE, *VALENCE_AROUSAL, _EXPRESSION, *_UNITS, "subject", "video", _FRAME)

Number = TypeVar("Number", np.float64, np.int64)

_KINDS = (".csv", ".parquet")

#: Lies beside a table of faces that a generator drew (:mod:`finetune.data.generated`).
GENERATOR = "generator.json"
_EVERY = ExpressionSpace("every expression", EXPRESSIONS)


def read(root: Path, split: str) -> Annotations:
    """The table of a split in its own label spaces; see :func:`read_table`.

    Args:
        root: folder of the tables and the images.
        split: one of :data:`SPLITS`.

    Raises:
        AnnotationError: as for :func:`read_table`.
    """
    check_split(root, split, SPLITS)
    if (root / GENERATOR).exists():  # else what the generator has seen would be forgotten
        raise AnnotationError(root, None, "faces that a generator drew", "data.kind generated")
    return read_table(find_one(root, [f"{split}{kind}" for kind in _KINDS]))


def read_table(
    file: Path,
    expressions: ExpressionSpace | None = None,
    action_units: ActionUnitSpace | None = None,
) -> Annotations:
    """Images and labels of one table, in its order.

    Args:
        file: ending in .csv or .parquet.
        expressions: that its names are of; None: those that occur, in the order of
            :data:`~finetune.labels.EXPRESSIONS` (all of them where none occurs).
        action_units: that its columns are of; None: those that it has, ascending (those of
            Aff-Wild2 where it has none, and nothing is known of them).

    Raises:
        AnnotationError: it cannot be read or understood, by line and column.
    """
    kind = file.suffix.lower()
    if kind not in _KINDS:
        raise AnnotationError(file, None, f"a {kind} file", f"one of {' '.join(_KINDS)}")
    texts = (_IMAGE, _EXPRESSION)
    table = read_csv(file, _known) if kind == ".csv" else read_parquet(file, _known, texts)
    count = len(table.lines)
    if not count:
        raise AnnotationError(file, None, "a header alone", "a line an image")
    expression_space, expression = _expressions(table, expressions)
    units = _unit_space(table, action_units)
    affect, affect_valid = _columns(table, VALENCE_AROUSAL, real_numbers)
    present, present_valid = _columns(table, units.names, whole_numbers)
    with placed(file, table.lines):
        affect, _ = valence_arousal_from_codes(affect, missing=())
        present, _ = action_units_from_codes(present, units, missing=())
    targets = make_targets(
        count,
        valence_arousal=(affect, affect_valid),
        expression=expression,
        action_units=(present, present_valid),
        expression_space=expression_space,
        action_unit_space=units,
    )
    images = [
        _image(file, line, cell)
        for line, cell in zip(table.lines, table.columns[_IMAGE], strict=True)
    ]
    return Annotations(
        images,
        targets,
        complete_column(table, "video"),
        _frames(table),
        complete_column(table, "subject"),
    )


def _columns(
    table: Table, names: Sequence[str], numbers: Callable[..., NDArray[Number]]
) -> tuple[NDArray[Number], Mask]:
    """Numbers and where there are any, side by side."""
    values, given = [], []
    for name in names:
        cells = table.columns.get(name, [""] * len(table.lines))
        filled = [cell or "0" for cell in cells]
        values.append(numbers(table.file, table.lines, filled, name))
        given.append([bool(cell) for cell in cells])
    return np.column_stack(values), np.column_stack(given)


def _expressions(
    table: Table, space: ExpressionSpace | None
) -> tuple[ExpressionSpace, tuple[Integers, Mask]]:
    cells = table.columns.get(_EXPRESSION, [""] * len(table.lines))
    among = space or _EVERY
    codes: dict[str, int] = {}
    for line, cell in zip(table.lines, cells, strict=True):
        if cell and cell not in codes:
            try:
                codes[cell] = among.index(cell)
            except LabelError as error:
                where = (table.file, line, shown(cell))
                raise AnnotationError(*where, error.expected, _EXPRESSION) from None
    if space is None and codes:
        names = tuple(name for code, name in enumerate(EXPRESSIONS) if code in codes.values())
        space = ExpressionSpace(",".join(names), names)
        codes = {cell: space.index(cell) for cell in codes}
    values = np.array([codes.get(cell, 0) for cell in cells], np.int64)
    return space or _EVERY, (values, np.array([bool(cell) for cell in cells]))


def _unit_space(table: Table, space: ActionUnitSpace | None) -> ActionUnitSpace:
    names = [name for name in _UNITS if name in table.columns]
    if space is None:
        return action_unit_space(",".join(names) or "aff_wild2_12")
    for name in names:
        if name not in space.names:
            raise AnnotationError(table.file, 1, f"column {name}", f"of {', '.join(space.names)}")
    return space


def _frames(table: Table) -> Integers | None:
    cells = complete_column(table, _FRAME)
    if cells is None:
        return None
    frames = whole_numbers(table.file, table.lines, cells, _FRAME)
    if frames.min() < 0:
        row = int(frames.argmin())
        raise AnnotationError(table.file, table.lines[row], cells[row], "0 or more", _FRAME)
    return frames


def _image(file: Path, line: int, cell: str) -> str:
    """The path with "/" alone between its parts, as stage one calls the image."""
    name = str(PurePosixPath(image_name(file, line, cell)))
    if name == ".":
        raise AnnotationError(file, line, shown(cell), "the path of an image", _IMAGE)
    return name


def _known(file: Path, header: Sequence[str]) -> list[str]:
    """The columns that mean something.

    Raises:
        AnnotationError: one is there twice, is misspelt, or there are no images.
    """
    for name in header:
        if name not in _COLUMNS and (meant := _meant(name)) is not None:
            raise AnnotationError(file, 1, f"column {shown(name)}", f"it called {meant}")
    known = [name for name in header if name in _COLUMNS]
    for name in known:
        if known.count(name) > 1:
            raise AnnotationError(file, 1, f"column {name} twice", "it once")
    if _IMAGE not in known:
        got = shown(", ".join(header))
        raise AnnotationError(file, 1, f"the columns {got}", f"one called {_IMAGE}")
    return known


def _meant(name: str) -> str | None:
    """The column that a name is a misspelling of."""
    plain = "".join(character for character in name.lower() if character.isalnum())
    unit = re.fullmatch(r"au([0-9]{1,9})", plain)
    if unit:
        name = f"AU{int(unit[1])}"
        return name if name in _UNITS else f"{_UNITS[0]} to {_UNITS[-1]}"
    return next((column for column in _COLUMNS if column.lower() == plain), None)
