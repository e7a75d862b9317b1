"""From one label space to another, by name: what has no counterpart is missing.

n rows, K expressions, A action units.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from finetune.labels.spaces import ActionUnitSpace, ExpressionSpace, LabelError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: Conversions that are a choice and no equality, by name. Challenge teams call Contempt Other.
MAPPINGS: Mapping[str, Mapping[str, str]] = {"contempt_to_other": {"Contempt": "Other"}}


def expression_indices(
    source: ExpressionSpace, target: ExpressionSpace, mapping: str | None = None
) -> tuple[Integers, Mask]:
    """For each class of the source its index in the target, [K], and whether it has one, [K].

    Args:
        source: the space of the labels.
        target: the space that is wanted.
        mapping: a name of :data:`MAPPINGS`; it acts on names that the target lacks only.
    """
    renamed = _mapping(mapping)
    names = [name if name in target.classes else renamed.get(name, name) for name in source.classes]
    valid = np.array([name in target.classes for name in names])
    indices = [target.classes.index(name) if name in target.classes else 0 for name in names]
    return np.array(indices, np.int64), valid


def action_unit_columns(source: ActionUnitSpace, target: ActionUnitSpace) -> tuple[Integers, Mask]:
    """For each column of the target its column in the source, [A], and whether there is one."""
    valid = np.array([unit in source.units for unit in target.units])
    columns = [source.units.index(unit) if unit in source.units else 0 for unit in target.units]
    return np.array(columns, np.int64), valid


def convert_votes(
    votes: Floats, source: ExpressionSpace, target: ExpressionSpace, mapping: str | None = None
) -> tuple[Floats, Mask]:
    """Shares [n, K of source] as shares [n, K of target], and which rows keep any, [n].

    Classes that meet in one are added; what has no counterpart is taken out and the rest scaled to
    1 again.
    """
    indices, counted = expression_indices(source, target, mapping)
    converted = np.zeros((len(votes), len(target)))
    np.add.at(converted.T, indices[counted], votes.T[counted])
    total = converted.sum(1)
    kept = total > 0
    converted[kept] /= total[kept, None]
    return converted, kept


def _mapping(name: str | None) -> Mapping[str, str]:
    if name is None:
        return {}
    if name not in MAPPINGS:
        raise LabelError(f"mapping {name!r}", f"one of {', '.join(MAPPINGS)}")
    return MAPPINGS[name]
