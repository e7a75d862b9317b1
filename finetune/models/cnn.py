"""Expression CNNs: what EMMA asks of one, and any timm network in that place.

Shapes: B batch, H height, W width, F width of the features, K expressions.
"""

from __future__ import annotations

from dataclasses import dataclass

import timm
import torch
from torch import Tensor

from finetune.labels import ExpressionSpace, Predictions, expression_space
from finetune.models.affect import AffectModel, ModelConfig
from finetune.models.label_spaces import LabelSpaces


@dataclass(frozen=True, kw_only=True)
class CNNConfig(ModelConfig):
    """A network that knows expressions.

    Attributes:
        image_size: pixels a side of the images that it was trained on; others may run.
        expressions: the space of its logits: a name, or expressions with commas.
    """

    expressions: str = "affectnet_8"

    def __post_init__(self) -> None:
        """Refuses a space that is not known: logits without names are of no use."""
        super().__post_init__()
        expression_space(self.expressions)
        self.check_side(self.image_size)

    @property
    def space(self) -> ExpressionSpace:
        """What the logits stand for."""
        return expression_space(self.expressions)

    def check_side(self, side: int) -> None:
        """Refuses images of a number of pixels a side that the network cannot take.

        Raises:
            ValueError: it cannot.
        """

    def build(self) -> ExpressionCNN:
        """The network, with fresh weights."""
        raise NotImplementedError


class ExpressionCNN(AffectModel):
    """A network that gives expression logits, and the pooled features under them.

    Args:
        config: what it is.
        num_features: F.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: CNNConfig, num_features: int) -> None:
        super().__init__(config, LabelSpaces(expressions=config.space))
        self.num_features = num_features
        self.register_buffer("mean", torch.tensor(config.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(3, 1, 1), persistent=False)

    def normalise(self, images: Tensor) -> Tensor:
        """Images [B, 3, H, W], uint8 or float, 0..255, with the network's mean and std."""
        return (images.float() / 255 - self.mean) / self.std

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features [B, F] and logits [B, K] of images [B, 3, H, W], 0..255."""
        raise NotImplementedError

    def features(self, images: Tensor) -> Tensor:
        """See :class:`AffectModel`."""
        return self.features_and_logits(images)[0]

    def forward(self, images: Tensor) -> Predictions:
        """Expression logits of images [B, 3, H, W], uint8 or float, 0..255."""
        return Predictions(expression_logits=self.features_and_logits(images)[1])


@dataclass(frozen=True, kw_only=True)
class TimmCNNConfig(CNNConfig):
    """A timm network as an expression CNN.

    Attributes:
        name: of a timm architecture, without a tag: no weights are downloaded.
    """

    name: str = "resnet18"

    def __post_init__(self) -> None:
        """Refuses names that timm does not know."""
        super().__post_init__()
        if "." in self.name or not timm.is_model(self.name):
            raise ValueError(f"name {self.name!r}, expected a timm architecture without a tag")

    def build(self) -> TimmCNN:
        """The network, with fresh weights."""
        return TimmCNN(self)


class TimmCNN(ExpressionCNN):
    """A timm network with a classifier of K expressions.

    Args:
        config: what it is.
    """

    def __init__(self, config: TimmCNNConfig) -> None:
        network = timm.create_model(config.name, num_classes=len(config.space))
        super().__init__(config, network.head_hidden_size)
        self.network = network

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features [B, F] and logits [B, K] of images [B, 3, H, W], 0..255."""
        maps = self.network.forward_features(self.normalise(images))
        features = self.network.forward_head(maps, pre_logits=True)
        return features, self.network.get_classifier()(features)
