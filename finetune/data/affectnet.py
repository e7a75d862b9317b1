"""AffectNet: the lists of 2017, or the folders of the release of 2021.

2017; the lists lie beside the images or in ``Manually_Annotated_file_lists/``::

    training.csv, validation.csv
    Manually_Annotated_Images/<folder>/<file>

    subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal
    689/737d.jpg,1,16,15,118,34.99;83.01;...,1,0.785714,-0.055556

A list without its header has these nine columns in this order. Columns are found by their names
otherwise. Missing are valence and arousal of -2, and the expressions 8 (none), 9 (uncertain) and
10 (no face).

2021; each label is a NumPy file of one number, or of its text::

    train_set/images/<id>.jpg      train_set/annotations/<id>_exp.npy, _val.npy, _aro.npy, _lnd.npy
    val_set/...                    the same

Images come in the order of their ids there.

Source: Mollahosseini, Hasani, Mahoor, "AffectNet", IEEE TAC 2019, and the files of both releases.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from finetune.data.annotations import AnnotationError, Annotations
from finetune.data.columns import (
    check_split,
    entries,
    find_one,
    image_name,
    make_targets,
    placed,
    real_numbers,
    shown,
    whole_numbers,
)
from finetune.data.csv_files import read_table
from finetune.labels import (
    AFFECTNET,
    EXPRESSION_SPACES,
    VALENCE_AROUSAL,
    Floats,
    Integers,
    LabelError,
    Targets,
    expression_from_codes,
    valence_arousal_from_codes,
)

SPLITS = ("train", "validation")

#: Folders below the root that may hold the images, the usual one first.
IMAGE_ROOTS = (
    *("Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images"),
    ".",
)

_LISTS = {"train": "training.csv", "validation": "validation.csv"}
_FOLDERS = {"train": "train_set", "validation": "val_set"}

_IMAGE = "subDirectory_filePath"
_COLUMNS = (
    *(_IMAGE, "face_x", "face_y", "face_width", "face_height", "facial_landmarks"),
    *("expression", *VALENCE_AROUSAL),
)

#: What the files of a label end in.
_ENDINGS = dict(
    zip(("expression", *VALENCE_AROUSAL), ("_exp.npy", "_val.npy", "_aro.npy"), strict=True)
)

#: The start of a NumPy file of one value; pickled objects ('|O') do not match.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\0..\{'descr': '([<>|][USfiu]\d{1,3})', 'fortran_order': (?:False|True), "
    rb"'shape': \(\), \} *\n",
    re.DOTALL,
)

#: So many bytes are read; a file of one number is far shorter.
_LONGEST = 4096

Value = TypeVar("Value", np.int64, np.float64)


def read(root: Path, split: str) -> Annotations:
    """The images of a split and their labels, in the space ``affectnet_8``.

    Args:
        root: of either release.
        split: one of :data:`SPLITS`.

    Raises:
        AnnotationError: the files are not as above.
    """
    check_split(root, split, SPLITS)
    name, folder = _LISTS[split], _FOLDERS[split]
    place = find_one(root, (name, f"Manually_Annotated_file_lists/{name}", folder))
    return _read_folder(root, folder) if place.name == folder else _read_list(place)


def _read_list(file: Path) -> Annotations:
    table = read_table(file, (_IMAGE, "expression", *VALENCE_AROUSAL), headerless=_COLUMNS)
    images = table.columns[_IMAGE]
    for line, image in zip(table.lines, images, strict=True):
        image_name(file, line, image, _IMAGE)
    values = np.stack([table.real(name) for name in VALENCE_AROUSAL], axis=1)
    codes = table.whole("expression")
    with placed(file, table.lines):
        return Annotations(images, _targets(codes, values))


def _read_folder(root: Path, split_folder: str) -> Annotations:
    folder = root / split_folder / "annotations"
    expected = "files <id>_exp.npy and so on"
    found = set[str]()  # an id that lacks one of its files is refused when that is read
    for ending in _ENDINGS.values():
        names = (name for name in entries(folder, expected) if name.endswith(ending))
        found.update(name.removesuffix(ending) for name in names)
    if not found:
        raise AnnotationError(folder, None, "no labels", expected)
    ids = sorted(found, key=lambda name: (len(name), name))  # numbers: 9 comes before 10
    codes = _column(folder, ids, "expression", whole_numbers)
    values = np.stack([_column(folder, ids, name, real_numbers) for name in VALENCE_AROUSAL], 1)
    try:
        targets = _targets(codes, values)
    except LabelError as error:
        file = folder / f"{ids[error.row or 0]}{_ENDINGS[error.column]}"
        raise AnnotationError(file, None, str(error.got), error.expected, error.column) from None
    return Annotations([f"{split_folder}/images/{name}.jpg" for name in ids], targets)


def _column(
    folder: Path, ids: list[str], label: str, convert: Callable[..., NDArray[Value]]
) -> NDArray[Value]:
    """The labels of all images [n]."""
    dtypes: dict[bytes, np.dtype[np.generic]] = {}  # by the header; few are different
    paths = [f"{folder}/{name}{_ENDINGS[label]}" for name in ids]
    texts = [_read(path, label, dtypes) for path in paths]
    try:
        return convert(folder, [None] * len(ids), texts, label)
    except AnnotationError:
        for path, text in zip(paths, texts, strict=True):
            convert(Path(path), [None], [text], label)  # names the file
        raise


def _read(path: str, label: str, dtypes: dict[bytes, np.dtype[np.generic]]) -> str:
    """The text of the number in a NumPy file."""
    expected = "a NumPy file of one number or its text"
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            content = os.read(file, _LONGEST)
        finally:
            os.close(file)
    except OSError as error:
        raise AnnotationError(Path(path), None, error.strerror or str(error), expected) from None
    start = 10 + int.from_bytes(content[8:10], "little")
    header = content[:start]
    try:
        if header not in dtypes:
            dtypes[header] = _dtype(header)
        return _text(content[start:], dtypes[header])
    except (ValueError, TypeError):
        got = shown(content[10:].decode("latin-1"))
        raise AnnotationError(Path(path), None, got, expected, label) from None


def _dtype(header: bytes) -> np.dtype[np.generic]:
    match = _HEADER.fullmatch(header)
    if match is None:
        raise ValueError("not the header of one value")
    return np.dtype(match[1].decode())  # TypeError: NumPy has no such type


def _text(content: bytes, dtype: np.dtype[np.generic]) -> str:
    """The one value of a file as text."""
    if len(content) != dtype.itemsize:
        raise ValueError("not one value")
    if dtype.kind == "U":  # NumPy fails badly on what is no character
        return content.decode("utf-32-be" if dtype.byteorder == ">" else "utf-32-le").strip("\0")
    if dtype.kind == "S":
        return content.decode("ascii").strip("\0")
    return str(np.frombuffer(content, dtype)[0])


def _targets(codes: Integers, values: Floats) -> Targets:
    space = EXPRESSION_SPACES["affectnet_8"]
    return make_targets(
        len(codes),
        valence_arousal=valence_arousal_from_codes(values, missing=AFFECTNET.valence_arousal),
        expression=expression_from_codes(codes, space, missing=AFFECTNET.expression),
        expression_space=space,
    )
