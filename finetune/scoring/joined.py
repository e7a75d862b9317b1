"""A table and the labels of the same images, row by row.

Rows are joined on the image and its occurrence, never on their place: a table in another order
gives the same scores, as long as rows of one image keep their order among themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from finetune.data.annotations import Annotations
from finetune.labels import (
    EXPRESSION_SPACES,
    EXPRESSIONS,
    VALENCE_AROUSAL,
    ExpressionSpace,
    Floats,
    Integers,
    Mask,
    expression_indices,
)
from finetune.table import PredictionTable, TableError
from finetune.tallies import Confusion, Decisions, Moments, Tallies

#: Images that a message names.
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Predictions and labels in the same order and spaces.

    Attributes:
        table: a row for each row of the labels, expressions in the labels' space.
        annotations: the labels.
        series: which of valence and arousal both the model and some label know.
        classes: names of the expressions; empty: the model, or every label, lacks them.
        units: names of the action units that the model and some label know.
        notes: what was left out, a line each.
    """

    table: PredictionTable
    annotations: Annotations
    series: tuple[str, ...]
    classes: tuple[str, ...]
    units: tuple[str, ...]
    notes: tuple[str, ...]

    def affect_valid(self) -> Mask:
        """[n, series], where there are both a label and a prediction."""
        places = [VALENCE_AROUSAL.index(name) for name in self.series]
        valid = self.annotations.targets.valence_arousal_valid[:, places]
        return np.asarray(valid & self.table.present[:, None])

    def expression_valid(self) -> Mask:
        """[n], likewise."""
        return np.asarray(self.annotations.targets.expression_valid & self.table.present)

    def units_valid(self) -> Mask:
        """[n, units], likewise."""
        valid = self.annotations.targets.action_units_valid[:, self._label_columns()]
        return np.asarray(valid & self.table.present[:, None])

    def affect(self) -> tuple[Floats, Floats]:
        """Labels and predictions [n, series]."""
        assert self.table.valence_arousal is not None
        places = [VALENCE_AROUSAL.index(name) for name in self.series]
        known = self.annotations.targets.valence_arousal[:, places]
        return known, self.table.valence_arousal[:, places]

    def action_units(self) -> tuple[Integers, Floats, Integers]:
        """Labels, probabilities and decisions [n, units]."""
        assert self.table.action_units is not None
        assert self.table.action_unit_space is not None
        columns = [self.table.action_unit_space.names.index(name) for name in self.units]
        known = self.annotations.targets.action_units[:, self._label_columns()]
        probabilities = self.table.action_units[:, columns]
        return known, probabilities, self.table.decided_action_units()[:, columns]

    def tallies(self, cluster: Integers | None = None) -> Tallies:
        """The sums that every metric is made of, of all rows or by cluster [n]."""
        affect = expression = units = None
        if self.series:
            known, predicted = self.affect()
            affect = Moments.of(
                target=known, prediction=predicted, valid=self.affect_valid(), cluster=cluster
            )
        if self.classes:
            expression = Confusion.of(
                target=self.annotations.targets.expression,
                prediction=self.table.decided_expression(),
                classes=len(self.classes),
                valid=self.expression_valid(),
                cluster=cluster,
            )
        if self.units:
            present, _, decided = self.action_units()
            units = Decisions.of(
                target=present, prediction=decided, valid=self.units_valid(), cluster=cluster
            )
        return Tallies(valence_arousal=affect, expression=expression, action_units=units)

    def _label_columns(self) -> list[int]:
        names = self.annotations.targets.action_unit_space.names
        return [names.index(name) for name in self.units]


def join(table: PredictionTable, annotations: Annotations, mapping: str | None = None) -> Joined:
    """Joins a table with labels.

    Labels without videos take the table's; where both have them, they must not contradict each
    other. Expressions are scored in the labels' space if that is a named one. A space that was made
    of the labels that happen to occur, as a manifest's, grows by the model's classes: a prediction
    of one that no label has is wrong, and not to be taken out.

    Args:
        table: of the labelled images, in any order.
        annotations: the labels.
        mapping: between expressions, a name of :data:`~finetune.labels.MAPPINGS`.

    Raises:
        TableError: an image of one is not in the other, videos or frames that contradict each
            other, or no label can be scored.
    """
    table = table.select(_rows(table.images, annotations.images))
    if not table.present.any():
        raise TableError(f"got no prediction in any of {len(table)} rows, expected some")
    annotations = _known_to_both(table, annotations, mapping)
    targets, notes = annotations.targets, list[str]()
    there = table.present
    if missing := int((~there).sum()):
        notes.append(
            f"{missing} of {len(table)} rows have no prediction and are not scored,"
            f" {_first(table.images, ~there)}"
        )
    series: tuple[str, ...] = ()
    if table.valence_arousal is not None:
        labelled = _any_row(targets.valence_arousal_valid, there)
        series = tuple(compress(VALENCE_AROUSAL, labelled))
    classes: tuple[str, ...] = ()
    if table.expression_space is not None and (targets.expression_valid & there).any():
        classes = targets.expression_space.classes
        notes += _unlike(table.expression_space, targets.expression_space, mapping)
        table = table.in_space(targets.expression_space, mapping)
    units: tuple[str, ...] = ()
    if table.action_unit_space is not None:
        labelled = _any_row(targets.action_units_valid, there)
        names = list(compress(targets.action_unit_space.names, labelled))
        units = tuple(name for name in names if name in table.action_unit_space.names)
        if unknown := [name for name in names if name not in units]:
            notes.append(f"the model has no {', '.join(unknown)}, left out")
    if not (series or classes or units):
        raise TableError("got no label of any task that the table predicts, expected some")
    return Joined(
        table=table,
        annotations=annotations,
        series=series,
        classes=classes,
        units=units,
        notes=tuple(notes),
    )


def _known_to_both(
    table: PredictionTable, annotations: Annotations, mapping: str | None
) -> Annotations:
    """The labels in the space in which they are scored, with the videos that either side knows."""
    if table.videos is not None and annotations.videos is None:
        annotations = replace(annotations, videos=table.videos, frames=table.frames)
    elif table.videos is not None and annotations.videos is not None:
        _refuse_other_videos(table, annotations)
    own, space = table.expression_space, annotations.targets.expression_space
    if own is None or space.name in EXPRESSION_SPACES:
        return annotations
    _, found = expression_indices(own, space, mapping)
    if found.all():
        return annotations
    more = compress(own.classes, (~found).tolist())
    union = own
    if not set(space.classes) <= set(own.classes):
        names = {*space.classes, *more}
        classes = tuple(name for name in EXPRESSIONS if name in names)
        union = ExpressionSpace(",".join(classes), classes)
    targets = annotations.targets.to(union, annotations.targets.action_unit_space, mapping)
    return replace(annotations, targets=targets)


def _refuse_other_videos(table: PredictionTable, annotations: Annotations) -> None:
    """Refuses a table that groups or numbers the rows in another way than the labels do."""
    assert table.videos is not None
    assert annotations.videos is not None
    there, back = dict[str, str](), dict[str, str]()
    for row, (own, known) in enumerate(zip(table.videos, annotations.videos, strict=True)):
        if there.setdefault(own, known) != known or back.setdefault(known, own) != own:
            raise TableError(
                f"row {row + 1} ({table.images[row]}): video {own}, expected rows of one video"
                f" where the labels have one, here {known}"
            )
    if table.frames is None or annotations.frames is None:
        return
    if (other := table.frames != annotations.frames).any():
        row = int(other.argmax())
        raise TableError(
            f"row {row + 1} ({table.images[row]}): frame {table.frames[row]}, expected"
            f" {annotations.frames[row]} as in the labels"
        )


def _any_row(valid: Mask, there: Mask) -> list[bool]:
    """Whether some row of each column [n, columns] has a label and a prediction."""
    return [bool(column.any()) for column in (valid & there[:, None]).T]


def _unlike(own: ExpressionSpace, space: ExpressionSpace, mapping: str | None) -> list[str]:
    """What the model's classes and the labels' do not share."""
    indices, found = expression_indices(own, space, mapping)
    reached, notes = set(indices[found].tolist()), list[str]()
    if never := [name for place, name in enumerate(space.classes) if place not in reached]:
        notes.append(f"the model has no {', '.join(never)}, and never predicts it")
    if lost := list(compress(own.classes, (~found).tolist())):
        notes.append(f"the model's {', '.join(lost)} has no counterpart in the labels")
    return notes


def both_present(one: Joined, other: Joined) -> tuple[Joined, Joined]:
    """Two tables of the same labels, each without the predictions that the other lacks."""
    there = one.table.present & other.table.present
    first, second = (replace(joined, table=joined.table.without(~there)) for joined in (one, other))
    return first, second


def occurrences(images: Sequence[str]) -> list[tuple[str, int]]:
    """What rows are joined on: the image, and how many rows before have it."""
    seen: dict[str, int] = defaultdict(int)
    keys = []
    for image in images:
        keys.append((image, seen[image]))
        seen[image] += 1
    return keys


def _rows(predicted: Sequence[str], labelled: Sequence[str]) -> Integers:
    """For each labelled row the row of its prediction."""
    if list(predicted) == list(labelled):
        return np.arange(len(labelled))
    places = {key: row for row, key in enumerate(occurrences(predicted))}
    wanted = occurrences(labelled)
    for name, here, there in (
        ("the table lacks", wanted, places),
        ("the labels lack", list(places), set(wanted)),
    ):
        lost = [key for key in here if key not in there]
        if lost:
            first = ", ".join(
                image + (f" (occurrence {again + 1})" if again else "")
                for image, again in lost[:_NAMED]
            )
            more = ", ..." if len(lost) > _NAMED else ""
            raise TableError(
                f"{name} {len(lost)} of {len(here)} rows: {first}{more}; expected the same images"
                + (f" (the table's first is {predicted[0]})" if predicted else "")
            )
    return np.array([places[key] for key in wanted], np.int64)


def _first(images: Sequence[str], rows: Mask) -> str:
    at = np.flatnonzero(rows)[:_NAMED].tolist()
    return ", ".join(images[row] for row in at) + (", ..." if rows.sum() > _NAMED else "")
