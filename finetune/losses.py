"""Losses as pure functions: each gives the sum over the rows that count, and how many those are.

Whoever trains divides by the number of rows of the whole step, so that an update does not depend on
how its images were split. Nothing that counts gives a sum of 0 whose gradient is 0. What is not
valid may be anything, NaN included, in labels as in answers: it reaches neither value nor gradient.
Labels are only read. Sums are float32, or float64 of float64, whatever the model computes in.

Three things are exempt, since they are no sum over rows: batch norms, which DAN has;
:func:`partition_loss`, a logarithm of a mean over the micro-batch; :func:`ccc_loss`, a ratio of its
moments.

Shapes: B batch, K expressions, A action units, H heads, F width of the features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

#: Added to a variance that is divided by: heads that agree to the last bit give a finite loss.
_SMALLEST_VARIANCE = 1e-8

#: Of valence or arousal: below it all values are one, since float32 has no finite gradient of their
#: concordance. Their standard deviation is then under 1e-15.
_SMALLEST_SPREAD = 1e-30


def ccc_loss(prediction: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Concordance of valence, or of arousal: n (1 - CCC) of the n rows that have it.

    The CCC is that of the metric (:meth:`finetune.tallies.Moments.ccc`): moments of the population,
    0 where a series is constant. A constant prediction still has the gradient that makes it follow
    the target. Fewer than two rows have no concordance: sum and count are 0.

    Exempt: n times the loss of this micro-batch, so an update depends on how its images were split.
    Source: Lin 1989, "A concordance correlation coefficient to evaluate reproducibility".

    Args:
        prediction: [B], B at least 1.
        target: [B] in [-1, 1].
        valid: [B] bool.

    Returns:
        (sum, count), scalars; the sum is in [0, 2 n].
    """
    count = valid.sum()
    n = count.clamp(min=1)
    x = _wide(prediction).where(valid, 0)
    y = target.to(x.dtype).where(valid, 0)
    # The difference of means is that of the raw values; moments are counted from one of the values,
    # so that those of a constant are 0 to the last bit.
    gap = (x - y).sum() / n
    some = valid.int().argmax(0, keepdim=True)
    x, y = ((values - values.detach()[some]).where(valid, 0) for values in (x, y))
    x, y = ((values - values.sum() / n).where(valid, 0) for values in (x, y))
    spread = (x.square() + y.square()).sum() / n + gap.square()
    agreement = 2 * (x * y).sum() / n
    loss = 1 - agreement / spread.where(spread > _SMALLEST_SPREAD, 1)
    enough = count >= 2
    return (count * loss).where(enough, 0), count.where(enough, 0)


def squared_error(prediction: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Squared error of valence, or of arousal, over rows that have it.

    Args:
        prediction: [B].
        target: [B] in [-1, 1]; anything where it is not valid.
        valid: [B] bool.

    Returns:
        (sum, count), scalars.
    """
    known = _wide(prediction).where(valid, 0)
    return (known - target.to(known.dtype).where(valid, 0)).square().sum(), valid.sum()


def binary_cross_entropy(
    logits: Tensor, action_units: Tensor, valid: Tensor, positive_weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy of the action units over the entries that have a label.

    A row counts once for each of its labelled units.

    Args:
        logits: [B, A].
        action_units: [B, A], 0 or 1; anything where it is not valid.
        valid: [B, A] bool.
        positive_weight: [A], what an entry in which the unit is there counts in the sum, as torch's
            ``pos_weight``; None: 1. The count does not depend on it.

    Returns:
        (sum, count), scalars.
    """
    known = _wide(logits).where(valid, 0)
    entries = F.binary_cross_entropy_with_logits(
        known,
        action_units.where(valid, 0).to(known.dtype),
        pos_weight=None if positive_weight is None else positive_weight.to(known.dtype),
        reduction="none",
    )  # [B, A]
    return entries.where(valid, 0).sum(), valid.sum()


def cross_entropy(
    logits: Tensor, expression: Tensor, valid: Tensor, weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the expression over rows that have one.

    Args:
        logits: [B, K].
        expression: [B] int64 indices; anything where it is not valid.
        valid: [B] bool.
        weight: [K], what a row of each expression counts in the sum; None: 1. The count stays the
            number of valid rows: let the weights have mean 1 over the rows of the training set.

    Returns:
        (sum, count), scalars.
    """
    return _cross_entropy(logits, expression.where(valid, 0), valid, weight)


def soft_cross_entropy(
    logits: Tensor, votes: Tensor, valid: Tensor, weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the shares of raters over rows that have them.

    Of one expression that has all votes it is :func:`cross_entropy`.

    Args:
        logits: [B, K].
        votes: [B, K], each row adds up to 1; anything where it is not valid.
        valid: [B] bool.
        weight: [K], what a vote for each expression counts in the sum, as for
            :func:`cross_entropy`.

    Returns:
        (sum, count), scalars.
    """
    shares = votes.where(valid[:, None], 0).to(_wide(logits).dtype)
    return _cross_entropy(logits, shares, valid, weight)


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
    known = _wide(features).where(valid[:, None], 0)
    distance = (known - centres[expression.where(valid, 0)]).square().sum(1)  # [B]
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
    variance = _wide(heads).var(1).mean()
    loss = torch.log1p(heads.shape[1] / (variance + _SMALLEST_VARIANCE))
    return len(heads) * loss, torch.tensor(len(heads), device=heads.device)


def js_divergence(logits: Tensor, weights: Sequence[float] | None = None) -> tuple[Tensor, Tensor]:
    """Generalised Jensen-Shannon divergence of the views' distributions over classes.

    sum_i w_i KL(p_i || m) with m = sum_i w_i p_i: 0 where all agree, at most ln W, the same for any
    order of the views (with their weights). It needs no labels: every row counts.
    Source: Lin 1991, section IV; Englesson and Azizpour 2021, equation 5.

    Args:
        logits: [W, B, ..., K] of W views; dimensions between are entries of their own.
        weights: [W], above 0, that add up to 1; None: all equal.

    Returns:
        (sum, count), scalars.
    """
    logs = _wide(logits).log_softmax(-1)
    views = len(logs)
    shares = torch.tensor(weights or [1 / views] * views, dtype=logs.dtype, device=logs.device)
    shares = shares.reshape(-1, *[1] * (logs.ndim - 1))
    mean = torch.logsumexp(logs + shares.log(), 0)  # [B, ..., K]
    rows = (shares * logs.exp() * (logs - mean)).sum((0, -1))  # [B, ...]
    return rows.sum(), torch.tensor(rows.numel(), device=rows.device)


def bernoulli_js_divergence(
    logits: Tensor, weights: Sequence[float] | None = None
) -> tuple[Tensor, Tensor]:
    """:func:`js_divergence` of views on things that are there or not, each an entry of its own.

    Args:
        logits: [W, B, A] of W views.
        weights: see there.

    Returns:
        (sum, count), scalars; the count is B * A.
    """
    wide = _wide(logits)
    return js_divergence(torch.stack([wide, torch.zeros_like(wide)], -1), weights)


def squared_disagreement(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared distance of the views' numbers to their mean, each number an entry of its own.

    Args:
        values: [W, B, D] of W views.

    Returns:
        (sum, count), scalars; the count is B * D.
    """
    rows = _wide(values).var(0, correction=0)  # [B, D]
    return rows.sum(), torch.tensor(rows.numel(), device=rows.device)


def _cross_entropy(
    logits: Tensor, classes: Tensor, valid: Tensor, weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Of classes [B] or of shares [B, K], both clean where they are not valid."""
    known = _wide(logits).where(valid[:, None], 0)
    weight = None if weight is None else weight.to(known.dtype)
    rows = F.cross_entropy(known, classes, weight=weight, reduction="none")  # [B]
    return rows.where(valid, 0).sum(), valid.sum()


def _wide(values: Tensor) -> Tensor:
    """At least float32: sums of bfloat16 keep three digits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
