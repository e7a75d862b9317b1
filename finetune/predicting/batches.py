"""Listed images as whole batches, each image once and in the order of the list.

Shapes: B batch, S pixels a side.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from finetune.clips import patches
from finetune.data.images import LabelledImages
from finetune.data.sound.sounds import Sounds
from pretrain.data.images import BadImage
from pretrain.data.loader import loaded
from pretrain.data.sources import Source
from pretrain.data.transforms import apply_crop, central_square

#: A picture whose longer side is more than this many times the shorter one is hardly a face crop.
ELONGATED = 1.6


@dataclass
class Batch:
    """Some images of the list, one after another.

    Attributes:
        images: [B, 3, S, S] uint8; zeros in the row of a bad image, and after the end of the list.
        bad: (row, reason) of images that cannot be read.
        elongated: number of images of a shape above :data:`ELONGATED`.
        sound: [B, S, M] log-mel patches around the frames; None: for a model that does not listen.
        heard: [B] bool, where there is sound.
    """

    images: Tensor
    bad: list[tuple[int, str]]
    elongated: int
    sound: Tensor | None = None
    heard: Tensor | None = None

    def pin_memory(self) -> Batch:
        """Called by the data loader, so that copies to a GPU overlap with its work."""
        return replace(
            self,
            images=self.images.pin_memory(),
            sound=None if self.sound is None else self.sound.pin_memory(),
            heard=None if self.heard is None else self.heard.pin_memory(),
        )


class _CentralSquares(Dataset[Batch]):
    """Batch i holds the images [i * B, (i + 1) * B), of each the largest square in its middle."""

    def __init__(
        self, source: Source, image_size: int, batch_size: int, sounds: Sounds | None
    ) -> None:
        self.source, self.image_size, self.batch_size = source, image_size, batch_size
        self.sounds = sounds

    def __getitem__(self, index: int) -> Batch:
        first, size = index * self.batch_size, self.image_size
        images = torch.zeros(self.batch_size, 3, size, size, dtype=torch.uint8)
        bad, elongated = list[tuple[int, str]](), 0
        for row in range(min(self.batch_size, len(self.source.names) - first)):
            try:
                pixels = self.source.image(first + row)
            except BadImage as error:
                bad.append((row, error.reason))
                continue
            aspect = self.source.aspect(first + row) or pixels.shape[1] / pixels.shape[0]
            elongated += max(aspect, 1 / aspect) > ELONGATED
            images[row] = apply_crop(pixels, central_square(aspect), size)
        if self.sounds is None:
            return Batch(images, bad, elongated)
        assert isinstance(self.source, LabelledImages)
        rows = np.arange(first, first + self.batch_size)
        rows[rows >= len(self.source)] = -1
        rows[[row for row, _ in bad]] = -1  # nothing is asked of a frame that is not there
        return Batch(images, bad, elongated, *patches(self.sounds, self.source.annotations, rows))


def batches(
    source: Source,
    which: Sequence[int],
    *,
    image_size: int,
    batch_size: int,
    workers: int,
    pin_memory: bool,
    timeout_seconds: float,
    sounds: Sounds | None = None,
) -> Generator[Batch, None, None]:
    """Some batches of the list, in the order in which they are asked for.

    ``close()`` ends the worker processes at once.

    Args:
        source: the images.
        which: numbers of the batches.
        image_size: S.
        batch_size: B; the last batch of the list is filled up with zeros.
        workers: loader processes; 0 loads in this one.
        pin_memory: for copies to a GPU.
        timeout_seconds: how long to wait for the loader processes.
        sounds: of the videos, for a model that listens.

    Raises:
        UserError: the source's, as it was raised, whichever process met it.
        HungWorkersError: they gave no batch in time.
        LostWorkerError: one of them has ended by itself.
    """
    return loaded(
        _CentralSquares(source, image_size, batch_size, sounds),
        which,
        workers=workers,
        pin_memory=pin_memory,
        timeout_seconds=timeout_seconds,
    )
