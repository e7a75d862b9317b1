"""CoTEX: encoders that were trained together on one image, each through a mask of its own.

To predict, every view sees the whole image, and their answers are put together.

Shapes: B batch, K expressions.

Source: Li et al. 2022, "Affective behaviour analysis using pretrained model with facial prior".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from finetune.labels import ExpressionSpace, Predictions, expression_space
from finetune.models.affect import AffectModel, ViTConfig
from finetune.models.label_spaces import LabelSpaces
from finetune.models.layer_decay import layers_of_encoder

_COMBINE = ("mean", "sum", "probabilities")


@dataclass(frozen=True, kw_only=True)
class CoTEXConfig(ViTConfig):
    """CoTEX; all views are of one size.

    Attributes:
        expressions: the space of the logits: a name, or expressions with commas.
        views: how many look, at least 1.
        shared: one encoder and head for all views, told apart by their masks alone: the cheap
            variant.
        combine: mean or sum of the views' logits, or probabilities: their mean. The most likely
            class is the same for mean and sum; sums give probabilities that are nearer to 0 and 1.
            The paper sums, of what it does not say.
    """

    expressions: str = "lsd_6"
    views: int = 2
    shared: bool = False
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

    def forward(self, images: Tensor, visible: Tensor | None = None) -> Tensor:
        """Logits [B, K] of images [B, 3, H, W], uint8 or float, 0..255.

        Args:
            images: them.
            visible: [B, V] patches that are seen; None: all.
        """
        return self.head(self.encoder(images, visible)[:, 0])  # type: ignore[no-any-return]


class CoTEX(AffectModel):
    """Views that answer together, unmasked.

    Args:
        config: what it is.
    """

    def __init__(self, config: CoTEXConfig) -> None:
        super().__init__(config, LabelSpaces(expressions=config.space))
        encoders = 1 if config.shared else config.views
        self.views = nn.ModuleList(View(config) for _ in range(encoders))
        self._combine = config.combine

    def forward(self, images: Tensor) -> Predictions:
        """Expression logits [B, K] of images [B, 3, H, W], uint8 or float, 0..255."""
        logits = torch.stack([view(images) for view in self.views])
        if self._combine == "probabilities":
            combined = logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))
        else:
            combined = logits.mean(0) if self._combine == "mean" else logits.sum(0)
        return Predictions(expression_logits=combined)

    def answer_views(self, images: Tensor, visible: Sequence[Tensor | None]) -> list[Predictions]:
        """What each view answers to what it sees of the images."""
        views = list(self.views) * (len(visible) if len(self.views) == 1 else 1)
        return [
            Predictions(expression_logits=view(images, seen))
            for view, seen in zip(views, visible, strict=True)
        ]

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """What timm groups parameters by, see :mod:`~finetune.models.layer_decay`.

        Args:
            coarse: timm may ask for fewer layers; there is one grouping here.
        """
        return layers_of_encoder(r"views\.\d+\.encoder")
