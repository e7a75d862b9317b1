"""How many floating-point operations a training step takes, and how many the machine can do.

Two operations a multiply-add; matrix products alone (linear layers, attention); the backward pass
takes twice the forward one. Recomputed activations do not count.

Shapes: N patches, V visible, M masked, T tokens, P patch size, D encoder width, E decoder width.
"""

from __future__ import annotations

import torch

from pretrain.benching.timing import Work
from pretrain.models.mae import MAEConfig
from pretrain.models.vit import ViTShape

#: A training step is one forward and, of twice its cost, one backward pass.
TRAINING = 3

#: What :func:`matrix_product` is called among works.
PEAK = "matrix products"


def mae_flops(config: MAEConfig) -> float:
    """Operations of a training step an image, of the masked autoencoder as it is computed here.

    Only visible patches are embedded and only masked ones predicted: the usual order takes more.
    """
    shape, decoder = config.encoder_shape, config.decoder
    pixels = 3 * shape.patch_size**2
    seen, predicted = config.visible_count, config.predicted_count
    forward = encoder_flops(shape, seen)
    forward += 2 * (1 + seen) * shape.embed_dim * decoder.embed_dim
    forward += decoder.depth * _block(1 + seen + predicted, decoder.embed_dim)
    forward += 2 * predicted * decoder.embed_dim * pixels
    return TRAINING * forward


def encoder_flops(shape: ViTShape, seen: int) -> float:
    """Operations of a forward pass an image of which so many patches are seen."""
    embedding = 2 * seen * shape.embed_dim * 3 * shape.patch_size**2
    return embedding + shape.depth * _block(1 + seen, shape.embed_dim)


def _block(tokens: int, width: int) -> float:
    """Qkv (3 D^2), projection (D^2), MLP (8 D^2) a token; scores and their sums (2 T D) a token."""
    return 2 * tokens * (12 * width**2 + 2 * tokens * width)


def matrix_product(device: torch.device, dtype: torch.dtype) -> tuple[Work, float]:
    """A matrix product that is large enough to show what the device can do, and its operations."""
    side = 8192 if device.type == "cuda" else 2048
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    result = torch.empty_like(left)
    return lambda: torch.mm(left, right, out=result), 2.0 * side**3
