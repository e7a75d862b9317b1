"""Listed images: one path a line, or a table of paths and labels (a manifest)."""

from __future__ import annotations

import csv
import io
import math
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from pretrain.data.images import Pixels, decode, read_file
from pretrain.data.sources import LabelledSource, SourceError

#: Columns that hold a name, and those that hold a number: its range, and how it is stored.
_NAMES = ("subject", "expression")
_NUMBERS = {"valence": "d", "arousal": "d"} | {f"AU{unit}": "f" for unit in range(1, 46)}

#: A column that is nearly one of them is a mistake, and would be passed over in silence.
_BY_LOWER_CASE = {name.lower(): name for name in ("image", *_NAMES, *_NUMBERS)}

#: So many paths are looked for on opening; looking for all would take long on a network.
_CHECKED = 100

#: Characters of a wrong cell that an error shows.
_SHOWN = 80

#: A header and, row by row, the line it stands on and its cells; None is an empty cell.
_Table = tuple[list[str], Iterable[tuple[int, Sequence[object]]]]


class _BadCell(Exception):  # noqa: N818 - becomes a SourceError once its line is known
    """Column, value and what was expected."""


class ListSource(LabelledSource):
    """The images that a file lists, in its order, with the labels that it has for them.

    ``.txt`` has one path a line (blank lines and lines starting with # do not count). ``.csv`` and
    ``.parquet`` have a column ``image`` and any of ``subject``, ``expression``, ``valence``,
    ``arousal`` and ``AU1`` ... ``AU45``; an empty cell is a missing label, other columns are left
    alone.

    Args:
        path: the list.
        root: folder that its paths are relative to.

    Raises:
        SourceError: it cannot be read or understood, lists nothing, or the images are elsewhere.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.path, self.root = path, root
        kind = path.suffix.lower()
        if kind not in _READERS:
            raise SourceError(f"{path}: got a {kind} file, expected {' or '.join(_READERS)}")
        try:
            header, rows = _READERS[kind](path)
            columns = _columns(path, header)
            self.names = list[str]()
            texts = {name: list[str | None]() for name in columns if name in _NAMES}
            numbers: dict[str, array[float]] = {
                name: array(_NUMBERS[name]) for name in columns if name in _NUMBERS
            }
            known: dict[str, str] = {}  # one string for all the rows of a subject
            for line, cells in rows:
                try:
                    self.names.append(_image(cells[columns["image"]]))
                    for name, text in texts.items():
                        value = _text(name, cells[columns[name]])
                        text.append(value and known.setdefault(value, value))
                    for name, number in numbers.items():
                        number.append(_number(name, cells[columns[name]]))
                except _BadCell as error:
                    raise SourceError(f"{path}:{line}: {error}") from None
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror or error}, expected a list") from None
        if not self.names:
            raise SourceError(f"{path}: lists no images, expected at least one")
        self._texts = texts
        self._numbers = {name: np.array(values) for name, values in numbers.items()}
        self._look_for_images()

    def image(self, index: int) -> Pixels:
        """See :class:`Source`."""
        path = self.root / self.names[index]
        return decode(path, str(path))

    def encoded(self, index: int) -> bytes | None:
        """See :class:`Source`."""
        path = self.root / self.names[index]
        return read_file(path, str(path))

    def labels(self, index: int) -> Mapping[str, str | float | None]:
        """See :class:`LabelledSource`; a missing label has no key."""
        found: dict[str, str | float | None] = {}
        for name, texts in self._texts.items():
            if texts[index] is not None:
                found[name] = texts[index]
        for name, numbers in self._numbers.items():
            if not math.isnan(numbers[index]):
                found[name] = float(numbers[index])
        return found

    def _look_for_images(self) -> None:
        """Refuses a wrong root, the usual mistake, before every image turns out to be bad."""
        first = self.names[:_CHECKED]
        if not any(os.path.exists(self.root / name) for name in first):
            raise SourceError(
                f"{self.path}: none of the first {len(first)} images is there, {first[0]} for one,"
                f" expected them below the root {self.root}"
            )


def _lines(path: Path) -> _Table:
    def rows() -> Iterator[tuple[int, Sequence[object]]]:
        for number, line in enumerate(_open(path, None), start=1):
            name = line.rstrip("\n")
            if name.strip() and not name.startswith("#"):
                yield number, [name]

    return ["image"], rows()


def _csv(path: Path) -> _Table:
    reader = csv.reader(_open(path, ""), strict=True)

    def lines() -> Iterator[list[str]]:
        try:
            yield from (cells for cells in reader if cells)
        except csv.Error as error:
            raise SourceError(
                f"{path}:{reader.line_num}: {error}, expected comma-separated values"
            ) from None

    def rows() -> Iterator[tuple[int, Sequence[object]]]:
        for cells in table:
            if len(cells) != len(header):
                raise SourceError(
                    f"{path}:{reader.line_num}: got {len(cells)} cells, expected {len(header)} as"
                    " in the header"
                )
            yield reader.line_num, [cell or None for cell in cells]

    table = lines()
    header = [name.strip() for name in next(table, [])]
    return header, rows()


def _parquet(path: Path) -> _Table:
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        header = list(file.schema_arrow.names)
        _columns(path, header)  # before columns are asked for by name
        header = [name for name in header if name == "image" or name in (*_NAMES, *_NUMBERS)]
        table = file.read(header)
    except pyarrow.ArrowException as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"{path}: {reason}, expected a Parquet file") from None
    cells = zip(*(table.column(name).to_pylist() for name in header), strict=True)
    return header, enumerate(cells, start=1)


_READERS: Mapping[str, Callable[[Path], _Table]] = {
    ".txt": _lines,
    ".csv": _csv,
    ".parquet": _parquet,
}


def _open(path: Path, newline: str | None) -> io.TextIOWrapper:
    """The text, checked to be UTF-8 as a whole: only so is the line of a fault known."""
    data = path.read_bytes()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(
            f"{path}:{line}: got the byte 0x{data[error.start]:02x}, expected text in UTF-8"
        ) from None
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=newline)


def _columns(path: Path, header: Sequence[str]) -> dict[str, int]:
    """Where the columns that count are."""
    columns: dict[str, int] = {}
    for position, name in enumerate(header):
        if name == "image" or name in _NAMES or name in _NUMBERS:
            if name in columns:
                raise SourceError(f"{path}: column {name} is given twice, expected once")
            columns[name] = position
        elif name.strip().lower() in _BY_LOWER_CASE:
            meant = _BY_LOWER_CASE[name.strip().lower()]
            raise SourceError(f"{path}: column {name!r}, expected '{meant}' in this spelling")
    if "image" not in columns:
        got = ", ".join(header) or "none"
        raise SourceError(f"{path}: got the columns {got}, expected one called image")
    return columns


def _image(cell: object) -> str:
    """The path with "/" alone between its parts, as a folder source names it."""
    path = _text("image", cell)
    if path is None:
        raise _BadCell("image is empty, expected a path")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or "\0" in path:
        raise _BadCell(f"image {repr(path)[:_SHOWN]}, expected a path")
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def _text(name: str, cell: object) -> str | None:
    if cell is None or cell == "":
        return None
    if not isinstance(cell, str):
        raise _BadCell(f"{name} {repr(cell)[:_SHOWN]}, expected text")
    # "Neutral " is no class of its own; a file's name may end in a space.
    return cell if name == "image" else cell.strip() or None


def _number(name: str, cell: object) -> float:
    """A label as a number; NaN where there is none."""
    if cell is None or cell == "":
        return math.nan
    try:
        value = float(cell) if isinstance(cell, str | int | float) else math.nan
    except ValueError:
        value = math.nan
    action_unit = name.startswith("AU")
    if value not in (0, 1) if action_unit else not -1 <= value <= 1:
        expected = "0 or 1" if action_unit else "a number in [-1, 1]"
        raise _BadCell(f"{name} {repr(cell)[:_SHOWN]}, expected {expected} or an empty cell")
    return value
