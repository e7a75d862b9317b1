"""What a generator is told, and what it draws.

Shapes: n images, L width of the noise, S side of the images, A action units.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from finetune.batches import LabelTensors
from finetune.data.columns import make_targets
from finetune.labels import Targets
from finetune.models.gan import GAN, as_images
from finetune.objectives.adversarial import condition_of


def noise(model: GAN, count: int, seed: int) -> Tensor:
    """[n, L], uniform in (-1, 1), the same for a seed at any time."""
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, model.latent, generator=generator) - 1


def tell(
    model: GAN,
    count: int,
    *,
    expression: NDArray[np.int64] | None = None,
    valence_arousal: NDArray[np.float64] | None = None,
    action_units: NDArray[np.int64] | None = None,
) -> Targets:
    """What a generator is told of n images, in the model's spaces; None is not told.

    Args:
        model: whose generator it is.
        count: n.
        expression: [n] classes.
        valence_arousal: [n, 2] in [-1, 1].
        action_units: [n, A], 0 or 1.
    """
    labels = model.labels
    assert labels.expressions is not None
    assert labels.action_units is not None
    units = len(labels.action_units)
    return make_targets(
        count,
        valence_arousal=_given(valence_arousal, np.zeros((count, 2))),
        expression=_given(expression, np.zeros(count, np.int64)),
        action_units=_given(action_units, np.zeros((count, units), np.int64)),
        expression_space=labels.expressions,
        action_unit_space=labels.action_units,
    )


def every_expression(model: GAN, count: int) -> Targets:
    """Every expression in turn for a conditional generator; for another one nothing."""
    if not model.conditional:
        return tell(model, count)
    assert model.labels.expressions is not None
    return tell(model, count, expression=np.arange(count) % len(model.labels.expressions))


def draw(model: GAN, given: Tensor, told: Targets, batch_size: int = 64) -> Iterator[Tensor]:
    """Images of n noises, batch by batch, uint8 [B, 3, S, S] on the CPU.

    An image depends on its noise and what is told of it, not on the batch size (but by rounding).

    Args:
        model: in evaluation mode.
        given: noise [n, L].
        told: n rows; nothing of it reaches a generator without conditions.
        batch_size: images at once.
    """
    device = next(model.parameters()).device
    condition = None
    if model.conditional:
        condition = condition_of(LabelTensors.of(told), len(told.expression_space))
    for first in range(0, len(given), batch_size):
        rows = slice(first, first + batch_size)
        with torch.inference_mode():
            drawn = model.generator(
                given[rows].to(device), None if condition is None else condition[rows].to(device)
            )
        yield as_images(drawn).cpu()


def spread(images: Tensor) -> float:
    """Mean over pixels of the standard deviation over images [n, 3, S, S], of 255."""
    return images.float().std(0).mean().item()


def _given(values: NDArray | None, none: NDArray) -> tuple[NDArray, NDArray[np.bool_]]:  # type: ignore[type-arg]
    if values is None:
        return none, np.zeros(none.shape, np.bool_)
    return values, np.ones(values.shape, np.bool_)
