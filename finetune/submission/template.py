"""Templates: the lists that challenges release, whose rows a submission has to have."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from finetune.data.annotations import AnnotationError, content_lines
from finetune.data.challenge_files import listed_images, video_frames
from finetune.data.columns import image_name, shown
from finetune.labels import Floats, Integers
from finetune.submission.challenges import Challenge
from pretrain.data.images import SUFFIXES

#: The name, among the files of a submission, of the only one.
ONLY = ""

#: No video has more frames; a list with a wrong number must not fill the memory.
_MOST_FRAMES = 10_000_000

_FORM = "<video>,<number of frames>"


@dataclass(frozen=True, kw_only=True)
class Template:
    """The rows of a submission.

    Attributes:
        file: that was read.
        sha256: of its content.
        images: [n] paths, duplicates kept.
        lines: [n] where each stands; frames that are counted stand where their video does.
        files: rows of each file of the submission by the file's name, :data:`ONLY` if it is one.
        example: [n, columns] the values of an example's rows; None: it has none.
    """

    file: Path
    sha256: str
    images: Sequence[str]
    lines: Sequence[int]
    files: Mapping[str, range]
    example: Floats | None

    def __len__(self) -> int:
        """N."""
        return len(self.images)


def read_template(file: Path, challenge: Challenge) -> Template:
    """Reads a list of images in any form (:func:`~finetune.data.challenge_files.listed_images`).

    Where a challenge wants a file for every video, the list may have a line
    ``<video>,<number of frames>`` for each instead; frames are then called ``<video>/00001.jpg``.
    Listed or counted, a video has the frames from 1 on, each once.

    Raises:
        AnnotationError: it cannot be read or is none of these lists.
    """
    if challenge.per_video and _is_counted(file):
        images, lines, files = _counted(file)
        return _template(file, images, lines, files, None)
    images, places = listed_images(file)
    example = _example(content_lines(file, "a list")[places[0] - 1 :], len(challenge.columns))
    if not challenge.per_video:
        return _template(file, images, places, {ONLY: range(len(images))}, example)
    rows, files = _frame_by_frame(file, places, images)
    return _template(
        file,
        [images[row] for row in rows.tolist()],
        [places[row] for row in rows.tolist()],
        files,
        None if example is None else example[rows],
    )


def _template(
    file: Path,
    images: Sequence[str],
    lines: Sequence[int],
    files: Mapping[str, range],
    example: Floats | None,
) -> Template:
    return Template(
        file=file,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        images=images,
        lines=lines,
        files=files,
        example=example,
    )


def _example(rows: Sequence[str], columns: int) -> Floats | None:
    """Numbers behind the paths, where every row has them all."""
    cells = [row.split(",")[1:] for row in rows]
    if any(len(row) != columns for row in cells):
        return None
    try:
        return np.array([[float(cell) for cell in row] for row in cells], np.float64)
    except ValueError:
        return None


def _is_counted(file: Path) -> bool:
    """Whether the lines of a list begin with no image; its last line is surely no header."""
    last = content_lines(file, f"a list of images, or lines {_FORM}")[-1]
    return os.path.splitext(last.partition(",")[0].rstrip())[1].lower() not in SUFFIXES


def _counted(file: Path) -> tuple[list[str], list[int], dict[str, range]]:
    """Frames of lines <video>,<number of frames>, below a header or not."""
    images, lines, files = list[str](), list[int](), dict[str, range]()
    for line, text in enumerate(content_lines(file, f"lines {_FORM}"), start=1):
        cells = [cell.strip() for cell in text.rstrip(",").split(",")]
        if len(cells) != 2 or not re.fullmatch(r"[0-9]{1,9}", cells[1]):
            if line == 1 and len(cells) == 2 and all(map(_is_word, cells)):  # a header
                continue
            raise AnnotationError(file, line, shown(text), _FORM)
        video, count = image_name(file, line, cells[0], "video"), int(cells[1])
        if "/" in video or video == ".":
            raise AnnotationError(file, line, shown(video), "the name of a video", "video")
        if not 1 <= count <= _MOST_FRAMES:
            raise AnnotationError(file, line, cells[1], f"1 to {_MOST_FRAMES}", "frames")
        if _name(video) in files:
            raise AnnotationError(file, line, f"{shown(video)} again", "each video once", "video")
        files[_name(video)] = range(len(images), len(images) + count)
        images += (f"{video}/{frame:05d}.jpg" for frame in range(1, count + 1))
        lines += [line] * count
    if not files:
        raise AnnotationError(file, None, "a header alone", f"lines {_FORM}")
    return images, lines, files


def _frame_by_frame(
    file: Path, lines: Sequence[int], images: Sequence[str]
) -> tuple[Integers, dict[str, range]]:
    """The rows of a list video by video and frame by frame, and those of each file."""
    videos, frames = video_frames(file, lines, images)
    numbers = {video: number for number, video in enumerate(dict.fromkeys(videos))}
    video = np.array([numbers[name] for name in videos])
    rows = np.lexsort((frames, video))
    starts = np.searchsorted(video[rows], np.arange(len(numbers) + 1))
    expected = np.arange(len(rows)) - starts[video[rows]] + 1
    if (wrong := frames[rows] != expected).any():
        place = int(wrong.argmax())
        row = int(rows[place])
        raise AnnotationError(
            file,
            lines[row],
            shown(images[row]),
            f"frame {expected[place]} of {videos[row]}: line i of its file is frame i, so each"
            f" frame from 1 on has to be listed once; or give lines {_FORM}",
        )
    ends = starts.tolist()
    files = {_name(name): range(ends[at], ends[at + 1]) for name, at in numbers.items()}
    return rows, files


def _is_word(cell: str) -> bool:
    """Whether a cell is a header's; a wrong number, or a video's name, has digits."""
    return bool(cell) and not any(map(str.isdigit, cell))


def _name(video: str) -> str:
    return f"{video}.txt"
