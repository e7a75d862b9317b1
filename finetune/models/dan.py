"""DAN: a ResNet-18 trunk under several attention heads that are made to look at different places.

Shapes: B batch, H height, W width, K expressions, 4 heads, 512 channels.

Source: Wen et al. 2021, "Distract your attention: multi-head cross attention network for facial
expression recognition". Built from its description; tests restate it.
"""

from __future__ import annotations

from dataclasses import dataclass

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from finetune.models.cnn import CNNConfig, ExpressionCNN

#: Channels of the trunk's maps, of the spatial attention inside, of the channel attention inside.
_WIDTH, _SPATIAL, _CHANNEL = 512, 256, 32
_HEADS = 4
#: Pixels of the image under a place of the trunk's maps.
_STRIDE = 32


@dataclass(frozen=True, kw_only=True)
class DANConfig(CNNConfig):
    """DAN. Its images are a multiple of 32 pixels a side."""

    def check_side(self, side: int) -> None:
        """Refuses sizes that the trunk's maps do not tile.

        Raises:
            ValueError: no multiple of 32.
        """
        if side % _STRIDE:
            raise ValueError(f"image_size {side}, expected a multiple of {_STRIDE} for DAN")

    def build(self) -> DAN:
        """The network, with fresh weights."""
        return DAN(self)


@dataclass(frozen=True)
class DANOutputs:
    """What the losses of DAN need.

    Attributes:
        logits: [B, K].
        features: [B, 512], the trunk's maps averaged, for the affinity loss.
        heads: [B, 4, 512], the heads after the log-softmax over them, for the partition loss.
    """

    logits: Tensor
    features: Tensor
    heads: Tensor


class SpatialAttention(nn.Module):
    """One map that weighs the places. There is no ReLU between the 1x1 convolution and the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce = _convolution(_WIDTH, _SPATIAL, (1, 1))
        self.square = _convolution(_SPATIAL, _WIDTH, (3, 3))
        self.row = _convolution(_SPATIAL, _WIDTH, (1, 3))
        self.column = _convolution(_SPATIAL, _WIDTH, (3, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, 512, h, w] weighed by place."""
        reduced = self.reduce(maps)
        attention = F.relu(self.square(reduced) + self.row(reduced) + self.column(reduced))
        return maps * attention.sum(1, keepdim=True)


class ChannelAttention(nn.Module):
    """A weight in (0, 1) for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(_WIDTH, _CHANNEL),
            nn.BatchNorm1d(_CHANNEL),
            nn.ReLU(),
            nn.Linear(_CHANNEL, _WIDTH),
            nn.Sigmoid(),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, 512, h, w] averaged over places and weighed by channel: [B, 512]."""
        pooled = maps.mean((2, 3))
        return pooled * self.gate(pooled)  # type: ignore[no-any-return]


class CrossAttentionHead(nn.Module):
    """Spatial, then channel attention."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = SpatialAttention()
        self.channel = ChannelAttention()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [B, 512, h, w] as one vector [B, 512]."""
        return self.channel(self.spatial(maps))  # type: ignore[no-any-return]


class DAN(ExpressionCNN):
    """ResNet-18 without pooling and classifier, four cross-attention heads, one linear layer.

    It has batch norms: in training, results depend on how a step is cut into micro-batches, and a
    batch of one image is an error. The trunk starts with timm's initial values; the published
    weights were trained from those of a face recogniser.

    Args:
        config: what it is.
    """

    def __init__(self, config: DANConfig) -> None:
        super().__init__(config, _WIDTH)
        self.trunk = timm.create_model("resnet18", num_classes=0, global_pool="")
        self.heads = nn.ModuleList(CrossAttentionHead() for _ in range(_HEADS))
        self.classifier = nn.Linear(_WIDTH, len(config.space))
        self.norm = nn.BatchNorm1d(len(config.space))

    def training_outputs(self, images: Tensor) -> DANOutputs:
        """All that the losses need of images [B, 3, H, W], uint8 or float, 0..255.

        Raises:
            ValueError: H or W is no multiple of 32.
        """
        height, width = images.shape[-2:]
        if height % _STRIDE or width % _STRIDE:
            raise ValueError(
                f"images of {height} x {width} pixels, expected multiples of {_STRIDE}"
            )
        maps = self.trunk(self.normalise(images))  # [B, 512, H/32, W/32]
        heads = F.log_softmax(torch.stack([head(maps) for head in self.heads], 1), 1)
        logits = self.norm(self.classifier(heads.sum(1)))
        return DANOutputs(logits=logits, features=maps.mean((2, 3)), heads=heads)

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features [B, 512] of the trunk and logits [B, K]."""
        outputs = self.training_outputs(images)
        return outputs.features, outputs.logits


def _convolution(inputs: int, outputs: int, kernel: tuple[int, int]) -> nn.Sequential:
    """A convolution that keeps height and width, and its batch norm."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding), nn.BatchNorm2d(outputs)
    )
