"""Expressions teach action units, and action units expressions, where a face has labels of one.

Shapes: B batch, K expressions, A action units.

Source: Kollias, Sharmanska and Zafeiriou 2021 (arXiv 2105.03790), distribution matching and soft
co-annotation. A reconstruction where the paper leaves it open: what teaches gets no gradient, and
expressions that the table does not know teach nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from finetune.labels import ActionUnitSpace, ExpressionSpace, Targets
from pretrain.errors import UserError

#: Share of people who show an action unit with an expression; 1: it makes the expression out.
#: Source: Du, Tao and Martinez 2014, "Compound facial expressions of emotion", table 1.
DU_2014: Mapping[str, Mapping[int, float]] = {
    "Neutral": {},
    "Happiness": {12: 1, 25: 1, 6: 0.51},
    "Sadness": {4: 1, 15: 1, 1: 0.60, 6: 0.50, 11: 0.26, 17: 0.67},
    "Fear": {1: 1, 4: 1, 20: 1, 25: 1, 2: 0.57, 5: 0.63, 26: 0.33},
    "Anger": {4: 1, 7: 1, 24: 1, 10: 0.26, 17: 0.52, 23: 0.29},
    "Surprise": {1: 1, 2: 1, 25: 1, 26: 1, 5: 0.66},
    "Disgust": {9: 1, 10: 1, 17: 1, 4: 0.31, 24: 0.26},
}

_TABLES = ("du_2014", "estimated")

#: Rows of an expression that an estimate stands on.
_ENOUGH = 5


class CouplingError(UserError):
    """Labels that a table cannot be estimated from."""


@dataclass(frozen=True, kw_only=True)
class CouplingConfig:
    """What tasks teach each other where labels do not overlap.

    Attributes:
        distribution_matching: weight of the cross-entropy between the AUs of an image without AU
            labels and those that its expression goes with; 0: none.
        co_annotation: weight of the cross-entropy between the expression of an image without one
            and those that its labelled AUs go with; 0: none.
        table: which AUs go with which expression: du_2014, or estimated from training images that
            have both labels.
    """

    distribution_matching: float = 0.0
    co_annotation: float = 0.0
    table: str = "du_2014"

    def __post_init__(self) -> None:
        """Refuses negative weights and unknown tables."""
        if min(self.distribution_matching, self.co_annotation) < 0:
            raise ValueError(
                f"distribution_matching {self.distribution_matching}, co_annotation"
                f" {self.co_annotation}, expected 0 or more"
            )
        if self.table not in _TABLES:
            raise ValueError(f"table {self.table!r}, expected one of {', '.join(_TABLES)}")

    @property
    def wanted(self) -> bool:
        """Whether anything is taught."""
        return self.distribution_matching > 0 or self.co_annotation > 0

    def shares(self, targets: Targets) -> Tensor:
        """p(AU | expression): [K, A] float32, rows of NaN for expressions that are not known.

        Args:
            targets: labels of the training rows, in the model's spaces.

        Raises:
            CouplingError: nothing is known of these expressions and AUs.
        """
        if self.table == "estimated":
            return estimated_table(targets)
        shares = published_table(targets.expression_space, targets.action_unit_space)
        if shares.isnan().any(1).all() or not shares.nan_to_num(0).any():
            raise CouplingError(
                f"coupling.table du_2014: knows no action unit of {targets.action_unit_space.name}"
                f" with any expression of {targets.expression_space.name}, expected some"
            )
        return shares


def published_table(expressions: ExpressionSpace, action_units: ActionUnitSpace) -> Tensor:
    """:data:`DU_2014` in other spaces: [K, A]; NaN for expressions that it does not have."""
    rows = [
        [
            DU_2014[name].get(unit, 0.0) if name in DU_2014 else float("nan")
            for unit in action_units.units
        ]
        for name in expressions.classes
    ]
    return torch.tensor(rows)


def estimated_table(targets: Targets) -> Tensor:
    """Share of the rows of each expression that show each AU: [K, A]; NaN below five rows.

    Raises:
        CouplingError: no expression has enough of them.
    """
    classes = len(targets.expression_space)
    labels = torch.from_numpy(targets.expression)
    units = torch.from_numpy(targets.action_units).float()
    valid = torch.from_numpy(targets.action_units_valid & targets.expression_valid[:, None])
    chosen = F.one_hot(labels, classes).float()  # [n, K]
    counts = chosen.T @ valid.float()  # [K, A]
    present = chosen.T @ (units * valid)
    shares = torch.where(counts >= _ENOUGH, present / counts.clamp(min=1), torch.nan)
    shares[shares.isnan().any(1)] = torch.nan  # half a row would teach that the rest is absent
    if shares.isnan().all():
        raise CouplingError(
            f"coupling.table estimated: no expression has {_ENOUGH} images with labels of every AU,"
            " expected some; coupling.table du_2014 needs none"
        )
    return shares


def matched_units(expression_logits: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """q(AU) = sum over expressions of p(expression) p(AU | expression), among known ones.

    Args:
        expression_logits: [B, K].
        shares: [K, A], rows of NaN where not known.

    Returns:
        q [B, A] without gradient, and the probability [B] of the expressions that are known.
    """
    known = ~shares.isnan().any(1)
    chances = expression_logits.detach().float().softmax(1)[:, known]  # [B, K']
    mass = chances.sum(1)
    return (chances @ shares[known]) / mass.clamp(min=1e-12)[:, None], mass


def co_annotated(
    action_units: Tensor, valid: Tensor, shares: Tensor, neutral: int | None
) -> tuple[Tensor, Tensor]:
    """q(expression) = softmax of the weighted share of an expression's AUs that are active.

    Neutral counts as the share of all labelled AUs that are not active: an own choice, where the
    paper has none.

    Args:
        action_units: [B, A], 0 or 1; anything where it is not valid.
        valid: [B, A] bool.
        shares: [K, A], rows of NaN where not known.
        neutral: index of the expression without AUs; None: there is none.

    Returns:
        q [B, K], 0 for unknown expressions, and whether [B] any AU is labelled.
    """
    known = ~shares.isnan().any(1)
    weights = shares.nan_to_num(0)
    active = action_units.where(valid, 0).float()
    labelled = valid.float()
    weight = labelled @ weights.T  # [B, K]: of the AUs of which something is known
    found = (active @ weights.T) / weight.clamp(min=1e-12)
    found = found.masked_fill(~known | (weight == 0), -torch.inf)
    if neutral is not None:
        found[:, neutral] = 1 - active.sum(1) / labelled.sum(1).clamp(min=1)
    seen = valid.any(1) & found.isfinite().any(1)
    return found.where(seen[:, None], 0).softmax(1) * seen[:, None], seen


def taught_units(logits: Tensor, taught: Tensor, rows: Tensor) -> Tensor:
    """Sum of the binary cross-entropies of AUs [B, A] with what is taught, of some rows [B]."""
    entries = F.binary_cross_entropy_with_logits(logits.float(), taught, reduction="none")
    return (entries * rows[:, None]).sum()


def taught_expressions(logits: Tensor, taught: Tensor, rows: Tensor) -> Tensor:
    """Sum of the cross-entropies of expressions [B, K] with what is taught, of some rows [B]."""
    entries = -(taught * logits.float().log_softmax(1)).sum(1)
    return (entries * rows).sum()
