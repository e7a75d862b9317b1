"""Labels of images, and what a model says of them, in named spaces.

n rows, K expressions, A action units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune.labels.conversion import (
    Floats,
    Integers,
    Mask,
    action_unit_columns,
    convert_votes,
    expression_indices,
)
from finetune.labels.spaces import ActionUnitSpace, ExpressionSpace

if TYPE_CHECKING:
    from torch import Tensor


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
        expression_votes: [n, K] shares of raters that add up to 1, where a source has them; 0 where
            there is no valid expression.
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
            votes[~valid] = 0
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

    def select(self, rows: Integers) -> Targets:
        """The labels of some images, in this order."""
        votes = self.expression_votes
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in _BY_ROW}
        return replace(self, **columns, expression_votes=None if votes is None else votes[rows])

    @classmethod
    def joined(cls, parts: Sequence[Targets]) -> Targets:
        """The labels of several lists after each other; all are in the same spaces.

        Votes are kept if some part has them; where another has none, a label is all of the votes.
        """
        first = parts[0]
        assert all(
            (part.expression_space, part.action_unit_space)
            == (first.expression_space, first.action_unit_space)
            for part in parts
        )
        voted = any(part.expression_votes is not None for part in parts)
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in _BY_ROW
        }
        return replace(
            first,
            **columns,
            expression_votes=np.concatenate([_votes(part) for part in parts]) if voted else None,
        )


#: Fields of :class:`Targets` with a row an image, but for the votes.
_BY_ROW = (
    *("valence_arousal", "valence_arousal_valid", "expression", "expression_valid"),
    *("action_units", "action_units_valid"),
)


def _votes(targets: Targets) -> Floats:
    if targets.expression_votes is not None:
        return targets.expression_votes
    votes = np.eye(len(targets.expression_space))[targets.expression]
    return np.asarray(votes * targets.expression_valid[:, None])


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
