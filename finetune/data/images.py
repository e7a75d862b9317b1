"""The images of a list: where they lie, which are absent, and one source of them with labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from finetune.data.annotations import Annotations
from finetune.labels import (
    ActionUnitSpace,
    ExpressionSpace,
    Targets,
)
from pretrain.data.images import BadImage, Pixels, decode, read_file
from pretrain.data.mixture import Mixture
from pretrain.data.sources import Selection, Source

#: Absent images that a message names.
_NAMED = 3


class LabelledImages(Source):
    """Images and what is known of each, one to one.

    Args:
        source: of the images, in the order of the annotations.
        annotations: of the images.
        absent: indices of listed images that no file was found for.

    Attributes:
        targets: the labels.
    """

    def __init__(
        self, source: Source, annotations: Annotations, absent: Sequence[int] = ()
    ) -> None:
        assert len(source.names) == len(annotations)
        self.source, self.annotations, self.absent = source, annotations, tuple(absent)
        self.names, self.named, self.cut = source.names, source.named, source.cut
        self.targets: Targets = annotations.targets

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)

    def image(self, index: int) -> Pixels:
        """See :class:`Source`."""
        return self.source.image(index)

    def encoded(self, index: int) -> bytes | None:
        """See :class:`Source`."""
        return self.source.encoded(index)

    def aspect(self, index: int) -> float | None:
        """See :class:`Source`."""
        return self.source.aspect(index)

    def to_train_on(self) -> tuple[LabelledImages, str]:
        """Those that are there, and a line that says how many and which are not ("" for none).

        Nothing that is to be predicted may be left out so: a test list keeps its rows.
        """
        if not self.absent:
            return self, ""
        there = np.setdiff1d(np.arange(len(self)), self.absent)
        known = self.annotations.select(there)
        return LabelledImages(Selection(self.source, there), known), self.absent_line()

    def absent_line(self) -> str:
        """How many of the listed images are absent, and the first of them."""
        first = ", ".join(self.names[index] for index in self.absent[:_NAMED])
        more = ", ..." if len(self.absent) > _NAMED else ""
        return f"{len(self.absent)} of {len(self)} listed images are absent: {first}{more}"

    def in_spaces(
        self,
        expressions: ExpressionSpace,
        action_units: ActionUnitSpace,
        mapping: str | None = None,
    ) -> LabelledImages:
        """The same images with labels in other spaces; see :meth:`Targets.to`."""
        known = self.annotations
        targets = known.targets.to(expressions, action_units, mapping)
        converted = Annotations(known.images, targets, known.videos, known.frames, known.subjects)
        return LabelledImages(self.source, converted, self.absent)


class LabelledMixture(Mixture):
    """Several collections as one, each seen as often as its weight says; see :class:`Mixture`.

    Args:
        parts: collections and their weights, the passes over each in an epoch.
        expressions: the space of all labels.
        action_units: likewise.
        mapping: a name of :data:`~finetune.labels.MAPPINGS`.

    Attributes:
        targets: the labels of all images, in the order of ``names``.
    """

    def __init__(
        self,
        parts: Sequence[tuple[LabelledImages, float]],
        expressions: ExpressionSpace,
        action_units: ActionUnitSpace,
        mapping: str | None = None,
    ) -> None:
        super().__init__(
            [(part.in_spaces(expressions, action_units, mapping), w) for part, w in parts]
        )
        copies = [source for _, source in self.parts]
        assert all(isinstance(source, LabelledImages) for source in copies)
        self.targets = Targets.joined([source.targets for source in copies])  # type: ignore[attr-defined]


class FoundImages(Source):
    """Images in files, under the names that a list has for them.

    Args:
        names: as the list has them.
        paths: of the files; None: no file was found, and opening it is a :class:`BadImage`.
    """

    def __init__(self, names: Sequence[str], paths: Sequence[str | None]) -> None:
        self.names, self.paths = names, paths

    def image(self, index: int) -> Pixels:
        """See :class:`Source`."""
        return decode(self._path(index), str(self.paths[index]))

    def encoded(self, index: int) -> bytes | None:
        """See :class:`Source`."""
        return read_file(self._path(index), str(self.paths[index]))

    def _path(self, index: int) -> Path:
        path = self.paths[index]
        if path is None:
            raise BadImage(self.names[index], "absent: listed, but no such file")
        return Path(path)


def find_images(
    root: Path, folders: Sequence[str], images: Sequence[str]
) -> tuple[list[str | None], list[int]]:
    """Looks for listed images in the folders that may hold them, the first that does wins.

    Each folder is listed once: asking for every file would take minutes on a network.

    Args:
        root: of the collection.
        folders: below the root.
        images: paths relative to one of the folders.

    Returns:
        Their paths, None where there is no file; and the indices of these.
    """
    listings: dict[str, frozenset[str]] = {}
    found: list[str | None] = []
    absent: list[int] = []
    for index, image in enumerate(images):
        below, _, name = image.rpartition("/")
        for folder in folders:
            place = os.path.join(root, folder, below)
            if place not in listings:
                listings[place] = _files(place)
            if name in listings[place]:
                found.append(os.path.join(place, name))
                break
        else:
            found.append(None)
            absent.append(index)
    return found, absent


def _files(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()
