"""The rows of a table video by video, in the order of their frames.

Frames are sparse (1, 3, 50): what is near is told by the frame number, never by the place of a row.
The persons of one video (``_left``, ``_right``) are videos of their own here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from finetune.labels import Floats, Integers, Mask
from finetune.table import PredictionTable, TableError


@dataclass(frozen=True)
class Timeline:
    """One video of a table.

    Attributes:
        rows: [n] all of it, frames ascending.
        at: [n] their frames.
        frames: [m] that the model predicts, ascending, each once.
        sources: rows that the model predicts, in the order of ``frames``.
        first: [m] where each frame begins in ``sources``.
    """

    rows: Integers
    at: Integers
    frames: Integers
    sources: Integers
    first: Integers

    def values(self, predictions: Floats) -> Floats:
        """What the model says of each frame, [m, C]: rows of the same frame are averaged.

        Args:
            predictions: of the whole table, [n, C].
        """
        if not self.frames.size:
            return np.empty((0, predictions.shape[1]))
        sums = np.add.reduceat(predictions[self.sources], self.first, axis=0)
        counts = np.diff(self.first, append=len(self.sources))
        return np.asarray(sums / counts[:, None])


def own_rows(table: PredictionTable) -> Mask:
    """[n], whether a row's predictions are the model's: neither null nor filled."""
    if table.filled is None:
        return table.present
    return table.present & np.array([not how for how in table.filled], np.bool_)


def timelines(table: PredictionTable) -> Iterator[Timeline]:
    """Every video of a table.

    Raises:
        TableError: it has no videos, or no frame numbers.
    """
    frames = table.frames
    if table.videos is None or frames is None:
        lacks = "videos" if table.videos is None else "frame numbers"
        raise TableError(f"got a table without {lacks}, expected the columns video and frame")
    own = own_rows(table)
    numbers: dict[str, int] = {}
    video = np.array([numbers.setdefault(name, len(numbers)) for name in table.videos], np.int64)
    order = np.lexsort((frames, video))
    for rows in np.split(order, np.flatnonzero(np.diff(video[order])) + 1):
        sources = rows[own[rows]]
        known, first = np.unique(frames[sources], return_index=True)
        yield Timeline(rows, frames[rows], known, sources, first)
