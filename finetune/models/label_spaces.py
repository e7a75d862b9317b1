"""Which tasks a model answers, and what its columns stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from finetune.labels import ActionUnitSpace, ExpressionSpace


@dataclass(frozen=True, kw_only=True)
class LabelSpaces:
    """The meaning of every column of a model's :class:`~finetune.labels.Predictions`.

    Attributes:
        expressions: columns of ``expression_logits``; None: the model does not know them.
        action_units: columns of ``action_unit_logits``; None: likewise.
        valence_arousal: whether there are valence and arousal, in this order.
    """

    expressions: ExpressionSpace | None = None
    action_units: ActionUnitSpace | None = None
    valence_arousal: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON values: every name in its order, so that a file needs no table of spaces."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LabelSpaces:
        """From what :meth:`to_json` gave.

        Raises:
            KeyError: a key is missing.
            TypeError: keys or values of another kind.
            LabelError: names that no space may have.
        """
        expressions, units = values["expressions"], values["action_units"]
        if not isinstance(values["valence_arousal"], bool):
            raise TypeError(f"valence_arousal {values['valence_arousal']!r}")
        return cls(
            expressions=expressions
            and ExpressionSpace(expressions["name"], tuple(expressions["classes"])),
            action_units=units and ActionUnitSpace(units["name"], tuple(units["units"])),
            valence_arousal=values["valence_arousal"],
        )

    def __str__(self) -> str:
        """One line for errors: ``expressions lsd_6 (Anger, ...)``."""
        parts = ["valence and arousal"] if self.valence_arousal else []
        if self.expressions is not None:
            classes = ", ".join(self.expressions.classes)
            parts.append(f"expressions {self.expressions.name} ({classes})")
        if self.action_units is not None:
            units = ", ".join(self.action_units.names)
            parts.append(f"action units {self.action_units.name} ({units})")
        return "; ".join(parts)
