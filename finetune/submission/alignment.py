"""Where the images of a submission part from those of the template, in few words.

A row that is missing is one fault and not one a row that follows it. Which rows are missing and
which are too many is known from how often each image occurs; with that, one walk along both lists
tells where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

#: missing: listed rows that are not there; extra: rows that are not listed, or too often;
#: other: such rows in the places of missing ones; order: rows in the places of others.
Kind = Literal["missing", "extra", "other", "order"]


@dataclass(frozen=True)
class Parting:
    """A stretch in which two lists differ in one way.

    Attributes:
        kind: how.
        row: of the submission where it begins; where a missing row would have to be.
        listed: row of the template where it begins.
        count: rows.
    """

    kind: Kind
    row: int
    listed: int
    count: int


def partings(images: Sequence[str], listed: Sequence[str]) -> list[Parting]:
    """The stretches in which two lists differ; those in another order make one.

    Args:
        images: of a submission.
        listed: of the template.
    """
    found = list[Parting]()
    disorder: Parting | None = None
    for kind, row, place in _differences(images, listed):
        last = found[-1] if found else None
        if kind == "order":
            first = disorder or Parting(kind, row, place, 0)
            disorder = Parting(kind, first.row, first.listed, first.count + 1)
        elif last is not None and last.kind == kind and _goes_on(last, row, place):
            found[-1] = Parting(kind, last.row, last.listed, last.count + 1)
        else:
            found.append(Parting(kind, row, place, 1))
    if disorder is not None:
        found.append(disorder)
    return sorted(found, key=lambda parting: parting.row)


def _goes_on(last: Parting, row: int, place: int) -> bool:
    rows = 0 if last.kind == "missing" else last.count
    places = 0 if last.kind == "extra" else last.count
    return (row, place) == (last.row + rows, last.listed + places)


def _differences(images: Sequence[str], listed: Sequence[str]) -> Iterator[tuple[Kind, int, int]]:
    """Each difference with its row in both lists."""
    there, wanted = Counter(images), Counter(listed)
    extra, missing = there - wanted, wanted - there
    row = place = 0
    while row < len(images) or place < len(listed):
        image = images[row] if row < len(images) else None
        name = listed[place] if place < len(listed) else None
        if image == name:
            row, place = row + 1, place + 1
            continue
        too_many = image is not None and extra[image] > 0
        lacking = name is not None and missing[name] > 0
        kind: Kind = "order"
        if too_many or lacking:
            kind = "other" if too_many and lacking else "extra" if too_many else "missing"
        yield kind, row, place
        if image is not None and (too_many or kind == "order"):
            extra[image] -= too_many
            row += 1
        if name is not None and (lacking or kind == "order"):
            missing[name] -= lacking
            place += 1
