"""CSV files of labels: wanted columns by the names in the header, row by row or as a whole."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from finetune.data.annotations import AnnotationError, unreadable
from finetune.data.columns import real_numbers, whole_numbers
from finetune.labels import Floats, Integers


@dataclass(frozen=True)
class Table:
    """Some columns of a CSV file.

    Attributes:
        file: it.
        lines: where each row stands, from 1.
        columns: stripped cells by the column's name.
    """

    file: Path
    lines: Sequence[int]
    columns: dict[str, list[str]]

    def whole(self, name: str) -> Integers:
        """A column of whole numbers; see :func:`whole_numbers`."""
        return whole_numbers(self.file, self.lines, self.columns[name], name)

    def real(self, name: str) -> Floats:
        """A column of numbers; see :func:`real_numbers`."""
        return real_numbers(self.file, self.lines, self.columns[name], name)


def read_table(file: Path, names: Sequence[str], headerless: Sequence[str] = ()) -> Table:
    """The columns of a CSV file that have these names.

    Args:
        file: UTF-8, with a header.
        names: wanted columns; others are left alone.
        headerless: all columns of a file whose header may be missing.

    Raises:
        AnnotationError: no such file, no rows, another form, or a column is missing.
    """
    lines: list[int] = []
    columns: dict[str, list[str]] = {name: [] for name in names}
    appends = [column.append for column in columns.values()]
    for line, cells in table_rows(file, names, headerless):
        lines.append(line)
        for append, cell in zip(appends, cells, strict=True):
            append(cell)
    return Table(file, lines, columns)


def table_rows(
    file: Path, names: Sequence[str], headerless: Sequence[str] = ()
) -> Iterator[tuple[int, list[str]]]:
    """Line by line the stripped cells of columns, in the order of the names; see `read_table`."""
    rows = csv_rows(file)
    line, header = next(rows, (1, []))
    header = [cell.strip() for cell in header]
    if len(header) == len(headerless) and not set(header) & set(headerless):
        rows, header = chain([(line, header)], rows), list(headerless)
    for name in names:
        if header.count(name) != 1:
            got = f"{header.count(name)} columns {name} in the header"
            raise AnnotationError(file, line, got, f"one each of {', '.join(names)}")
    yield from picked(file, rows, len(header), [header.index(name) for name in names])


def picked(
    file: Path, rows: Iterator[tuple[int, list[str]]], width: int, places: Sequence[int]
) -> Iterator[tuple[int, list[str]]]:
    """Some cells of every row below a header, stripped.

    Raises:
        AnnotationError: a row of another width, or no row.
    """
    empty = True
    for line, cells in rows:
        empty = False
        if len(cells) != width:
            raise AnnotationError(file, line, f"{len(cells)} cells", f"{width}")
        yield line, [cells[place].strip() for place in places]
    if empty:
        raise AnnotationError(file, None, "a header alone", "a row an image")


def read_header(file: Path) -> list[str]:
    """The stripped cells of a CSV file's first row; no cell if it has none.

    Raises:
        AnnotationError: as for :func:`csv_rows`.
    """
    _, cells = next(csv_rows(file), (1, []))
    return [cell.strip() for cell in cells]


def csv_rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file with the lines that they end on; only one row is in memory.

    Blank lines at the end are none; one with rows after it is refused.

    Raises:
        AbsentError: the file is not there.
        AnnotationError: it cannot be read, or is no CSV in UTF-8.
    """
    expected = "a CSV file in UTF-8"
    blank = 0
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            for cells in reader:
                if len(cells) <= 1 and not "".join(cells).strip():
                    blank = blank or reader.line_num
                elif blank:
                    raise AnnotationError(file, blank, "blank line", "rows up to the end")
                else:
                    yield reader.line_num, cells
    except csv.Error as error:
        raise AnnotationError(file, reader.line_num, str(error), expected) from None
    except OSError as error:
        raise unreadable(file, error, expected) from None
    except UnicodeDecodeError:
        raise _not_utf8(file, expected) from None


def _not_utf8(file: Path, expected: str) -> AnnotationError:
    with open(file, "rb") as stream:
        for line, content in enumerate(stream, start=1):
            try:
                content.decode()
            except UnicodeDecodeError as error:
                got = f"byte 0x{content[error.start]:02x}"
                return AnnotationError(file, line, got, expected)
    return AnnotationError(file, None, "changed while it was read", expected)
