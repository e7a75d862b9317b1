"""Learning from synthetic data (ABAW4): one basic expression an image, by the folder it lies in.

::

    training_set_synthetic_images/{ANGRER,DISGUST,FEAR,HAPPINESS,SADNESS,SURPRISE}/*.jpg
    validation_set_real_images/{ANGER,DISGUST,FEAR,HAPPINESS,SADNESS,SURPRISE}/*.jpg
    LSD_Challenge_test_set_release.txt        the images to predict, see `listed_images`
    lsd_test_data/0.jpg

The folder of anger is misspelt in the release, and differently in copies. All six folders must be
there and no others: what a folder's images show is known by its name alone, never by its place
among the others.

Source: the organisers' description of the challenge and its files.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from finetune.data.annotations import AnnotationError, Annotations
from finetune.data.challenge_files import listed_images
from finetune.data.columns import check_split, entries, make_targets
from finetune.labels import EXPRESSION_SPACES, LabelError, expression_from_codes
from pretrain.data.images import SUFFIXES

_FOLDERS = {"train": "training_set_synthetic_images", "validation": "validation_set_real_images"}
SPLITS = (*_FOLDERS, "test")

#: Folders below the root that may hold the images: those of the folders have their paths in full.
IMAGE_ROOTS = (".", "lsd_test_data")

_EXPRESSIONS = EXPRESSION_SPACES["lsd_6"]
_TEST_LIST = "LSD_Challenge_test_set_release.txt"

#: How the folders' names are misspelt, in small letters.
_ALIASES = dict.fromkeys(("angrer", "angere"), "anger")


def read(root: Path, split: str) -> Annotations:
    """The images of a split: by path, or for ``test`` in the order of the list.

    Args:
        root: folder of the files above.
        split: one of :data:`SPLITS`; in ``test`` every label is missing.

    Raises:
        AnnotationError: a file or a folder is missing, or unknown, or not as described.
    """
    check_split(root, split, SPLITS)
    if split == "test":
        images, _ = listed_images(root / _TEST_LIST)
        return Annotations(images, make_targets(len(images), expression_space=_EXPRESSIONS))
    folder = root / _FOLDERS[split]
    classes = _classes(folder)
    images, codes = [], []
    for name, code in sorted(classes.items()):
        for image in _images(folder / name):
            images.append(f"{_FOLDERS[split]}/{name}/{image}")
            codes.append(code)
    expression = expression_from_codes(np.array(codes), _EXPRESSIONS, missing=())
    targets = make_targets(len(images), expression=expression, expression_space=_EXPRESSIONS)
    return Annotations(images, targets)


def _classes(folder: Path) -> dict[str, int]:
    """The class of each folder; all six, each once."""
    names = ", ".join(expression.upper() for expression in _EXPRESSIONS.classes)
    expected = f"the folders {names}"
    classes: dict[str, int] = {}
    for name in entries(folder, expected):
        if not (folder / name).is_dir():
            if _is_image(name):
                raise AnnotationError(folder / name, None, "an image in no folder", expected)
            continue
        try:
            code = _EXPRESSIONS.index(_ALIASES.get(name.lower(), name))
        except LabelError:
            raise AnnotationError(folder / name, None, "an unknown folder", expected) from None
        for other in classes:
            if classes[other] == code:
                got = f"the folders {other} and {name}"
                raise AnnotationError(folder, None, got, "one folder for an expression")
        classes[name] = code
    for code, expression in enumerate(_EXPRESSIONS.classes):
        if code not in classes.values():
            got = f"no folder {expression.upper()}"
            raise AnnotationError(folder, None, got, expected)
    return classes


def _images(folder: Path) -> list[str]:
    """Names of a folder's images, sorted; files that are none are left out."""
    try:
        with os.scandir(folder) as found:
            visible = sorted((e.name, e.is_dir()) for e in found if not e.name.startswith("."))
    except OSError as error:
        got = error.strerror or str(error)
        raise AnnotationError(folder, None, got, "a folder of images") from None
    for name, is_folder in visible:
        if is_folder:
            raise AnnotationError(folder / name, None, "a folder", "images alone")
    names = [name for name, _ in visible if _is_image(name)]
    if not names:
        raise AnnotationError(folder, None, "no images", "images of the expression")
    return names


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES
