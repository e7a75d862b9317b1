"""Which patches the encoder sees: indices drawn from noise that comes with the batch.

Shapes: B batch, N patches, V visible, M masked (N = V + M), D width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def visible_count(num_patches: int, mask_ratio: float) -> int:
    """How many patches stay visible: ``floor(N (1 - mask_ratio))``.

    Source: He et al. 2022, section 3 ("Masking"). The tiny term keeps 100 x (1 - 0.9) at 10
    although floating point makes it 9.99.

    Raises:
        ValueError: nothing would be visible, or nothing masked.
    """
    visible = math.floor(num_patches * (1 - mask_ratio) + 1e-6)
    if not 0 < visible < num_patches:
        raise ValueError(
            f"mask_ratio {mask_ratio} leaves {visible} of {num_patches} patches visible,"
            f" expected at least 1 and at most {num_patches - 1}"
        )
    return visible


def split_patches(noise: Tensor, visible: int) -> tuple[Tensor, Tensor]:
    """Splits the patches of each sample into visible and masked ones.

    Args:
        noise: [B, N], the patches with the lowest values stay visible. Uniform noise gives every
            subset of V patches the same chance.
        visible: V.

    Returns:
        Indices of the visible [B, V] and of the masked patches [B, M], int64, in order of noise.
    """
    order = torch.argsort(noise, dim=1, stable=True)  # stable: equal noise splits alike anywhere
    return order[:, :visible], order[:, visible:]


def visible_patches(
    noise: Tensor, mask_ratio: float, *, disjoint: bool = False
) -> list[Tensor | None]:
    """The patches that each of several views sees of an image.

    Args:
        noise: [B, W, N] for W views.
        mask_ratio: share of the patches that a view does not see; 0: it sees all.
        disjoint: no patch is seen by two views; then the first view's noise decides for all.

    Returns:
        For each view [B, V] int64, or None where it sees all.

    Raises:
        ValueError: a ratio that leaves nothing, or too little for disjoint views.
    """
    views, patches = noise.shape[1:]
    if not mask_ratio:
        return [None] * views
    visible = visible_count(patches, mask_ratio)
    if not disjoint:
        return [split_patches(noise[:, view], visible)[0] for view in range(views)]
    if views * visible > patches:
        raise ValueError(
            f"{views} disjoint views of {visible} patches each, expected at most {patches} in all"
        )
    order = torch.argsort(noise[:, 0], dim=1, stable=True)
    return [order[:, view * visible : (view + 1) * visible] for view in range(views)]


def take(tokens: Tensor, indices: Tensor) -> Tensor:
    """Gathers tokens by index: [B, N, D] (or [1, N, D], shared) and [B, V] give [B, V, D]."""
    tokens = tokens.expand(indices.shape[0], -1, -1)
    return tokens.gather(1, indices.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
