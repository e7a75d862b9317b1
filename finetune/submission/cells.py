"""The cells of a row behind the image: what each is called and what may stand in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from finetune.submission.challenges import EXPRESSION, Challenge


@dataclass(frozen=True)
class ReadableColumn:
    """A column of a submission.

    Attributes:
        name: what it is called.
        read: makes a number of a cell; None: the cell is not what it should be.
        expected: what may stand there.
    """

    name: str
    read: Callable[[str], float | None]
    expected: str


def readable_columns(challenge: Challenge) -> list[ReadableColumn]:
    """The columns of a challenge, in the order of their cells."""
    units = challenge.action_units.names if challenge.action_units else ()
    columns = list[ReadableColumn]()
    for name in challenge.columns:
        if name == EXPRESSION:
            assert challenge.expressions is not None
            classes = challenge.expressions.classes
            expected = f"0 to {len(classes) - 1} without a point ({', '.join(classes)})"
            columns.append(ReadableColumn(name, _code(len(classes)), expected))
        elif name in units:
            columns.append(ReadableColumn(name, _code(2), "0 or 1 without a point"))
        else:
            columns.append(ReadableColumn(name, _real, "a number in [-1, 1]"))
    return columns


def _code(count: int) -> Callable[[str], float | None]:
    values = {str(code): float(code) for code in range(count)}

    def read(cell: str) -> float | None:
        return values.get(cell.strip())

    return read


def _real(cell: str) -> float | None:
    """Python also reads 1_0 and the digits of other scripts, which no organiser means."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if -1 <= value <= 1 and cell.isascii() and "_" not in cell else None
