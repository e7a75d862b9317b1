"""What a label means: named spaces, conversions by name, and the only place that knows sentinels.

An integer in a file means nothing until a space says which names it counts. Files mark missing
labels with numbers (-5, -2, -1, 9, 999); the functions ``*_from_codes`` turn them into ``valid``
masks, and nothing after them ever sees one.

n rows, K expressions, A action units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pretrain.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: The field's names. A label that is none of them is refused, whatever its spelling means.
EXPRESSIONS = (
    *("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise"),
    *("Contempt", "Other"),
)

#: What the columns of :attr:`Targets.valence_arousal` are called.
VALENCE_AROUSAL = ("valence", "arousal")


class LabelError(UserError):
    """A label outside of its space.

    Attributes:
        row: of the array that was read, from 0; None: it is about the space itself.
        column: what the value is called, if it is one of several.
        got: the value.
        expected: what could have stood there.
    """

    def __init__(
        self, got: object, expected: str, row: int | None = None, column: str = ""
    ) -> None:
        self.got, self.expected, self.row, self.column = got, expected, row, column
        where = "" if row is None else f"row {row}, "
        super().__init__(f"{where}{column}{' ' * bool(column)}{got}: expected {expected}")


@dataclass(frozen=True)
class ExpressionSpace:
    """Expressions in the order in which a file, or a model, counts them.

    Attributes:
        name: of the space.
        classes: names of :data:`EXPRESSIONS`, by index.
    """

    name: str
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuses unknown and repeated names."""
        for expression in self.classes:
            if expression not in EXPRESSIONS:
                raise LabelError(expression, f"one of {', '.join(EXPRESSIONS)}")
        if len(set(self.classes)) < len(self.classes) or not self.classes:
            raise LabelError(", ".join(self.classes), f"distinct expressions in {self.name}")

    def __len__(self) -> int:
        """K."""
        return len(self.classes)

    def index(self, name: str) -> int:
        """The index of an expression, whose name may be written in any case.

        Raises:
            LabelError: not in this space.
        """
        for index, expression in enumerate(self.classes):
            if expression.lower() == name.strip().lower():
                return index
        raise LabelError(repr(name), f"one of {', '.join(self.classes)} ({self.name})")


@dataclass(frozen=True)
class ActionUnitSpace:
    """Action units in the order in which a file, or a model, lists them.

    Attributes:
        name: of the space.
        units: numbers of the Facial Action Coding System, by column.
    """

    name: str
    units: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuses numbers that are none, and repeated ones."""
        for unit in self.units:
            if not 1 <= unit <= 99:
                raise LabelError(f"AU{unit}", "AU1 to AU99")
        if len(set(self.units)) < len(self.units) or not self.units:
            raise LabelError(", ".join(self.names), f"distinct action units in {self.name}")

    def __len__(self) -> int:
        """A."""
        return len(self.units)

    @property
    def names(self) -> tuple[str, ...]:
        """AU1 ... as columns are called."""
        return tuple(f"AU{unit}" for unit in self.units)


Space = TypeVar("Space", ExpressionSpace, ActionUnitSpace)


def _by_name(spaces: Iterable[Space]) -> dict[str, Space]:
    return {space.name: space for space in spaces}


_BASIC = ("Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise")
_AFFECTNET = ("Neutral", "Happiness", "Sadness", "Surprise", "Fear", "Disgust", "Anger")

#: Sources: the challenges' and datasets' own descriptions of their files.
EXPRESSION_SPACES = _by_name(
    [
        ExpressionSpace("aff_wild2_8", ("Neutral", *_BASIC, "Other")),  # ABAW3 and later
        ExpressionSpace("aff_wild2_7", ("Neutral", *_BASIC)),  # ABAW1 and ABAW2
        ExpressionSpace("affectnet_8", (*_AFFECTNET, "Contempt")),
        ExpressionSpace("affectnet_7", _AFFECTNET),
        ExpressionSpace("alphabetical_8", tuple(sorted((*_AFFECTNET, "Contempt")))),  # HSEmotion
        ExpressionSpace("fer2013_7", (*_BASIC, "Neutral")),
        ExpressionSpace(
            "ferplus_8",
            (
                *("Neutral", "Happiness", "Surprise", "Sadness", "Anger"),
                *("Disgust", "Fear", "Contempt"),
            ),
        ),
        ExpressionSpace(  # its files count from 1
            "rafdb_7",
            ("Surprise", "Fear", "Disgust", "Happiness", "Sadness", "Anger", "Neutral"),
        ),
        ExpressionSpace("lsd_6", _BASIC),
    ]
)

ACTION_UNIT_SPACES = _by_name(
    [
        ActionUnitSpace("aff_wild2_12", (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26)),
        ActionUnitSpace("aff_wild_8", (1, 2, 4, 6, 12, 15, 20, 25)),  # 2018 to 2020
        ActionUnitSpace("bp4d_12", (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)),
        ActionUnitSpace("disfa_12", (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)),
        ActionUnitSpace("disfa_8", (1, 2, 4, 6, 9, 12, 25, 26)),  # of the published F1
    ]
)

#: Conversions that are a choice and no equality, by name. Challenge teams call Contempt Other.
MAPPINGS: Mapping[str, Mapping[str, str]] = {"contempt_to_other": {"Contempt": "Other"}}


def expression_space(name: str) -> ExpressionSpace:
    """A space by its name, or a list of expressions: ``affectnet_8`` or ``Anger,Neutral``.

    Raises:
        LabelError: neither.
    """
    if name in EXPRESSION_SPACES:
        return EXPRESSION_SPACES[name]
    if "," in name:
        every = ExpressionSpace("every expression", EXPRESSIONS)
        classes = tuple(EXPRESSIONS[every.index(part)] for part in name.split(","))
        return ExpressionSpace(name, classes)
    known = ", ".join(EXPRESSION_SPACES)
    raise LabelError(f"expression space {name!r}", f"one of {known}, or expressions with commas")


def action_unit_space(name: str) -> ActionUnitSpace:
    """A space by its name, or a list of action units: ``bp4d_12`` or ``AU1,AU2,AU25``.

    Raises:
        LabelError: neither.
    """
    if name in ACTION_UNIT_SPACES:
        return ACTION_UNIT_SPACES[name]
    numbers = [part.strip().removeprefix("AU") for part in name.split(",")]
    if all(number.isascii() and number.isdigit() for number in numbers):
        return ActionUnitSpace(name, tuple(int(number) for number in numbers))
    known = ", ".join(ACTION_UNIT_SPACES)
    raise LabelError(f"action unit space {name!r}", f"one of {known}, or AUs with commas")


@dataclass(frozen=True)
class Targets:
    """Labels of n images in named spaces. Where ``valid`` is False, the value means nothing (0).

    Attributes:
        valence_arousal: [n, 2] in [-1, 1].
        valence_arousal_valid: [n, 2].
        expression: [n] indices into ``expression_space``.
        expression_valid: [n].
        action_units: [n, A], 0 or 1, columns of ``action_unit_space``.
        action_units_valid: [n, A].
        expression_space: what the indices count.
        action_unit_space: what the columns are.
        expression_votes: [n, K] shares of raters that add up to 1, where a source has them.
    """

    valence_arousal: Floats
    valence_arousal_valid: Mask
    expression: Integers
    expression_valid: Mask
    action_units: Integers
    action_units_valid: Mask
    expression_space: ExpressionSpace
    action_unit_space: ActionUnitSpace
    expression_votes: Floats | None = None

    def __post_init__(self) -> None:
        """Refuses arrays that do not belong together: our own fault, not a user's."""
        n, units = len(self.expression), len(self.action_unit_space)
        for name, shape in {
            "valence_arousal": (n, 2),
            "expression": (n,),
            "action_units": (n, units),
        }.items():
            assert getattr(self, name).shape == getattr(self, f"{name}_valid").shape == shape, name
        votes = self.expression_votes
        assert votes is None or votes.shape == (n, len(self.expression_space))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.expression)

    def to(
        self,
        expressions: ExpressionSpace,
        action_units: ActionUnitSpace,
        mapping: str | None = None,
    ) -> Targets:
        """The same labels in other spaces; what has no counterpart becomes missing.

        Args:
            expressions: the new expressions.
            action_units: the new action units.
            mapping: a name of :data:`MAPPINGS`; None converts equal names only.
        """
        order, counted = expression_indices(self.expression_space, expressions, mapping)
        columns, listed = action_unit_columns(self.action_unit_space, action_units)
        valid = self.expression_valid & counted[self.expression]
        units_valid = self.action_units_valid[:, columns] & listed
        votes = self.expression_votes
        if votes is not None:
            votes, voted = convert_votes(votes, self.expression_space, expressions, mapping)
            valid = valid & voted
        return Targets(
            valence_arousal=self.valence_arousal,
            valence_arousal_valid=self.valence_arousal_valid,
            expression=np.where(valid, order[self.expression], 0),
            expression_valid=valid,
            action_units=np.where(units_valid, self.action_units[:, columns], 0),
            action_units_valid=units_valid,
            expression_space=expressions,
            action_unit_space=action_units,
            expression_votes=votes,
        )


@dataclass(frozen=True)
class Predictions:
    """What a model says of n images; a task that it does not know is None.

    Attributes:
        valence_arousal: [n, 2].
        expression_logits: [n, K], columns of the model's expression space.
        action_unit_logits: [n, A], columns of the model's action unit space.
    """

    valence_arousal: Tensor | None = None
    expression_logits: Tensor | None = None
    action_unit_logits: Tensor | None = None


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


def _mapping(name: str | None) -> Mapping[str, str]:
    if name is None:
        return {}
    if name not in MAPPINGS:
        raise LabelError(f"mapping {name!r}", f"one of {', '.join(MAPPINGS)}")
    return MAPPINGS[name]
