"""Sentinels: the numbers by which files mark missing labels, and the only place that knows them.

The functions ``*_from_codes`` turn a file's numbers into values and ``valid`` masks; nothing after
them ever sees a sentinel.

n rows, A action units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from finetune.labels.conversion import Floats, Integers, Mask
from finetune.labels.spaces import VALENCE_AROUSAL, ActionUnitSpace, ExpressionSpace, LabelError


@dataclass(frozen=True, kw_only=True)
class Sentinels:
    """What stands for no label in the files of a collection.

    Attributes:
        valence_arousal: values.
        expression: codes.
        action_units: codes.
    """

    valence_arousal: tuple[float, ...] = ()
    expression: tuple[int, ...] = ()
    action_units: tuple[int, ...] = ()


#: Sources: the collections' own descriptions of their files.
AFF_WILD2 = Sentinels(valence_arousal=(-5,), expression=(-1,), action_units=(-1,))
AFFECTNET = Sentinels(valence_arousal=(-2,), expression=(8, 9, 10))  # none, uncertain, no face
EMOTIONET = Sentinels(action_units=(999,))
#: Of our own codes, for readers that find out by other means than a number that there is no label.
NO_EXPRESSION = -1


def valence_arousal_from_codes(
    values: ArrayLike, *, missing: Sequence[float], scale: float = 1.0
) -> tuple[Floats, Mask]:
    """Valence and arousal [n, 2] with sentinels as values in [-1, 1] and a mask.

    Args:
        values: as a file has them.
        missing: values that stand for no label (-5 in Aff-Wild2, -2 in AffectNet).
        scale: what the file's values are divided by (10 in AFEW-VA).

    Raises:
        LabelError: a value outside of [-scale, scale] that is no sentinel.
    """
    table = np.asarray(values, np.float64)
    valid = ~np.isin(table, missing)
    outside = valid & ~(np.abs(table) <= scale)  # NaN is outside as well
    if outside.any():
        row, column = (int(place[0]) for place in np.nonzero(outside))
        sentinels = " or ".join(f"{value:g}" for value in missing)
        raise LabelError(
            f"{table[row, column]:g}",
            f"in [-{scale:g}, {scale:g}]" + (f", or {sentinels} for none" if missing else ""),
            row,
            VALENCE_AROUSAL[column],
        )
    return np.where(valid, table / scale, 0.0), valid


def expression_from_codes(
    codes: ArrayLike, space: ExpressionSpace, *, missing: Sequence[int], first: int = 0
) -> tuple[Integers, Mask]:
    """Expression codes [n] with sentinels as indices and a mask.

    Args:
        codes: as a file has them.
        space: what they count.
        missing: codes that stand for no label (-1 in Aff-Wild2; 8, 9, 10 in AffectNet).
        first: the file's code of the first class (1 in RAF-DB).

    Raises:
        LabelError: a code that is neither.
    """
    numbers = np.asarray(codes, np.int64)
    valid = ~np.isin(numbers, missing)
    indices = numbers - first
    outside = valid & ((indices < 0) | (indices >= len(space)))
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        sentinels = " or ".join(str(value) for value in missing)
        raise LabelError(
            int(numbers[row]),
            f"{first} to {first + len(space) - 1} ({', '.join(space.classes)})"
            + (f", or {sentinels} for none" if missing else ""),
            row,
            "expression",
        )
    return np.where(valid, indices, 0), valid


def action_units_from_codes(
    values: ArrayLike,
    space: ActionUnitSpace,
    *,
    missing: Sequence[int],
    present_from: int = 1,
    highest: int = 1,
) -> tuple[Integers, Mask]:
    """Action unit codes [n, A] with sentinels as 0 or 1 and a mask.

    Args:
        values: occurrences or intensities, as a file has them.
        space: what the columns are.
        missing: codes that stand for no label (-1 in Aff-Wild2, 9 in BP4D, 999 in EmotioNet).
        present_from: lowest intensity that counts as present (2 in DISFA).
        highest: highest code of the file (1 for occurrences, 5 for intensities).

    Raises:
        LabelError: a code outside of 0..highest that is no sentinel.
    """
    table = np.asarray(values, np.int64)
    valid = ~np.isin(table, missing)
    outside = valid & ((table < 0) | (table > highest))
    if outside.any():
        row, column = (int(place[0]) for place in np.nonzero(outside))
        sentinels = " or ".join(str(value) for value in missing)
        raise LabelError(
            int(table[row, column]),
            f"0 to {highest}" + (f", or {sentinels} for none" if missing else ""),
            row,
            space.names[column],
        )
    return np.where(valid, table >= present_from, False).astype(np.int64), valid
