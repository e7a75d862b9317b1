"""Trunks by name.

Shapes: B batch, S side of the images, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import timm
import torch
from torch import Tensor, nn

from finetune.models.trunks.encoder import ENCODERS, Encoder
from finetune.models.trunks.inception_resnet import InceptionResNetV1
from finetune.models.trunks.ir import IR
from finetune.models.trunks.plain import PlainCNN
from finetune.models.trunks.sphereface import SphereFace20
from finetune.models.trunks.vgg_face import VGGFace

#: Our own by name, each built for images of S pixels a side.
_OURS: Mapping[str, Callable[[int], nn.Module]] = {
    "vgg_face": VGGFace,
    "sphereface_20": SphereFace20,
    "inception_resnet_v1": InceptionResNetV1,
    "ir_50": IR,
    "ir_se_50": lambda side: IR(side, squeeze=True),
    "plain_cnn": PlainCNN,
} | {name: partial(Encoder, name) for name in ENCODERS}

TRUNKS = tuple(_OURS)


def known_trunk(name: str) -> bool:
    """Whether there is such a trunk: one of :data:`TRUNKS`, or a timm architecture without tag."""
    return name in _OURS or ("." not in name and timm.is_model(name))


def build_trunk(name: str, side: int) -> nn.Module:
    """A trunk with fresh weights; it has ``num_features``, its F.

    Args:
        name: see :func:`known_trunk`.
        side: S.

    Raises:
        ValueError: it cannot take images of this size.
    """
    if name in _OURS:
        return _OURS[name](side)
    trunk = _TimmTrunk(name)
    try:
        with torch.no_grad():
            trunk.eval()(torch.zeros(1, 3, side, side))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"image_size {side}: {name} cannot take it ({reason})") from None
    return trunk.train()


class _TimmTrunk(nn.Module):
    """A timm network below its classifier."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.network = timm.create_model(name, num_classes=0)
        self.num_features: int = self.network.head_hidden_size

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, F] of normalised images [B, 3, S, S]."""
        maps = self.network.forward_features(images)
        return self.network.forward_head(maps, pre_logits=True)  # type: ignore[no-any-return]
