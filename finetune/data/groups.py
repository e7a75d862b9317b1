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


def groups_of(
    images: Sequence[str], videos: Sequence[str] | None, subjects: Sequence[str] | None = None
) -> list[str]:
    """The group of each row: its recording; without videos the person; else the image itself."""
    if videos is None:
        return list(images if subjects is None else subjects)
    names = {video: recording(video) for video in set(videos)}
    return [names[video] for video in videos]
