"""What the text files of the challenges share: rows of numbers, and lists of images to predict.

No reader: the readers of the challenges build on it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from finetune.data.annotations import AnnotationError, content_lines
from finetune.data.columns import image_name, shown
from pretrain.data.images import SUFFIXES

#: A frame of a video: no more digits than an int64 holds.
_FRAME = re.compile(r"([^/\0]+)/([0-9]{1,18})\.[A-Za-z]+")


def check_header(file: Path, line: str, names: Sequence[str]) -> None:
    """Refuses a file whose first line does not name these columns in this order.

    Raises:
        AnnotationError: with the line.
    """
    got = [cell.strip().lower() for cell in line.split(",")]
    if got != [name.lower() for name in names]:
        raise AnnotationError(file, 1, shown(line), f"the header {','.join(names)}")


def split_cells(
    file: Path, lines: Sequence[int], rows: Sequence[str], names: Sequence[str]
) -> list[tuple[str, ...]]:
    """Comma-separated rows as columns of text.

    Args:
        file: they come from, for errors.
        lines: where each row stands.
        rows: text, at least one.
        names: what the columns are called.

    Raises:
        AnnotationError: a row has more or fewer cells.
    """
    cells = [row.split(",") if row else [] for row in rows]
    for line, row in zip(lines, cells, strict=True):
        if len(row) != len(names):
            expected = f"{len(names)}: {', '.join(names)}"
            raise AnnotationError(file, line, f"{len(row)} cells", expected)
    return list(zip(*cells, strict=True))


def listed_images(file: Path) -> tuple[list[str], range]:
    """The images of a list that a challenge releases, as they stand in it, duplicates kept.

    The lists come as bare paths, as paths with a comma behind them, and as rows of a submission
    with made-up values; with a header, whose first cell is one word, or without. What follows a
    path is no label and is not looked at.

    Returns:
        The paths and the lines they stand on.

    Raises:
        AnnotationError: it cannot be read, lists nothing, or a line starts with no image.
    """
    expected = "a list of images"
    lines = content_lines(file, expected)
    images = [line.partition(",")[0].rstrip() for line in lines]
    first = 2 if images[0].isidentifier() else 1
    del images[: first - 1]
    if not images:
        raise AnnotationError(file, None, "a header alone", expected)
    for line, image in enumerate(images, first):
        if os.path.splitext(image_name(file, line, image))[1].lower() not in SUFFIXES:
            raise AnnotationError(file, line, shown(image), "the path of an image", "image")
    return images, range(first, first + len(images))


def video_frames(
    file: Path, lines: Sequence[int], images: Sequence[str]
) -> tuple[list[str], NDArray[np.int64]]:
    """The video and the frame number of images called ``<video>/<frame>.jpg``.

    Args:
        file: they come from, for errors.
        lines: where each stands.
        images: paths.

    Raises:
        AnnotationError: a path is none of these.
    """
    known: dict[str, str] = {}  # one string for all the frames of a video
    videos: list[str] = []
    frames = np.empty(len(images), np.int64)
    for row, image in enumerate(images):
        match = _FRAME.fullmatch(image)
        if match is None:
            raise AnnotationError(file, lines[row], shown(image), "<video>/<frame number>.jpg")
        videos.append(known.setdefault(match[1], match[1]))
        frames[row] = int(match[2])
    return videos, frames
