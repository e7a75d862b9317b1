"""The pixel target, its loss, and the way back from predicted patches to pictures.

Shapes: B batch, N patches, M masked, P patch size.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Keeps flat patches finite (He et al. 2022, released code). In units of the normalised pixels.
EPSILON = 1e-6


def patch_statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each patch [.., P*P*3] over its pixels and channels: [.., 1].

    The variance is the unbiased one, plus :data:`EPSILON`.
    """
    variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    return mean, (variance + EPSILON).sqrt()


def pixel_target(patches: Tensor, per_patch: bool) -> Tensor:
    """What the decoder has to predict for patches of normalised pixels [.., P*P*3].

    Args:
        patches: float32.
        per_patch: each patch is shifted and scaled to mean 0 and variance 1 ("norm pix").

    Source: He et al. 2022, section 3 ("Reconstruction target").
    """
    if not per_patch:
        return patches
    mean, deviation = patch_statistics(patches)
    return (patches - mean) / deviation


def reconstruction_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Sum over patches of the mean squared error inside each patch, in float32.

    Args:
        prediction: [B, M, P*P*3].
        target: same shape.

    Returns:
        A scalar; divided by the number of masked patches B*M it is the loss of He et al. 2022.
    """
    return (prediction.float() - target).square().mean(dim=-1).sum()


def pixels_from_prediction(prediction: Tensor, patches: Tensor, per_patch: bool) -> Tensor:
    """Predicted patches as normalised pixels.

    A per-patch target says nothing of a patch's brightness and contrast. A picture of it alone
    looks like noise, so the true statistics of the patch are put back.

    Args:
        prediction: [.., P*P*3], as the decoder gives it.
        patches: the true normalised pixels, same shape.
        per_patch: whether the target was normalised per patch.
    """
    if not per_patch:
        return prediction
    mean, deviation = patch_statistics(patches)
    return prediction * deviation + mean
