"""What two splits of a collection share: a score of one says less where the other has seen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from finetune.data.annotations import Annotations


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """What is in two splits.

    Attributes:
        one: of the splits.
        other: likewise.
        what: images, videos, recordings or subjects.
        names: of what they share, sorted.
    """

    one: str
    other: str
    what: str
    names: tuple[str, ...]


def overlaps(splits: Mapping[str, Annotations]) -> tuple[list[Overlap], tuple[str, ...]]:
    """Compares every two splits.

    Args:
        splits: by name.

    Returns:
        What some two share, and what could be compared in some two.
    """
    found, compared = list[Overlap](), dict[str, None]()
    for one, other in combinations(splits, 2):
        theirs = _columns(splits[other])
        for what, names in _columns(splits[one]).items():
            if what not in theirs:
                continue
            compared[what] = None
            if shared := set(names) & set(theirs[what]):
                found.append(Overlap(one=one, other=other, what=what, names=tuple(sorted(shared))))
    return found, tuple(compared)


def _columns(annotations: Annotations) -> dict[str, Sequence[str]]:
    """What names a row, as far as it is known."""
    columns: dict[str, Sequence[str]] = {"images": annotations.images}
    if annotations.videos is not None:
        columns |= {"videos": annotations.videos, "recordings": annotations.recordings}
    if annotations.subjects is not None:
        columns["subjects"] = annotations.subjects
    return columns
