"""Who is probed, and whom pretraining has seen, as far as names tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pretrain.data.lists import ListSource
from pretrain.data.mixture import Mixture
from pretrain.data.order import sample_ids, uniform
from pretrain.data.sources import LabelledSource, Selection, Source
from pretrain.data.synthetic import SyntheticFaces
from pretrain.errors import UserError


def subjects_of(source: LabelledSource) -> list[str]:
    """The subject of every image; one without a subject is a person of its own.

    Raises:
        UserError: an image is listed with two subjects.
    """
    subjects, known = list[str](), dict[str, str]()
    for index, name in enumerate(source.names):
        named = source.labels(index).get("subject")
        subject = f"image {name}" if named is None else str(named)
        if known.setdefault(name, subject) != subject:
            raise UserError(
                f"{name}: listed with the subjects {known[name]!r} and {subject!r}, expected one"
            )
        subjects.append(subject)
    return subjects


def probed_people(subjects: Sequence[str], share: float) -> set[str]:
    """A share of the subjects, chosen by their names alone: the same in every run."""
    people = sorted(set(subjects))
    draws = uniform(seed=0, epoch=0, ids=sample_ids(people), purpose="probe", draws=1)[:, 0]
    return {name for name, draw in zip(people, draws, strict=True) if draw < share}


def showing(source: Source, images: Sequence[str], people: set[str]) -> NDArray[np.int64]:
    """Indices of a source's images that are, or show, what is probed.

    Args:
        source: of pretraining; what names subjects is searched for the people as well.
        images: names of the images of the probed people.
        people: their names.
    """
    if isinstance(source, Selection):
        within = showing(source.source, images, people)
        return np.flatnonzero(np.isin(source.indices, within))
    if isinstance(source, Mixture):
        parts = [start + showing(part, images, people) for start, part in source.parts]
        return np.concatenate(parts)
    found = same_images(source.names, images)
    theirs = [i for i, subject in enumerate(_named_subjects(source)) if subject in people]
    return np.union1d(found, np.array(theirs, np.int64))


def _named_subjects(source: Source) -> Sequence[str]:
    if isinstance(source, SyntheticFaces):  # its labels would have to be drawn
        return [name.partition("/")[0] for name in source.names]
    return subjects_of(source) if isinstance(source, ListSource) else ()


def same_images(names: Sequence[str], wanted: Sequence[str]) -> NDArray[np.int64]:
    """Indices of the names that mean one of the wanted images.

    Two names mean the same image when the shorter one is the end of the longer, folder by folder:
    ``faces/a.jpg`` and ``a.jpg``, but not ``b/a.jpg`` and ``c/a.jpg``. What follows the last dot
    does not count, unless it is a number, so that a copy in another format is found. Rather one
    image too many.
    """
    keys = {_parts(name) for name in wanted}
    ends = {key[start:] for key in keys for start in range(len(key))}
    found = []
    for index, name in enumerate(names):
        key = _parts(name)
        if key in ends or any(key[start:] in keys for start in range(1, len(key))):
            found.append(index)
    return np.array(found, np.int64)


def _parts(name: str) -> tuple[str, ...]:
    *folders, file = (part for part in name.split("/") if part not in ("", "."))
    stem, _, ending = file.rpartition(".")
    return (*folders, file if ending.isdecimal() or not stem else stem)
