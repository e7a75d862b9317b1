"""Where images come from: a list of names, and pixels for each.

Stage two and other sources build on :class:`Source`; whoever reads one needs nothing else.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pretrain.data.images import SUFFIXES, Pixels, decode, read_file
from pretrain.errors import UserError


class SourceError(UserError):
    """A source that cannot be opened or holds nothing."""


class Source(Protocol):
    """A fixed sequence of images.

    Attributes:
        names: one an image, unique or not. Sample ids come from them, so they must not depend on
            where the source lies.
        named: whether the names are the images' own, and no row numbers.
        cut: whether the pictures are cut-outs of those that the names mean.
        partial: ranges of indices of which an epoch takes a fraction only, as a mixture says.
    """

    names: Sequence[str]
    named: bool = True
    cut: bool = False
    partial: Sequence[tuple[range, float]] = ()

    def image(self, index: int) -> Pixels:
        """The pixels of an image: [H, W, 3] uint8 RGB; read-only where they lie in a file.

        Raises:
            BadImage: it cannot be decoded.
        """
        raise NotImplementedError

    def encoded(self, index: int) -> bytes | None:
        """The image file's own bytes, where there is one; :func:`decode` makes the pixels.

        Raises:
            BadImage: it cannot be read.
        """
        del index
        return None

    def aspect(self, index: int) -> float | None:
        """Width / height of the picture where its pixels have another shape; None: theirs.

        A crop is a function of it, so that a picture that was packed as a square, or smaller, is
        cropped as its original.
        """
        del index
        return None


class LabelledSource(Source, Protocol):
    """Images of which something is known."""

    def labels(self, index: int) -> Mapping[str, str | float | None]:
        """What is known of an image; None, or no key, is a missing label.

        Returns:
            Any of ``subject`` (a name); ``expression`` (a name); ``valence`` and ``arousal`` in
            [-1, 1]; ``AU1`` ... ``AU45``, 0.0 or 1.0.
        """
        raise NotImplementedError


class Selection(Source):
    """Some images of another source, under their own names.

    Args:
        source: the other one.
        indices: which of its images, ascending.
    """

    def __init__(self, source: Source, indices: NDArray[np.int64]) -> None:
        self.source, self.indices = source, indices
        self.named, self.cut = source.named, source.cut
        self.names = [source.names[int(index)] for index in indices]
        self.partial = [
            (range(*np.searchsorted(indices, (part.start, part.stop)).tolist()), fraction)
            for part, fraction in source.partial
        ]

    def image(self, index: int) -> Pixels:
        """See :class:`Source`."""
        return self.source.image(int(self.indices[index]))

    def encoded(self, index: int) -> bytes | None:
        """See :class:`Source`."""
        return self.source.encoded(int(self.indices[index]))

    def aspect(self, index: int) -> float | None:
        """See :class:`Source`."""
        return self.source.aspect(int(self.indices[index]))


class FolderSource(Source):
    """All image files below a folder, by their path relative to it.

    Args:
        root: the folder; links to folders are followed once.

    Raises:
        SourceError: no such folder, or no image in it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            if not root.exists():
                raise SourceError(f"{root}: no such folder, expected a folder of images")
            if not root.is_dir():
                raise SourceError(f"{root}: a file, expected a folder of images")
            self.names = sorted(_image_names(root))
        except OSError as error:  # no permission, a name that is too long
            raise SourceError(
                f"{error.filename or root}: {error.strerror}, expected a folder of images"
            ) from None
        if not self.names:
            raise SourceError(
                f"{root}: no images, expected files ending in {' '.join(sorted(SUFFIXES))}"
            )

    def image(self, index: int) -> Pixels:
        """See :class:`Source`."""
        name = self.names[index]
        return decode(self.root / name, str(self.root / name))

    def encoded(self, index: int) -> bytes | None:
        """See :class:`Source`."""
        path = self.root / self.names[index]
        return read_file(path, str(path))


def _image_names(root: Path) -> list[str]:
    names: list[str] = []
    visited: set[tuple[int, int]] = set()
    # Links come last and by name: a folder that is also linked to keeps its own name, whatever the
    # order in which the file system lists them. The names decide the sample ids.
    folders, links = [""], list[str]()
    while folders or links:
        below = folders.pop() if folders else heapq.heappop(links)
        status = os.stat(root / below)
        if (status.st_dev, status.st_ino) in visited:  # a link to a folder seen before
            continue
        visited.add((status.st_dev, status.st_ino))
        with os.scandir(root / below) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                name = f"{below}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{name}/")
                elif entry.is_symlink() and os.path.isdir(entry.path):  # False for a link to itself
                    heapq.heappush(links, f"{name}/")
                elif os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                    names.append(name)
    return names
