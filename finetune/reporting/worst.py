"""The worst mistakes: which rows are shown to a person, and what is said of them.

The surest mistake of a video is usually that of its next frame as well. So the mistakes shown are,
as far as there are enough, of different recordings (people, where there are no recordings but
subjects), and of different action units.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from finetune.data.annotations import Annotations
from finetune.labels import Floats
from finetune.scoring.joined import Joined


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One row that is shown.

    Attributes:
        row: of the labels.
        target: what the label says; of valence and arousal "V +0.20, A -0.31".
        prediction: what the table says.
        size: what the mistakes are ordered by: a probability, or a distance.
    """

    row: int
    target: str
    prediction: str
    size: float


def worst_expressions(joined: Joined, count: int) -> list[Mistake]:
    """The wrong expressions that the table is surest of, the surest first.

    Args:
        joined: predictions and labels; expressions are among them.
        count: how many at most.
    """
    assert joined.table.expression is not None
    target, decided = joined.annotations.targets.expression, joined.table.decided_expression()
    rows = np.flatnonzero(joined.expression_valid() & (target != decided))
    sure = joined.table.expression[rows, decided[rows]]
    return [
        Mistake(
            row=int(rows[at]),
            target=joined.classes[target[rows[at]]],
            prediction=joined.classes[decided[rows[at]]],
            size=float(sure[at]),
        )
        for at in _chosen(joined.annotations, rows.tolist(), sure, [], count)
    ]


def worst_affect(joined: Joined, count: int) -> list[Mistake]:
    """The predictions of valence and arousal that are farthest off, the farthest first.

    Args:
        joined: predictions and labels; valence or arousal are among them. The distance is that in
            the plane, or along the one that is known.
        count: how many at most.
    """
    known, predicted = joined.affect()
    apart = np.sqrt(((predicted - known) ** 2).sum(1))
    rows = np.flatnonzero(joined.affect_valid().all(1) & (apart > 0))

    def place(values: Floats) -> str:
        return ", ".join(
            f"{name[0].upper()} {value:+.2f}".replace("-", "\u2212")
            for name, value in zip(joined.series, values, strict=True)
        )

    return [
        Mistake(
            row=int(rows[at]),
            target=place(known[rows[at]]),
            prediction=place(predicted[rows[at]]),
            size=float(apart[rows[at]]),
        )
        for at in _chosen(joined.annotations, rows.tolist(), apart[rows], [], count)
    ]


def worst_action_units(joined: Joined, count: int) -> list[Mistake]:
    """The wrong decisions whose probability is farthest from the label, the farthest first.

    Args:
        joined: predictions and labels; action units are among them.
        count: how many at most.
    """
    present, probability, decided = joined.action_units()
    rows, units = np.nonzero(joined.units_valid() & (present != decided))
    apart = np.abs(probability - present)[rows, units]
    there = present[rows, units] == 1
    mistakes = []
    for at in _chosen(joined.annotations, rows.tolist(), apart, units.tolist(), count):
        unit = joined.units[units[at]]
        said = (unit, f"no {unit}") if there[at] else (f"no {unit}", unit)
        mistakes.append(
            Mistake(row=int(rows[at]), target=said[0], prediction=said[1], size=float(apart[at]))
        )
    return mistakes


def _chosen(
    annotations: Annotations,
    rows: Sequence[int],
    sizes: Floats,
    units: Sequence[int],
    count: int,
) -> list[int]:
    """Which mistakes are shown, the largest first; ``units`` may be left out."""
    groups = annotations.groups
    order = np.argsort(-sizes, kind="stable").tolist()
    keys = [
        (annotations.images[rows[at]], groups[rows[at]], *((units[at],) if units else ()))
        for at in order
    ]
    return [order[place] for place in spread(keys, count)]


def spread(keys: Sequence[tuple[Hashable, ...]], count: int) -> list[int]:
    """The first candidates that have nothing in common, and the next ones where these are too few.

    Args:
        keys: of each candidate, what no two shall share, the most important first: that is never
            shared, the rest only where there are too few candidates otherwise.
        count: how many at most.

    Returns:
        Places of the chosen ones, ascending.
    """
    chosen = set[int]()
    for parts in range(len(keys[0]) if keys else 0, 0, -1):
        seen = [{keys[place][part] for place in chosen} for part in range(parts)]
        for place, key in enumerate(keys):
            if len(chosen) == count:
                break
            if any(key[part] in seen[part] for part in range(parts)):
                continue
            chosen.add(place)
            for part in range(parts):
                seen[part].add(key[part])
    return sorted(chosen)
