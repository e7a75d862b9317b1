"""Named label spaces: which names the integers of a file, or the columns of a model, stand for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from pretrain.errors import UserError

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
        ExpressionSpace(
            "ckplus_8",
            (
                *("Neutral", "Anger", "Contempt", "Disgust"),
                *("Fear", "Happiness", "Sadness", "Surprise"),
            ),
        ),
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
