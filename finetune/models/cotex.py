"""CoTEX: encoders that were trained together on one image, each through a mask of its own.

Here is what predicts: every view sees the whole image, and their logits are put together.

Shapes: B batch, K expressions.

Source: Li et al. 2022, "Affective behaviour analysis using pretrained model with facial prior".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from finetune.labels import ExpressionSpace, Predictions, expression_space
from finetune.models.affect import AffectModel, ViTConfig
from finetune.models.label_spaces import LabelSpaces

_COMBINE = ("mean", "sum")


@dataclass(frozen=True, kw_only=True)
class CoTEXConfig(ViTConfig):
    """CoTEX; all views are of one size.

    Attributes:
        expressions: the space of the logits: a name, or expressions with commas.
        views: encoders, at least 1.
        combine: mean or sum of the views' logits. The most likely class is the same; sums give
            probabilities that are nearer to 0 and 1. The paper sums, of what it does not say.
    """

    expressions: str = "lsd_6"
    views: int = 2
    combine: str = "mean"

    def __post_init__(self) -> None:
        """Refuses unknown names and numbers out of range."""
        super().__post_init__()
        if self.views < 1:
            raise ValueError(f"views {self.views}, expected at least 1")
        if self.combine not in _COMBINE:
            raise ValueError(f"combine {self.combine!r}, expected one of {', '.join(_COMBINE)}")
        expression_space(self.expressions)

    @property
    def space(self) -> ExpressionSpace:
        """What the logits stand for."""
        return expression_space(self.expressions)

    def build(self) -> CoTEX:
        """The model, with fresh weights."""
        return CoTEX(self)


class View(nn.Module):
    """One encoder and its linear head on the class token.

    Args:
        config: of the whole model.
    """

    def __init__(self, config: CoTEXConfig) -> None:
        super().__init__()
        self.encoder = config.encoder()
        self.head = nn.Linear(config.shape.embed_dim, len(config.space))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, K] of images [B, 3, H, W], uint8 or float, 0..255."""
        return self.head(self.encoder(images)[:, 0])  # type: ignore[no-any-return]


class CoTEX(AffectModel):
    """Views that answer together, unmasked.

    Args:
        config: what it is.
    """

    def __init__(self, config: CoTEXConfig) -> None:
        super().__init__(config, LabelSpaces(expressions=config.space))
        self.views = nn.ModuleList(View(config) for _ in range(config.views))
        self._combine = config.combine

    def forward(self, images: Tensor) -> Predictions:
        """Expression logits [B, K] of images [B, 3, H, W], uint8 or float, 0..255."""
        logits = torch.stack([view(images) for view in self.views])
        combined = logits.mean(0) if self._combine == "mean" else logits.sum(0)
        return Predictions(expression_logits=combined)
