"""From images to features: of a frozen encoder, and of none.

B batch, N patches, D width, F features.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor, nn

from pretrain.models.vit import ViT

Features = NDArray[np.float32]

#: Images an encoder sees at once.
BATCH = 128

#: Numbers an image of a token map, at most: 9 x 9 tokens of ViT-Tiny, 4 x 4 of ViT-B and ViT-L.
_MAP_NUMBERS = 16_384

#: A HOG cell is an eighth of the image's side, the usual 8 px of a 64 px image.
_CELLS = 8


def token_features(encoder: ViT, images: Tensor) -> dict[str, Tensor]:
    """Two readings of a ViT's last tokens for images [B, 3, H, W] (uint8).

    Returns:
        ``mean`` [B, D], the mean of the patch tokens, which forgets where something is; ``map``
        [B, G*G*D], the patch tokens in their places, as pixels and HOG have them. The map is as
        fine (G) as :data:`_MAP_NUMBERS` allows.
    """
    tokens = encoder(images)[:, 1:]  # [B, N, D]
    maps = rearrange(tokens, "b (h w) d -> b d h w", h=encoder.shape.grid)
    finest = max(1, math.isqrt(_MAP_NUMBERS // encoder.shape.embed_dim))
    maps = F.adaptive_avg_pool2d(maps, min(encoder.shape.grid, finest))  # [B, D, G, G]
    return {"mean": tokens.mean(1), "map": maps.flatten(1)}


def pooled_features(model: nn.Module, images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """What any timm model hands to its classifier, [B, F], for images [B, 3, H, W] (uint8)."""
    maps = model.forward_features((images.float() / 255 - mean) / std)  # type: ignore[operator]
    return model.forward_head(maps, pre_logits=True)  # type: ignore[operator, no-any-return]


@torch.no_grad()
def encode(
    read: Callable[[Tensor], dict[str, Tensor]], images: Tensor, device: torch.device
) -> dict[str, Features]:
    """Runs a frozen encoder over images [B, 3, H, W] (uint8), batch by batch.

    Args:
        read: images on the device to named features.
        images: on the CPU.
        device: where the encoder is.
    """
    parts = [read(batch.to(device)) for batch in torch.split(images, BATCH)]
    return {
        name: torch.cat([part[name].float().cpu() for part in parts]).numpy() for name in parts[0]
    }


def pixel_features(images: Tensor) -> Features:
    """The pixels themselves: colours of areas, 32 a side at most. [B, F] for [B, 3, H, W]."""
    side = min(32, images.shape[-1])
    small = [
        F.adaptive_avg_pool2d(batch.float() / 255, side) for batch in torch.split(images, BATCH)
    ]
    return torch.cat(small).flatten(1).numpy()


def hog_features(images: Tensor) -> Features:
    """Histograms of oriented gradients of the grey image: 8 x 8 cells, 9 orientations, blocks of 2.

    Source: Dalal & Triggs 2005, "Histograms of oriented gradients for human detection"; as in
    scikit-image.
    """
    from skimage.feature import hog  # imports stay light

    weights = torch.tensor([0.2125, 0.7154, 0.0721])  # of red, green and blue (ITU-R BT.709)
    grey = torch.einsum("bchw,c->bhw", images.float(), weights).numpy()
    cell = max(1, images.shape[-1] // _CELLS)
    return np.stack(
        [
            hog(image, orientations=9, pixels_per_cell=(cell, cell), cells_per_block=(2, 2))
            for image in grey
        ]
    ).astype(np.float32)
