"""Losses as pure functions: each gives the sum over the rows that count, and how many those are.

Whoever trains divides by the number of rows of the whole step, so that an update does not depend on
how its images were split. Nothing that counts gives a sum of 0 whose gradient is 0. Labels are only
read.

Two things are exempt, since they are no sum over rows: batch norms, which DAN has, and
:func:`partition_loss`, a logarithm of a mean over the micro-batch.

Shapes: B batch, K expressions, H heads, F width of the features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: Added to a variance that is divided by: heads that agree to the last bit give a finite loss.
_SMALLEST_VARIANCE = 1e-8


def cross_entropy(logits: Tensor, expression: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the expression over rows that have one.

    Args:
        logits: [B, K].
        expression: [B] int64 indices; anything where it is not valid.
        valid: [B] bool.

    Returns:
        (sum, count), scalars.
    """
    rows = F.cross_entropy(logits, expression.where(valid, 0), reduction="none")  # [B]
    return rows.where(valid, 0).sum(), valid.sum()


def affinity_loss(
    features: Tensor, expression: Tensor, valid: Tensor, centres: Tensor
) -> tuple[Tensor, Tensor]:
    """Squared distance of features to the centre of their class, in units of the centres' spread.

    The spread is the variance over classes (K - 1 in the denominator), summed over the width. It
    depends on no image, so this is a sum over rows like any other.
    Source: Wen et al. 2021 (affinity loss).

    Args:
        features: [B, F] pooled features.
        expression: [B] int64 indices; anything where it is not valid.
        valid: [B] bool.
        centres: [K, F], K at least 2, learnt with the network.

    Returns:
        (sum, count), scalars.
    """
    distance = (features - centres[expression.where(valid, 0)]).square().sum(1)  # [B]
    spread = centres.var(0).sum()
    return (distance.where(valid, 0) / spread).sum(), valid.sum()


def partition_loss(heads: Tensor) -> tuple[Tensor, Tensor]:
    """Asks attention heads to differ: log(1 + H / variance over the heads).

    The variance (H - 1 in the denominator) is averaged over images and channels before the
    logarithm. It needs no labels: every row counts. Exempt: B times the loss of this micro-batch,
    with count B. Source: Wen et al. 2021.

    Args:
        heads: [B, H, F], B at least 1 and H at least 2.

    Returns:
        (sum, count), scalars.
    """
    variance = heads.var(1).mean()
    loss = torch.log1p(heads.shape[1] / (variance + _SMALLEST_VARIANCE))
    return len(heads) * loss, torch.tensor(len(heads), device=heads.device)
