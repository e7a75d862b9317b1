"""One convolutional trunk, and a head for each task: VGG-Face, ArcFace's networks, MTANet and more.

Shapes: B batch, H height, W width, F features, K expressions, A action units.

Source: Kollias and Zafeiriou 2018 (arXiv 1811.07771, a shared trunk) and 2019 (arXiv 1910.04855,
ArcFace); Zhang and Gu 2020 (arXiv 2002.00606, MTANet: task blocks are a reconstruction, its heads
are not published).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from finetune.labels import Predictions
from finetune.models.affect import AffectModel, AllTasksConfig
from finetune.models.heads import two_layers
from finetune.models.trunks.trunk import TRUNKS, build_trunk, known_trunk

_HEADS = ("linear", "cosine")


@dataclass(frozen=True, kw_only=True)
class MultiTaskConfig(AllTasksConfig):
    """A trunk with heads for expressions, action units, valence and arousal.

    Attributes:
        trunk: vgg_face, sphereface_20, inception_resnet_v1, ir_50, ir_se_50, plain_cnn, an encoder
            of stage one (vit_tiny to vit_huge, patches of 16 px), or any timm architecture
            (seresnet50) without a tag: no weights are downloaded.
        image_size: pixels a side of the square input: 96 is published for vgg_face, 112 for
            sphereface_20 (which looks at the middle 96 columns), ir_50 and ir_se_50, 160 for
            inception_resnet_v1, 48 for plain_cnn.
        task_hidden: width of a hidden layer of each head; 0: heads are linear.
        expression_head: linear, or cosine: cosines of features and classes, times cosine_scale.
        cosine_scale: s of ArcFace, above 0.
    """

    trunk: str = "vgg_face"
    image_size: int = 96
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    task_hidden: int = 0
    expression_head: str = "linear"
    cosine_scale: float = 30.0

    def __post_init__(self) -> None:
        """Refuses unknown names and numbers out of range."""
        super().__post_init__()
        if not known_trunk(self.trunk):
            raise ValueError(
                f"trunk {self.trunk!r}, expected one of {', '.join(TRUNKS)}, or a timm"
                " architecture without a tag"
            )
        if self.task_hidden < 0:
            raise ValueError(f"task_hidden {self.task_hidden}, expected 0 or more")
        if self.expression_head not in _HEADS:
            raise ValueError(
                f"expression_head {self.expression_head!r}, expected one of {', '.join(_HEADS)}"
            )
        if self.expression_head == "cosine" and self.task_hidden:
            raise ValueError(
                f"task_hidden {self.task_hidden} with expression_head cosine, expected 0"
            )
        if self.cosine_scale <= 0:
            raise ValueError(f"cosine_scale {self.cosine_scale}, expected above 0")

    def build(self) -> MultiTask:
        """The model, with fresh weights."""
        return MultiTask(self)


class MultiTask(AffectModel):
    """A trunk, and heads that do not see each other's answers.

    Args:
        config: what it is.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: MultiTaskConfig) -> None:
        super().__init__(config, config.labels)
        self.register_buffer("mean", torch.tensor(config.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(3, 1, 1), persistent=False)
        self.trunk = build_trunk(config.trunk, config.image_size)
        width = self.head_features
        hidden, classes = config.task_hidden, len(config.expression_space)
        self.valence_arousal = _head(width, hidden, 2)
        self.action_units = _head(width, hidden, len(config.action_unit_space))
        self.expressions = (
            CosineHead(width, classes, config.cosine_scale)
            if config.expression_head == "cosine"
            else _head(width, hidden, classes)
        )

    @property
    def head_features(self) -> int:
        """Features that the heads see: F."""
        return self.trunk.num_features  # type: ignore[return-value]

    def features(self, images: Tensor) -> Tensor:
        """Features [B, F] of images [B, 3, H, W], uint8 or float, 0..255."""
        return self.trunk((images.float() / 255 - self.mean) / self.std)  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Predictions:
        """Answers images [B, 3, H, W], uint8 or float, 0..255.

        Returns:
            valence_arousal [B, 2] in (-1, 1), expression_logits [B, K], action_unit_logits [B, A].
        """
        return self.answer_features(self.features(images))

    def answer_features(self, features: Tensor) -> Predictions:
        """What the heads make of features [B, F]."""
        return Predictions(
            valence_arousal=self.valence_arousal(features).tanh(),
            expression_logits=self.expressions(features),
            action_unit_logits=self.action_units(features),
        )


class CosineHead(nn.Module):
    """Cosines between features and a direction for each class, times a scale: without a margin.

    The margin of ArcFace is a matter of training, see :mod:`finetune.objectives.margin`.

    Args:
        features: F.
        classes: K.
        scale: s.
    """

    def __init__(self, features: int, classes: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, features))
        self.scale = scale
        nn.init.xavier_uniform_(self.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Logits [B, K], float32 whatever the autocast: half precision knows three digits of 1."""
        with torch.autocast(features.device.type, enabled=False):
            return self.scale * F.linear(
                F.normalize(features.float(), dim=1), F.normalize(self.weight.float(), dim=1)
            )


def _head(width: int, hidden: int, outputs: int) -> nn.Module:
    return two_layers(width, hidden, outputs) if hidden else nn.Linear(width, outputs)
