"""Where images come from: a list of names, and pixels for each.

Stage two and other sources build on :class:`Source`; whoever reads one needs nothing else.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pretrain.data.images import SUFFIXES, Pixels, decode
from pretrain.errors import UserError


class SourceError(UserError):
    """A source that cannot be opened or holds nothing."""


class Source(Protocol):
    """A fixed sequence of images.

    Attributes:
        names: the images' names within the source. Sample ids come from them, so they must not
            depend on where the source lies.
    """

    @property
    def names(self) -> Sequence[str]:
        """One name an image."""

    def image(self, index: int) -> Pixels:
        """The pixels of an image: [H, W, 3] uint8 RGB.

        Raises:
            BadImage: it cannot be decoded.
        """


class FolderSource:
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
            self.names: Sequence[str] = sorted(_image_names(root))
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
