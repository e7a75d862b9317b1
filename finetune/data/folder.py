"""Images without labels: all those below a folder.

Names are paths relative to the folder, sorted, as stage one lists them. There are no splits.

Source: our own.
"""

from __future__ import annotations

from pathlib import Path

from finetune.data.annotations import AnnotationError, Annotations
from finetune.data.columns import WHOLE, check_split, make_targets, shown
from pretrain.data.sources import FolderSource

SPLITS = (WHOLE,)

#: The folder that the images are relative to.
IMAGE_ROOTS = (".",)


def read(root: Path, split: str) -> Annotations:
    """The images; every label is missing.

    Args:
        root: the folder; links to folders in it are followed once.
        split: the one of :data:`SPLITS`.

    Raises:
        AnnotationError: another split, or a name that no table can hold.
        SourceError: no image is there, or a folder cannot be listed.
    """
    check_split(root, split, SPLITS)
    images = FolderSource(root).names
    for image in images:
        if not image.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in image):
            raise AnnotationError(root, None, shown(image), "a name in UTF-8", "image")
    return Annotations(images, make_targets(len(images)))
