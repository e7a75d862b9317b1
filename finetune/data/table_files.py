"""What lists in CSV or Parquet have in common: cells as texts, columns that are whole or absent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from finetune.data import csv_files
from finetune.data.annotations import AnnotationError
from finetune.data.columns import shown
from finetune.data.csv_files import Table

#: Of a file and its header, the columns that mean something; it refuses a header.
Known = Callable[[Path, Sequence[str]], list[str]]


def read_csv(file: Path, known: Known) -> Table:
    """The columns of a CSV file that mean something.

    Raises:
        AnnotationError: it cannot be read, or its header is refused.
    """
    return csv_files.read_table(file, known(file, csv_files.read_header(file)))


def read_parquet(file: Path, known: Known, texts: Collection[str]) -> Table:
    """The columns of a Parquet file that mean something, as a CSV file would have them.

    Args:
        file: it.
        known: which columns do.
        texts: names of columns that have to be texts; others may be numbers.

    Raises:
        AnnotationError: it cannot be read, its header is refused, or a cell is of another type.
    """
    import pyarrow.parquet

    try:
        with open(file, "rb") as stream:  # its own errors say where in Arrow they come from
            content = pyarrow.parquet.ParquetFile(stream)
            names = known(file, list(content.schema_arrow.names))
            table = content.read(names)
        columns = {name: table.column(name).to_pylist() for name in names}
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or " ".join(str(error).split())
        raise AnnotationError(file, None, reason, "a Parquet file") from None
    cells = {name: _as_text(file, name, column, name in texts) for name, column in columns.items()}
    return Table(file, range(1, table.num_rows + 1), cells)


def complete_column(table: Table, name: str) -> list[str] | None:
    """A column that every row has; None: that none has.

    Raises:
        AnnotationError: some rows have it.
    """
    cells = table.columns.get(name, [])
    if not any(cells):
        return None
    if not all(cells):
        line = table.lines[cells.index("")]
        raise AnnotationError(table.file, line, "is empty", "one in every row or in none", name)
    return cells


def _as_text(file: Path, name: str, column: Sequence[object], text: bool) -> list[str]:
    kinds = (str,) if text else (str, int, float)
    for line, cell in enumerate(column, start=1):
        if cell is not None and not isinstance(cell, kinds):
            expected = "text" if text else "text or a number"
            raise AnnotationError(file, line, shown(repr(cell)), expected, name)
    return ["" if cell is None else _cell(cell) for cell in column]


def _cell(cell: object) -> str:
    return str(int(cell) if isinstance(cell, bool) else cell).strip()
