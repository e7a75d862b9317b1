"""The encoder of stage one as a trunk.

Shapes: B batch, S side of the images, D width.
"""

from __future__ import annotations

from torch import Tensor, nn

from pretrain.models.vit import SIZES, ViT, ViTShape

_PREFIX = "vit_"

#: vit_tiny, vit_small, ...
ENCODERS = tuple(f"{_PREFIX}{size}" for size in SIZES)

PATCH = 16

#: A trunk's images are normalised already: what the encoder does to bytes leaves them as they are.
_NO_MEAN, _NO_STD = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)


class Encoder(nn.Module):
    """A ViT of stage one with patches of 16 px; its class token is the features.

    Args:
        name: one of :data:`ENCODERS`.
        side: S, a multiple of 16.
    """

    def __init__(self, name: str, side: int) -> None:
        super().__init__()
        if side % PATCH or side < PATCH:
            raise ValueError(f"image_size {side}, expected a multiple of {PATCH} for {name}")
        shape = ViTShape.of_size(
            name.removeprefix(_PREFIX), image_size=side, patch_size=PATCH, norm_eps=1e-6
        )
        self.encoder = ViT(shape, _NO_MEAN, _NO_STD)
        self.num_features = shape.embed_dim

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, D] of normalised images [B, 3, S, S]."""
        return self.encoder(images)[:, 0]  # type: ignore[no-any-return]
