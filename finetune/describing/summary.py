"""The counts of one split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from finetune.data.annotations import Annotations
from finetune.data.published import Published
from finetune.labels import VALENCE_AROUSAL, Floats, Mask

#: What is counted in rows, images, videos or people, and how people read it.
TOTALS: Mapping[str, str] = {
    "rows": "rows",
    "unique_images": "unique images",
    "duplicate_rows": "duplicate rows",
    "videos": "videos",
    "recordings": "recordings",
    "subjects": "subjects",
    "valence_arousal": "rows with valence or arousal",
    "one_of_valence_arousal": "rows with one of the two",
    "expression": "rows with an expression",
    "action_units": "rows with action units",
    "some_action_units": "rows with some of them",
    "all_tasks": "rows with all three tasks",
    "no_task": "rows with no label",
}


@dataclass(frozen=True, kw_only=True)
class Unit:
    """An action unit.

    Attributes:
        labelled: rows with a label of it.
        present: those in which it is there.
    """

    labelled: int
    present: int


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Valence or arousal over its labelled rows; None: there is none.

    Attributes:
        labelled: rows.
        mean: of their values, in [-1, 1] as all of them.
        sd: standard deviation of the population.
        least: smallest value.
        most: largest value.
    """

    labelled: int
    mean: float | None
    sd: float | None
    least: float | None
    most: float | None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a split holds.

    Attributes:
        totals: by the names of :data:`TOTALS`; videos, recordings and subjects only where they are
            known.
        classes: rows by expression.
        units: by name.
        affect: valence and arousal.
    """

    totals: Mapping[str, int]
    classes: Mapping[str, int]
    units: Mapping[str, Unit]
    affect: Mapping[str, Spread]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A count and what is published.

    Attributes:
        part: totals, classes or units.
        name: of the count in it.
        got: in this copy.
        published: elsewhere.
    """

    part: str
    name: str
    got: int
    published: int

    @property
    def agrees(self) -> bool:
        """Whether they are equal: counts of labels have no tolerance."""
        return self.got == self.published


def summarise(annotations: Annotations) -> Summary:
    """Counts the rows of a split."""
    targets = annotations.targets
    units = targets.action_units_valid
    present = (targets.action_units.astype(bool) & units).sum(0)
    codes = targets.expression[targets.expression_valid]
    classes = np.bincount(codes, minlength=len(targets.expression_space))
    return Summary(
        totals=_totals(annotations),
        classes=dict(zip(targets.expression_space.classes, classes.tolist(), strict=True)),
        units={
            name: Unit(labelled=labelled, present=there)
            for name, labelled, there in zip(
                targets.action_unit_space.names,
                units.sum(0).tolist(),
                present.tolist(),
                strict=True,
            )
        },
        affect={
            name: _spread(targets.valence_arousal[:, place], valid)
            for place, (name, valid) in enumerate(
                zip(VALENCE_AROUSAL, targets.valence_arousal_valid.T, strict=True)
            )
        },
    )


def compare(summary: Summary, published: Published | None) -> list[Comparison]:
    """Every published count beside that of this copy; what this copy lacks altogether is 0."""
    if published is None:
        return []
    got = {
        "totals": summary.totals,
        "classes": summary.classes,
        "units": {name: unit.present for name, unit in summary.units.items()},
    }
    return [
        Comparison(part=part, name=name, got=got[part].get(name, 0), published=count)
        for part in got
        for name, count in getattr(published, part).items()
    ]


def _totals(annotations: Annotations) -> dict[str, int]:
    targets, rows = annotations.targets, len(annotations)
    unique = len(set(annotations.images))
    totals = {"rows": rows, "unique_images": unique, "duplicate_rows": rows - unique}
    if annotations.videos is not None:
        totals["videos"] = len(set(annotations.videos))
        totals["recordings"] = len(set(annotations.recordings))
    if annotations.subjects is not None:
        totals["subjects"] = len(set(annotations.subjects))
    affect, units = targets.valence_arousal_valid, targets.action_units_valid
    tasks = np.stack([affect.any(1), targets.expression_valid, units.any(1)])
    counts = {
        "valence_arousal": tasks[0],
        "one_of_valence_arousal": tasks[0] & ~affect.all(1),
        "expression": tasks[1],
        "action_units": tasks[2],
        "some_action_units": tasks[2] & ~units.all(1),
        "all_tasks": tasks.all(0),
        "no_task": ~tasks.any(0),
    }
    return totals | {name: int(marked.sum()) for name, marked in counts.items()}


def _spread(values: Floats, valid: Mask) -> Spread:
    known = values[valid]
    if not known.size:
        return Spread(labelled=0, mean=None, sd=None, least=None, most=None)
    return Spread(
        labelled=len(known),
        mean=float(known.mean()),
        sd=float(known.std()),
        least=float(known.min()),
        most=float(known.max()),
    )
