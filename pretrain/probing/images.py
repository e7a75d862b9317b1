"""The probed images: labelled, of chosen people, ready for any encoder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pretrain.data.images import BadImage, Pixels
from pretrain.data.lists import ListSource
from pretrain.data.order import fingerprint, sample_ids, uniform
from pretrain.data.sources import LabelledSource, Source
from pretrain.data.synthetic import SyntheticFaces
from pretrain.data.transforms import apply_crop, central_square
from pretrain.errors import UserError
from pretrain.probing.config import ProbeConfig
from pretrain.probing.encoders import FrozenEncoder
from pretrain.probing.features import encode, hog_features, pixel_features
from pretrain.probing.linear import Score, check_tasks, probe_tasks, subject_folds, tasks_of
from pretrain.probing.people import probed_people, showing, subjects_of

#: Row of the table -> task -> score.
Scores = dict[str, dict[str, Score]]


def open_labelled(config: ProbeConfig) -> LabelledSource:
    """The labelled images that ``source`` names.

    Raises:
        SourceError: it cannot be opened.
        UserError: it is not a list.
    """
    if config.source == "synthetic":
        return SyntheticFaces(config.synthetic)
    path = Path(os.path.expanduser(config.source or ""))
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise UserError(
            f"probe source {config.source}: expected synthetic, or a .csv or .parquet list with"
            " labels"
        )
    return ListSource(path, Path(os.path.expanduser(config.root)) if config.root else path.parent)


class ProbedImages:
    """The images of the probed people, and linear probes on whatever features they are given.

    Args:
        config: which images.

    Attributes:
        people: the probed subjects.
        tasks: what is told from features.
        drawn: embedded faces, no photographs.
        identity: names the set of images and what is known of them.

    Raises:
        UserError: nobody is left, or what is left cannot be probed.
    """

    def __init__(self, config: ProbeConfig) -> None:
        self._source = open_labelled(config)
        self.drawn = config.source == "synthetic"
        subjects = subjects_of(self._source)
        self.people = probed_people(subjects, config.subjects)
        self._theirs = np.array([i for i, name in enumerate(subjects) if name in self.people])
        if not len(self._theirs):
            raise UserError(
                f"probe subjects {config.subjects}: leaves none of {len(set(subjects))}"
            )
        chosen = self._theirs[_smallest(self._source, self._theirs, config.images)]
        labels = [self._source.labels(int(index)) for index in chosen]
        self._indices, self._labels = chosen, labels
        self._subjects = [subjects[index] for index in chosen]
        self.tasks = tasks_of(labels, config.contrast)
        self._folds = subject_folds(self._subjects, labels)
        check_tasks(self.tasks, self._folds)
        # What is known of an image is part of which image it is: other labels are another probe.
        known = [
            f"{self._source.names[int(i)]} {sorted(row.items())}"
            for i, row in zip(chosen, labels, strict=True)
        ]
        self.identity = fingerprint(sample_ids(known))
        self._strangers = sum(row.get("subject") is None for row in labels)
        self._pixels: Tensor | None = None

    def __len__(self) -> int:
        """Number of probed images."""
        return len(self._indices)

    def seen_by(self, source: Source) -> NDArray[np.int64]:
        """Indices of a pretraining source's images that are, or show, the probed people."""
        return showing(source, [self._source.names[index] for index in self._theirs], self.people)

    def encoder_scores(self, name: str, encoder: FrozenEncoder, device: torch.device) -> Scores:
        """Probes of an encoder, a row a reading of it.

        Args:
            name: of the encoder in the table.
            encoder: on the device.
            device: where it is.

        Raises:
            UserError: an image cannot be read, or a feature is no number.
        """
        features = encode(encoder.read, self.pixels(encoder.image_size), device)
        for reading, values in features.items():
            if not np.isfinite(values).all():
                raise UserError(f"probe of {name}, {reading}: got features that are not finite")
        return {
            f"{name}, {reading}": probe_tasks(values, self.tasks, self._subjects, self._folds)
            for reading, values in features.items()
        }

    def plain_scores(self, image_size: int) -> Scores:
        """The same probes without any encoder: on pixels and on HOG."""
        images = self.pixels(image_size)
        return {
            name: probe_tasks(values, self.tasks, self._subjects, self._folds)
            for name, values in (
                ("raw pixels", pixel_features(images)),
                ("HOG", hog_features(images)),
            )
        }

    def pixels(self, size: int) -> Tensor:
        """The central squares, [images, 3, size, size] uint8, decoded once.

        Raises:
            UserError: one cannot be read. A probe that left it out would score something else.
        """
        if self._pixels is None or self._pixels.shape[-1] != size:
            squares = torch.empty(len(self), 3, size, size, dtype=torch.uint8)
            for row, image in enumerate(self._decoded()):
                squares[row] = apply_crop(image, central_square(image.shape[1] / len(image)), size)
            self._pixels = squares
        return self._pixels

    def _decoded(self) -> Iterator[Pixels]:
        for index in self._indices:
            try:
                yield self._source.image(int(index))
            except BadImage as error:
                raise UserError(f"probe image {error}, expected a readable one") from None

    def summary(self) -> str:
        """What is probed, in a line."""
        kind = "drawn faces" if self.drawn else "images"
        if self._strangers == len(self):
            return f"{len(self)} {kind} of unknown subjects"
        return f"{len(self)} {kind} of {len(set(self._subjects))} subjects"

    def remarks(self) -> list[str]:
        """What a reader of the scores has to know about the images."""
        if not self._strangers:
            return []
        return [
            f"{self._strangers} images have no subject: each is taken as a person of its own, and"
            " one person may be in several folds"
        ]


def _smallest(source: LabelledSource, indices: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Positions of at most ``count`` of the images, by a hash of their names, in their order."""
    ids = sample_ids([source.names[int(index)] for index in indices])
    draws = uniform(seed=0, epoch=0, ids=ids, purpose="probed images", draws=1)[:, 0]
    return np.sort(np.argsort(draws)[:count])
