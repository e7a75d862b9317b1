"""From a table to the bytes of a submission."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from finetune.labels import Floats, Integers, action_unit_columns
from finetune.scoring.joined import occurrences
from finetune.submission.answers import Answers
from finetune.submission.challenges import Challenge, ChallengeError
from finetune.submission.template import Template
from finetune.table import PredictionTable

#: Of valence and arousal: more than raters can tell, and read back to the same number.
DECIMALS = 6

#: Images that a message names.
_NAMED = 3


def choose(table: PredictionTable, template: Template, *, subset: bool = False) -> PredictionTable:
    """The rows of a template, in its order, joined on the image and its occurrence.

    Args:
        table: in any order.
        template: the rows to predict.
        subset: whether the table may have further rows: one table of every video, a list a track.

    Raises:
        ChallengeError: a listed row is not in the table, or has no prediction; or the table has
            further rows: mostly it is of another list then, or the list was cut short.
    """
    rows = _rows(table, template, subset)
    chosen = table.select(rows)
    if (null := ~chosen.present).any():
        empty = [chosen.images[row] for row in np.flatnonzero(null)[:_NAMED].tolist()]
        more = ", ..." if null.sum() > _NAMED else ""
        raise ChallengeError(
            f"{null.sum()} of {len(chosen)} rows have no prediction ({', '.join(empty)}{more}),"
            " expected one in every row: python -m finetune.postprocess --fill nearest fills them"
        )
    return chosen


def _rows(table: PredictionTable, template: Template, subset: bool) -> Integers:
    if list(table.images) == list(template.images):
        return np.arange(len(template))
    places = {key: row for row, key in enumerate(occurrences(table.images))}
    wanted = occurrences(template.images)
    if lost := [key for key in wanted if key not in places]:
        strange = len(lost) == len(wanted)
        hint = f" (the table's first is {table.images[0]})" if strange and len(table) else ""
        raise ChallengeError(
            f"lacks {len(lost)} of the {len(wanted)} rows of {template.file}: {_first(lost)},"
            f" expected every listed image{hint}"
        )
    known = set(wanted)
    if not subset and (further := [key for key in places if key not in known]):
        raise ChallengeError(
            f"{len(further)} of {len(table)} rows are not in {template.file}: {_first(further)},"
            " expected the listed images alone; --subset true leaves the others out"
        )
    return np.array([places[key] for key in wanted], np.int64)


def _first(keys: Sequence[tuple[str, int]]) -> str:
    named = [f"{image} (occurrence {n + 1})" if n else image for image, n in keys[:_NAMED]]
    return ", ".join([*named, *(["..."] if len(keys) > _NAMED else [])])


def decide(table: PredictionTable, challenge: Challenge, mapping: str | None = None) -> Answers:
    """What a table without null rows says of each row: biases and thresholds applied.

    Args:
        table: of :func:`choose`.
        challenge: whose spaces are wanted.
        mapping: between expressions, a name of :data:`~finetune.labels.MAPPINGS`.

    Raises:
        ChallengeError: the table lacks a task, or an action unit, that the challenge asks for.
        TableError: a row whose whole probability is of expressions that the challenge lacks.
    """
    affect = expression = units = None
    if challenge.valence_arousal:
        affect = _rounded(_known(table.valence_arousal, "valence and arousal", challenge))
    if challenge.expressions is not None:
        _known(table.expression, "expressions", challenge)
        expression = table.in_space(challenge.expressions, mapping).decided_expression()
    if challenge.action_units is not None:
        _known(table.action_units, "action units", challenge)
        assert table.action_unit_space is not None
        columns, there = action_unit_columns(table.action_unit_space, challenge.action_units)
        if not there.all():
            lacking = [challenge.action_units.names[place] for place in np.flatnonzero(~there)]
            raise ChallengeError(
                f"has no {', '.join(lacking)}, expected every action unit of {challenge.name}:"
                f" {', '.join(challenge.action_units.names)}"
            )
        units = table.decided_action_units()[:, columns]
    return Answers(valence_arousal=affect, expression=expression, action_units=units)


def _known(values: Floats | None, task: str, challenge: Challenge) -> Floats:
    if values is None:
        expected = ", ".join(challenge.columns)
        raise ChallengeError(f"has no {task}, expected what {challenge.name} needs: {expected}")
    return values


def _rounded(values: Floats) -> Floats:
    """As they are written: no more decimals, and no negative zero."""
    return np.asarray(np.round(np.clip(values, -1, 1), DECIMALS) + 0.0)


def encode(answers: Answers, template: Template, challenge: Challenge) -> dict[str, bytes]:
    """The files of a submission by name: a header, a line a row, each with an end."""
    columns = list[Sequence[str]]()
    if not challenge.per_video:
        columns.append(template.images)
    if answers.valence_arousal is not None:
        columns += [[f"{v:.{DECIMALS}f}" for v in part] for part in answers.valence_arousal.T]
    for whole in (answers.expression, answers.action_units):
        if whole is not None:
            columns += [list(map(str, part.tolist())) for part in np.atleast_2d(whole.T)]
    lines = [",".join(cells) for cells in zip(*columns, strict=True)]
    return {
        name: "\n".join([challenge.header, *lines[rows.start : rows.stop], ""]).encode()
        for name, rows in template.files.items()
    }
