"""The frames of listed videos in their order, each once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from finetune.data.images import LabelledImages
from pretrain.data.sources import Source
from pretrain.errors import UserError


class SequenceError(UserError):
    """A list that is none of videos."""


@dataclass(frozen=True)
class FramesInOrder:
    """Which rows of a list follow each other.

    Attributes:
        sequences: rows by video, in the order of their frames; every frame is in one of them.
        again: rows whose frame is listed before, and the row that stands for it.
    """

    sequences: Sequence[Sequence[int]]
    again: Mapping[int, int]


def frames_in_order(images: Source, step: int, bad: Collection[int]) -> FramesInOrder:
    """Orders the rows of a list.

    Args:
        images: the list, with the video and frame of each image.
        step: frame numbers between the frames of a sequence: a video becomes so many of them.
        bad: rows that cannot be read; sequences pass over them.

    Raises:
        SequenceError: a list of stills, or of two images of one frame.
    """
    known = images.annotations if isinstance(images, LabelledImages) else None
    if known is None or known.videos is None or known.frames is None:
        raise SequenceError(
            "the list: stills, expected the video and frame of each image for a model of videos"
        )
    first: dict[tuple[str, int], int] = {}
    again: dict[int, int] = {}
    for row, (video, frame) in enumerate(zip(known.videos, known.frames.tolist(), strict=True)):
        if row in bad:
            continue
        other = first.setdefault((video, frame), row)
        if known.images[other] != known.images[row]:
            raise SequenceError(
                f"the list: {known.images[other]} and {known.images[row]} are both frame {frame} of"
                f" {video}, expected one image"
            )
        if other != row:
            again[row] = other
    found: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for (video, frame), row in first.items():
        found.setdefault((video, frame % step), []).append((frame, row))
    return FramesInOrder([[row for _, row in sorted(rows)] for rows in found.values()], again)
