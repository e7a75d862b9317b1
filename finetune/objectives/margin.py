"""ArcFace: an angle that the right class has to be ahead by, in training alone.

Shapes: B batch, K classes.

Source: Deng et al. 2019, "ArcFace: additive angular margin loss for deep face recognition",
equation 3; for expressions: Kollias and Zafeiriou 2019 (arXiv 1910.04855).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

#: Cosines stay this far inside (-1, 1): the derivative of an angle is infinite at its ends.
_EDGE = 1e-6


@dataclass(frozen=True, kw_only=True)
class MarginConfig:
    """The margin, for models with ``expression_head: cosine``.

    Attributes:
        angle: m in radians, in [0, pi / 2); 0: a plain softmax over scaled cosines. 0.5 is usual
            for thousands of people.
        warmup_epochs: epochs over which the angle grows linearly from 0; 0: none.
    """

    angle: float = 0.0
    warmup_epochs: float = 5.0

    def __post_init__(self) -> None:
        """Refuses angles and epochs out of range."""
        if not 0 <= self.angle < math.pi / 2:
            raise ValueError(f"angle {self.angle}, expected in [0, pi / 2)")
        if self.warmup_epochs < 0:
            raise ValueError(f"warmup_epochs {self.warmup_epochs}, expected 0 or more")

    def at(self, epoch: int) -> float:
        """The angle in an epoch, counted from 0."""
        return self.angle * (min(1.0, epoch / self.warmup_epochs) if self.warmup_epochs else 1.0)


def with_margin(
    logits: Tensor, expression: Tensor, valid: Tensor, *, scale: float, angle: float
) -> Tensor:
    """Logits in which the angle of the right class is larger by a margin.

    Past an angle of pi - m, where cos(t + m) would rise again, it goes on falling along a line
    (as in the authors' code).

    Args:
        logits: [B, K], s cos(t) with t the angles between features and classes.
        expression: [B] int64 indices; anything where it is not valid.
        valid: [B] bool; rows without a label stay as they are.
        scale: s.
        angle: m in radians.

    Returns:
        [B, K] in float32.
    """
    if not angle:
        return logits
    classes = expression.where(valid, 0).unsqueeze(1)
    cosine = (logits.float().gather(1, classes) / scale).clamp(-1 + _EDGE, 1 - _EDGE)  # [B, 1]
    sine = (1 - cosine.square()).sqrt()
    harder = cosine * math.cos(angle) - sine * math.sin(angle)  # cos(t + m)
    line = cosine - math.sin(math.pi - angle) * angle
    harder = torch.where(cosine > math.cos(math.pi - angle), harder, line)
    kept = logits.float()
    return kept.scatter(
        1, classes, torch.where(valid[:, None], scale * harder, kept.gather(1, classes))
    )
