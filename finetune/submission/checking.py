"""Anybody's submission against its template: every fault, with its line.

Strict where a reader of the organisers' could read something else or stop: the header to the
letter; a class index or an action unit as ``3``, not ``3.0``; no byte order mark; no blank line
between rows. Ends of lines may be CRLF and blank lines may end a file: that is remarked, no fault.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from finetune.data.columns import shown
from finetune.submission.alignment import Parting, partings
from finetune.submission.answers import Answers
from finetune.submission.cells import readable_columns
from finetune.submission.challenges import EXPRESSION, Challenge, ChallengeError
from finetune.submission.template import ONLY, Template
from pretrain.data.images import SUFFIXES

_BOM = "\ufeff"


@dataclass(frozen=True)
class Fault:
    """What makes a submission invalid.

    Attributes:
        file: of the submission, :data:`~finetune.submission.template.ONLY` if it is one.
        line: from 1; None: the whole file.
        text: what is there, and what was expected.
    """

    file: str
    line: int | None
    text: str


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check found.

    Attributes:
        answers: what the submission says; None: it has faults.
        faults: file by file, by line.
        remarks: what is no fault, a line each.
    """

    answers: Answers | None
    faults: Sequence[Fault]
    remarks: Sequence[str]


@dataclass(frozen=True)
class _Row:
    """A line after the header.

    Attributes:
        line: from 1.
        cells: of text.
    """

    line: int
    cells: list[str]


def read_submission(path: Path, challenge: Challenge) -> dict[str, bytes]:
    """The files of a submission by name.

    Raises:
        ChallengeError: it cannot be read, or is a folder where a file is due, or the reverse.
    """
    expected = "a folder of <video>.txt" if challenge.per_video else "one file"
    try:
        if not challenge.per_video:
            return {ONLY: path.read_bytes()}
        return {name: (path / name).read_bytes() for name in sorted(os.listdir(path))}
    except OSError as error:
        place = error.filename or path
        raise ChallengeError(
            f"{place}: {error.strerror}, expected the submission to {challenge.name}: {expected}"
        ) from None


def check(files: Mapping[str, bytes], template: Template, challenge: Challenge) -> Checked:
    """Compares a submission with what it has to be.

    Args:
        files: content by name.
        template: the rows that it has to have.
        challenge: the form that they have to have.
    """
    faults, numbers = list[Fault](), list[list[float]]()
    remarked: dict[str, list[str]] = {}
    for name, rows in template.files.items():
        if name in files:
            sheet = _Sheet(name, challenge, template, rows)
            numbers += sheet.read(files[name])
            faults += sorted(sheet.faults, key=_line)
            for remark in sheet.remarks:
                remarked.setdefault(remark, []).append(name)
        else:
            faults.append(Fault(name, None, f"no such file, expected it with {len(rows)} rows"))
    faults += [
        Fault(name, None, "a file of no video of the template, expected none")
        for name in files
        if name not in template.files
    ]
    answers = None if faults else Answers.of_cells(np.array(numbers, np.float64), challenge)
    remarks = [
        remark + (f" ({len(names)} files, first {names[0]})" if challenge.per_video else "")
        for remark, names in remarked.items()
    ]
    return Checked(answers=answers, faults=faults, remarks=remarks)


def _line(fault: Fault) -> float:
    return float("inf") if fault.line is None else fault.line


class _Sheet:
    """One file of a submission while it is checked."""

    def __init__(self, name: str, challenge: Challenge, template: Template, rows: range) -> None:
        self.name, self.challenge, self.template, self.rows = name, challenge, template, rows
        self.faults = list[Fault]()
        self.remarks = list[str]()

    def read(self, content: bytes) -> list[list[float]]:
        """The numbers of the rows; some are left out where there are faults."""
        lines = self._lines(content)
        rows = [_Row(line, text.split(",")) for line, text in lines if text.strip()]
        if not lines:
            return []
        for line, text in lines:
            if not text.strip():
                self._fault(line, "a blank line, expected a row")
        if self.challenge.per_video:
            self._count(rows, len(lines))
            return self._numbers(rows)
        kept = self._align(rows, end=lines[-1][0] + 1)
        return self._numbers([_Row(row.line, row.cells[1:]) for row in kept])

    def _fault(self, line: int | None, text: str) -> None:
        self.faults.append(Fault(self.name, line, text))

    def _lines(self, content: bytes) -> list[tuple[int, str]]:
        """The lines after the header with their numbers."""
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self._fault(line, f"byte 0x{content[error.start]:02x}, expected UTF-8")
            return []
        if text.startswith(_BOM):
            self._fault(1, "a byte order mark, expected none")
        if "\r\n" in text:
            self.remarks.append("lines end with CRLF")
        body = text.removeprefix(_BOM).replace("\r\n", "\n").removesuffix("\n")
        lines = list(enumerate(body.split("\n"), start=1))
        if len(lines) > 1 and not lines[-1][1].strip():
            self.remarks.append("blank lines at the end")
        while len(lines) > 1 and not lines[-1][1].strip():
            lines.pop()
        first = lines[0][1]
        if first == self.challenge.header:
            return self._some(lines[1:])
        self._fault(1, f"{shown(first)}, expected the header {self.challenge.header}")
        return self._some(lines if self._is_row(first) else lines[1:])

    def _some(self, lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
        if not lines:
            self._fault(None, f"no rows, expected {len(self.rows)}")
        return lines

    def _is_row(self, line: str) -> bool:
        """Whether a first line that is no header is a row, so that the header is missing."""
        cells = line.split(",")
        if self.challenge.per_video:
            return cells[0].strip().lstrip("+-")[:1].isdigit()
        return os.path.splitext(cells[0].strip())[1].lower() in SUFFIXES

    def _count(self, rows: Sequence[_Row], lines: int) -> None:
        if len(self.rows) not in (len(rows), lines):  # blank lines among them are faults already
            line = rows[-1].line if rows else None
            self._fault(line, f"{len(rows)} rows, expected {len(self.rows)}, one a frame")

    def _align(self, rows: Sequence[_Row], end: int) -> list[_Row]:
        """The rows that the template has as well."""
        images = [row.cells[0] for row in rows]
        if images == list(self.template.images):
            return list(rows)
        strange = set[int]()
        for parting in partings(images, self.template.images):
            line = rows[parting.row].line if parting.row < len(rows) else end
            self._fault(line, self._parted(parting, images))
            if parting.kind in ("extra", "other"):
                strange |= set(range(parting.row, parting.row + parting.count))
        return [row for place, row in enumerate(rows) if place not in strange]

    def _parted(self, parting: Parting, images: Sequence[str]) -> str:
        """A fault of alignment in words."""
        got = shown(images[parting.row]) if parting.kind != "missing" else ""
        due = self._listed(parting.listed) if parting.kind != "extra" else ""
        more = parting.count - 1
        if parting.kind == "order":
            return f"{got}, expected {due}; {more + 1} rows are in the places of others"
        if parting.kind == "missing":
            last = self._listed(parting.listed + more)
            what = f"{more + 1} rows are missing, expected {due} to {last}"
            return what if more else f"a row is missing, expected {due}"
        if parting.kind == "other":
            and_so_on = f"; the {more} rows after it are not of the template either"
            return f"{got}, expected {due}{and_so_on if more else ''}"
        if more:
            return f"{got} and {more} rows after it, expected none of them, or not again"
        known = images[parting.row] in self._known
        return f"{got}{' again' if known else ''}, expected no such row"

    def _listed(self, row: int) -> str:
        line = self.template.lines[row]
        return f"{shown(self.template.images[row])} (line {line} of the template)"

    @cached_property
    def _known(self) -> set[str]:
        return set(self.template.images)

    def _numbers(self, rows: Sequence[_Row]) -> list[list[float]]:
        found, columns = list[list[float]](), readable_columns(self.challenge)
        width = len(columns)
        for row in rows:
            if len(row.cells) != width:
                self._fault(row.line, self._width(len(row.cells)))
                continue
            numbers = list[float]()
            for cell, column in zip(row.cells, columns, strict=True):
                value = column.read(cell)
                if value is None:
                    wrong = f"{column.name} {shown(cell)}, expected {column.expected}"
                    self._fault(row.line, wrong)
                else:
                    numbers.append(value)
            found.append(numbers)
        return found

    def _width(self, got: int) -> str:
        first = () if self.challenge.per_video else (self.challenge.header.partition(",")[0],)
        names = (*first, *self.challenge.columns)
        note = ""
        if self.challenge.columns == (EXPRESSION,):
            note = ", the index of one class, whatever the header says"
        return f"{got + len(first)} cells, expected {len(names)}: {', '.join(names)}{note}"
