"""What belongs together: rows that no split, fold or resample may tear apart."""

from __future__ import annotations

import re
from collections.abc import Sequence


def recording(video: str) -> str:
    """What must not be torn apart by a split: one source video, whoever of it is seen.

    In Aff-Wild2 ``video45_1`` ... ``video45_5`` may be parts of one, ``_left`` and ``_right`` are
    its persons.
    """
    video = re.sub(r"_(left|right)$", "", video)
    return re.sub(r"^(video[0-9]+)_[0-9]+$", r"\1", video)


def share_names(kind: str, other: str) -> bool:
    """Whether equal names in two kinds of collections mean the same person or recording."""
    return kind == other or all(each.startswith("aff_wild2") for each in (kind, other))


def groups_of(
    images: Sequence[str], videos: Sequence[str] | None, subjects: Sequence[str] | None = None
) -> list[str]:
    """The group of each row: its recording; without videos the person; else the image itself.

    Where both are known, recordings that share a person are one group, and so on, under the name of
    its first person.
    """
    if videos is None:
        return list(images if subjects is None else subjects)
    names = {video: recording(video) for video in set(videos)}
    recordings = [names[video] for video in videos]
    return recordings if subjects is None else _connected(recordings, subjects)


def keys_of(
    images: Sequence[str], videos: Sequence[str] | None, subjects: Sequence[str] | None = None
) -> set[str]:
    """Everything by which another list may know these rows' groups: recordings and persons.

    Images, where neither is known.
    """
    found = set(groups_of(images, videos)) if videos is not None else set[str]()
    found |= set(subjects or ())
    return found or set(images)


def _connected(recordings: Sequence[str], subjects: Sequence[str]) -> list[str]:
    """The first subject of those that recordings connect, by row."""
    first: dict[str, str] = {}

    def root(subject: str) -> str:
        while first[subject] != subject:
            first[subject] = subject = first[first[subject]]
        return subject

    by_recording: dict[str, str] = {}
    for name, subject in zip(recordings, subjects, strict=True):
        first.setdefault(subject, subject)
        other = by_recording.setdefault(name, subject)
        low, high = sorted((root(subject), root(other)))
        first[high] = low
    roots = {subject: root(subject) for subject in first}
    return [roots[subject] for subject in subjects]
