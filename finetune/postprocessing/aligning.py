"""Tables brought into the rows, classes and action units of the first of them, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from finetune.labels import ActionUnitSpace, ExpressionSpace, action_unit_columns
from finetune.scoring.joined import occurrences
from finetune.table import PredictionTable, TableError

#: Rows that a message names.
_NAMED = 3

Spaces = tuple[ExpressionSpace | None, ActionUnitSpace | None]


def first_spaces(tables: Sequence[PredictionTable]) -> Spaces:
    """The spaces of the first table that knows expressions, and action units; None: none does."""
    classes = (t.expression_space for t in tables if t.expression is not None)
    units = (t.action_unit_space for t in tables if t.action_units is not None)
    return next(classes, None), next(units, None)


def in_spaces(table: PredictionTable, spaces: Spaces) -> PredictionTable:
    """The same predictions with columns in another order, and without thresholds and biases.

    Raises:
        TableError: the table has other classes or action units than these.
    """
    classes, units = spaces
    table = replace(table, thresholds=None, biases=None)
    if table.expression_space is not None and table.expression is not None:
        assert classes is not None
        _refuse_unequal(table.expression_space.classes, classes.classes)
        table = table.in_space(classes)
    if table.action_unit_space is not None and table.action_units is not None:
        assert units is not None
        _refuse_unequal(table.action_unit_space.names, units.names)
        columns, _ = action_unit_columns(table.action_unit_space, units)
        ordered = table.action_units[:, columns]
        table = replace(table, action_units=ordered, action_unit_space=units)
    return table


def aligned(members: Mapping[str, PredictionTable]) -> list[PredictionTable]:
    """Tables of the same images in the rows and spaces of the first.

    Args:
        members: by what messages call them.

    Raises:
        TableError: other images, videos, frames, classes or action units than in the first.
    """
    spaces = first_spaces(list(members.values()))
    tables = list[PredictionTable]()
    for name, table in members.items():
        try:
            if tables:
                table = in_order(table, tables[0].images)
                _refuse_other_frames(table, tables[0])
            tables.append(in_spaces(table, spaces))
        except TableError as error:
            raise TableError(f"{name}: {error}") from None
    return tables


def in_order(table: PredictionTable, images: Sequence[str]) -> PredictionTable:
    """The rows of a table in the order of a list of the same images.

    Raises:
        TableError: an image of one is not in the other.
    """
    if list(table.images) == list(images):
        return table
    wanted, own = occurrences(images), occurrences(table.images)
    places, asked = {key: row for row, key in enumerate(own)}, set(wanted)
    for what, lost in (
        ("lacks", [key for key in wanted if key not in places]),
        ("has besides", [key for key in own if key not in asked]),
    ):
        if lost:
            first = ", ".join(image for image, _ in lost[:_NAMED])
            more = ", ..." if len(lost) > _NAMED else ""
            raise TableError(
                f"{what} {len(lost)} rows of {len(wanted)}: {first}{more}; expected the same images"
            )
    return table.select(np.array([places[key] for key in wanted], np.int64))


def _refuse_other_frames(table: PredictionTable, first: PredictionTable) -> None:
    places = [
        (
            None if one.videos is None else list(one.videos),
            None if one.frames is None else one.frames.tolist(),
        )
        for one in (table, first)
    ]
    if places[0] != places[1]:
        raise TableError("other videos or frame numbers than in the first table, expected the same")


def _refuse_unequal(own: Sequence[str], wanted: Sequence[str]) -> None:
    if set(own) != set(wanted):
        raise TableError(f"got {', '.join(own)}, expected {', '.join(wanted)}, as the others have")
