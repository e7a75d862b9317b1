"""Label files column by column: text to numbers, with the place of every fault.

A column is converted as a whole; only when that fails are its cells looked at one by one, to name
the one that is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from finetune.data.annotations import AbsentError, AnnotationError, at_line, unreadable
from finetune.labels import (
    ACTION_UNIT_SPACES,
    EXPRESSION_SPACES,
    ActionUnitSpace,
    ExpressionSpace,
    Floats,
    Integers,
    LabelError,
    Mask,
    Targets,
)

#: The one split of a collection that was published without any.
WHOLE = "all"

#: Spaces of labels that a collection does not have: nothing in them is ever valid.
_NO_EXPRESSIONS = EXPRESSION_SPACES["aff_wild2_8"]
_NO_ACTION_UNITS = ACTION_UNIT_SPACES["aff_wild2_12"]

#: What no path has, and the cells of a file of another form do: ends of lines, zero bytes.
_NO_PATH = frozenset("\0\r\n")

#: Characters of a wrong cell that an error shows.
_SHOWN = 60

#: Whole numbers above this are no label, and not exact as floats for long.
_LARGEST = 2**31


def check_split(root: Path, split: str, splits: Sequence[str]) -> None:
    """Refuses a split that a collection does not have.

    Raises:
        AnnotationError: it is none of them.
    """
    if split not in splits:
        raise AnnotationError(root, None, shown(split), f"one of {', '.join(splits)}", "split")


def find_one(root: Path, names: Sequence[str]) -> Path:
    """The one of several places below the root where something can lie.

    Raises:
        AbsentError: there is none of them.
        AnnotationError: there is more than one, of which one may be outdated.
    """
    found = [name for name in names if os.path.lexists(root / name)]
    expected = f"exactly one of {', '.join(names)}"
    if not found:
        raise AbsentError(root, None, "no label files", expected)
    if len(found) > 1:
        raise AnnotationError(root, None, f"has {' and '.join(found)}", expected)
    return root / found[0]


def entries(folder: Path, expected: str) -> list[str]:
    """Names in a folder, sorted, hidden ones left out.

    Raises:
        AbsentError: it is not there.
        AnnotationError: it cannot be listed.
    """
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        raise unreadable(folder, error, expected) from None


def shown(text: str) -> str:
    """A wrong cell as errors print it."""
    quoted = repr(text)
    return quoted if len(quoted) <= _SHOWN else f"{quoted[:_SHOWN]}..."


def image_name(file: Path, line: int | None, cell: str, column: str = "image") -> str:
    """A cell that names an image below some folder.

    Raises:
        AnnotationError: it is empty, or leads elsewhere.
    """
    if not cell or cell.startswith("/") or _NO_PATH & set(cell) or ".." in cell.split("/"):
        raise AnnotationError(file, line, shown(cell), "the path of an image, relative", column)
    return cell


def real_numbers(
    file: Path, lines: Sequence[int | None], cells: Sequence[str], column: str
) -> Floats:
    """Cells as floats; NaN and infinity are, so the label's range has to refuse them.

    Args:
        file: that they come from.
        lines: where each stands.
        cells: text.
        column: their name.

    Raises:
        AnnotationError: one is no number.
    """
    joined = "".join(cells)
    # Python also reads 1_0 and the digits of other scripts, which no label file means.
    if joined.isascii() and "_" not in joined:
        try:
            return np.array(list(map(float, cells)), np.float64)
        except ValueError:
            pass
    for line, cell in zip(lines, cells, strict=True):
        try:
            float(cell)
        except ValueError:
            raise AnnotationError(file, line, shown(cell), "a number", column) from None
        if "_" in cell or not cell.isascii():
            raise AnnotationError(file, line, shown(cell), "a number", column)
    raise AssertionError("a column is bad, none of its cells is")


def whole_numbers(
    file: Path, lines: Sequence[int | None], cells: Sequence[str], column: str
) -> Integers:
    """Cells as integers; 3, 3.0 and 3e0 are the same. Arguments as for :func:`real_numbers`.

    Raises:
        AnnotationError: one is no whole number.
    """
    values = real_numbers(file, lines, cells, column)
    bad = ~((values == np.rint(values)) & (np.abs(values) < _LARGEST))  # NaN is bad as well
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise AnnotationError(file, lines[row], shown(cells[row]), "a whole number", column)
    return values.astype(np.int64)


@contextmanager
def placed(file: Path, lines: Sequence[int]) -> Iterator[None]:
    """Errors of labels inside get their place in the file; see :func:`at_line`."""
    try:
        yield
    except LabelError as error:
        raise at_line(file, error, lines) from None


def make_targets(
    count: int,
    *,
    valence_arousal: tuple[Floats, Mask] | None = None,
    expression: tuple[Integers, Mask] | None = None,
    action_units: tuple[Integers, Mask] | None = None,
    expression_space: ExpressionSpace = _NO_EXPRESSIONS,
    action_unit_space: ActionUnitSpace = _NO_ACTION_UNITS,
    expression_votes: Floats | None = None,
) -> Targets:
    """Targets of what a collection has labels for; the rest is missing.

    Args:
        count: n, the number of images.
        valence_arousal: values and mask, as made from codes.
        expression: likewise, counted in ``expression_space``.
        action_units: likewise, columns of ``action_unit_space``.
        expression_space: needed for expressions.
        action_unit_space: needed for action units.
        expression_votes: see :class:`Targets`.
    """
    if valence_arousal is None:
        valence_arousal = np.zeros((count, 2)), np.zeros((count, 2), np.bool_)
    if expression is None:
        expression = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    if action_units is None:
        shape = (count, len(action_unit_space))
        action_units = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    return Targets(
        *valence_arousal,
        *expression,
        *action_units,
        expression_space=expression_space,
        action_unit_space=action_unit_space,
        expression_votes=expression_votes,
    )


def named_units(
    units: Sequence[set[int]],
    expression: tuple[Integers, Mask] | None = None,
    expression_space: ExpressionSpace = _NO_EXPRESSIONS,
) -> Targets:
    """Targets of faces that were coded in full: what is not named is absent, not missing.

    Args:
        units: numbers of the action units of each face; the space has all of them, ascending.
        expression: values and mask, where there are any.
        expression_space: what they count.
    """
    space = ActionUnitSpace("named", tuple(sorted(set().union(*units))))
    present = np.array([[unit in face for unit in space.units] for face in units], np.int64)
    return make_targets(
        len(units),
        expression=expression,
        expression_space=expression_space,
        action_units=(present, np.ones_like(present, np.bool_)),
        action_unit_space=space,
    )
