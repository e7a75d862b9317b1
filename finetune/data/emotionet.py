"""EmotioNet: action units of images from the web, in one CSV file.

::

    EmotioNet_FACS_aws_2020_24600.csv       or any other name; the only .csv file in the root

    URL,AU 1,AU 2,AU 4,...
    https://host/N_000001/N_0000000001.jpg,0,1,999,...

A column ``AU <number>`` is an action unit, with or without the space, leading zeros and quotes;
``image`` or ``URL`` (in any case) is the image, other columns are left alone. 999 is missing. The
space has the file's action units, in its order. An address is assumed to stand for its path below
the host (``N_000001/N_0000000001.jpg``), a relative path for itself. There are no splits.

Source: Fabian Benitez-Quiroz, Srinivasan, Martinez, "EmotioNet: An accurate, real-time algorithm
for the automatic annotation of a million facial expressions in the wild", CVPR 2016, and the files
of its challenges.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np

from finetune.data.annotations import AnnotationError, Annotations
from finetune.data.columns import (
    WHOLE,
    check_split,
    entries,
    image_name,
    make_targets,
    placed,
)
from finetune.data.csv_files import read_header, read_table
from finetune.labels import EMOTIONET, ActionUnitSpace, LabelError, action_units_from_codes

SPLITS = (WHOLE,)

#: Folders below the root that may hold the images.
IMAGE_ROOTS = (".",)

_UNIT = re.compile(r"'?\s*AU\s*0*([1-9]\d?)\s*'?", re.ASCII)
_IMAGE_COLUMNS = ("image", "url")


def read(root: Path, split: str) -> Annotations:
    """The images of the list and their action units.

    Args:
        root: with the list.
        split: the one of :data:`SPLITS`.

    Raises:
        AnnotationError: the list is not as above, or not the only one.
    """
    check_split(root, split, SPLITS)
    lists = [name for name in entries(root, "a CSV file") if name.lower().endswith(".csv")]
    if len(lists) != 1:
        raise AnnotationError(root, None, f"{len(lists)} CSV files", "one")
    file = root / lists[0]
    header = read_header(file)
    images = [name for name in header if name.lower() in _IMAGE_COLUMNS]
    units = {name: int(match[1]) for name in header if (match := _UNIT.fullmatch(name))}
    if len(images) != 1 or not units:
        got = f"{len(images)} columns of images and {len(units)} of action units"
        raise AnnotationError(file, 1, got, "image or URL, and AU 1 and so on")
    try:
        space = ActionUnitSpace("emotionet", tuple(units.values()))
    except LabelError as error:
        raise AnnotationError(file, 1, str(error.got), error.expected, "the header") from None
    table = read_table(file, (images[0], *units))
    codes = np.stack([table.whole(name) for name in units], axis=1)
    with placed(file, table.lines):
        values = action_units_from_codes(codes, space, missing=EMOTIONET.action_units)
    names = zip(table.lines, table.columns[images[0]], strict=True)
    return Annotations(
        [_image(file, line, cell, images[0]) for line, cell in names],
        make_targets(len(codes), action_units=values, action_unit_space=space),
    )


def _image(file: Path, line: int, cell: str, column: str) -> str:
    path = cell
    if "://" in cell:
        try:
            address = urlsplit(cell)
            path = unquote(address.path).lstrip("/") if address.netloc else ""
        except ValueError:  # a host that cannot be one
            path = ""
    if not path:
        raise AnnotationError(file, line, repr(cell), "the address of an image", column)
    return image_name(file, line, path, column)
