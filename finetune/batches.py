"""Labelled images on their way to the loop: augmented, with their labels as tensors.

Shapes: B batch, A action units, K expressions, N patches, W views.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from finetune.labels import Targets
from pretrain.data.colour import COLOUR_DRAWS, ColourConfig, jitter_colours
from pretrain.data.loader import AugmentedImages, Request
from pretrain.data.order import uniform
from pretrain.data.sources import Source
from pretrain.data.transforms import AugmentationConfig


@dataclass(frozen=True)
class LabelTensors:
    """Labels of a batch; where ``valid`` is False, the value means nothing (0).

    Attributes:
        valence_arousal: [B, 2] float32.
        valence_arousal_valid: [B, 2] bool.
        expression: [B] int64.
        expression_valid: [B] bool.
        expression_votes: [B, K] float32, shares of raters; one-hot where a source has none.
        action_units: [B, A] float32, 0 or 1.
        action_units_valid: [B, A] bool.
    """

    valence_arousal: Tensor
    valence_arousal_valid: Tensor
    expression: Tensor
    expression_valid: Tensor
    expression_votes: Tensor
    action_units: Tensor
    action_units_valid: Tensor

    @classmethod
    def of(cls, targets: Targets) -> LabelTensors:
        """The labels of a list, as tensors."""
        votes = targets.expression_votes
        if votes is None:
            votes = np.eye(len(targets.expression_space))[targets.expression]
            votes = votes * targets.expression_valid[:, None]
        return cls(
            valence_arousal=torch.from_numpy(targets.valence_arousal).float(),
            valence_arousal_valid=torch.from_numpy(targets.valence_arousal_valid),
            expression=torch.from_numpy(targets.expression),
            expression_valid=torch.from_numpy(targets.expression_valid),
            expression_votes=torch.from_numpy(votes).float(),
            action_units=torch.from_numpy(targets.action_units).float(),
            action_units_valid=torch.from_numpy(targets.action_units_valid),
        )

    def rows(self, indices: NDArray[np.int64]) -> LabelTensors:
        """Some rows, in this order."""
        at = torch.from_numpy(indices)
        return LabelTensors(*(getattr(self, name)[at] for name in self.__dataclass_fields__))

    def pin_memory(self) -> LabelTensors:
        """In memory that copies to a GPU can overlap with."""
        return LabelTensors(*(getattr(self, n).pin_memory() for n in self.__dataclass_fields__))

    def to(self, device: torch.device) -> LabelTensors:
        """On a device."""
        return LabelTensors(
            *(getattr(self, n).to(device, non_blocking=True) for n in self.__dataclass_fields__)
        )


@dataclass(frozen=True)
class LabelledBatch:
    """A micro-batch.

    Attributes:
        images: [B, 3, H, W] uint8.
        labels: of the images.
        noise: [B, W, N] float32 in [0, 1): decides the masks of the views; None: no views.
        epoch: counted from 0.
        bad: (name, reason) of images that were replaced by another one.
    """

    images: Tensor
    labels: LabelTensors
    noise: Tensor | None
    epoch: int
    bad: list[tuple[str, str]]

    def pin_memory(self) -> Self:
        """Called by the data loader, so that copies to a GPU overlap with its work."""
        return self._each(lambda part: part.pin_memory())

    def to(self, device: torch.device) -> Self:
        """The batch on a device."""
        return self._each(
            lambda part: (
                part.to(device, non_blocking=True) if isinstance(part, Tensor) else part.to(device)
            )
        )

    def _each(self, move: Callable[[Any], Any]) -> Self:
        """With every tensor of it, and its labels, moved."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {n: move(p) for n, p in parts.items() if isinstance(p, Tensor | LabelTensors)}
        return replace(self, **moved)


@dataclass(frozen=True)
class SeenBatch:
    """A micro-batch of images that frozen networks have seen before.

    Attributes:
        seen: what they see, by name, [B, ...] each.
        labels: of the images.
        bad: (name, reason) of images that were replaced by another one.
    """

    seen: Mapping[str, Tensor]
    labels: LabelTensors
    bad: list[tuple[str, str]]

    def pin_memory(self) -> SeenBatch:
        """Called by the data loader, so that copies to a GPU overlap with its work."""
        seen = {name: value.pin_memory() for name, value in self.seen.items()}
        return replace(self, seen=seen, labels=self.labels.pin_memory())

    def to(self, device: torch.device) -> SeenBatch:
        """The batch on a device."""
        seen = {name: value.to(device, non_blocking=True) for name, value in self.seen.items()}
        return replace(self, seen=seen, labels=self.labels.to(device))


class LabelledFaces(AugmentedImages[LabelledBatch]):
    """Augmented images with their labels; a bad image's replacement brings its own label.

    Args:
        source: the images.
        targets: their labels.
        described: what they are, for errors.
        seed: the run's seed.
        image_size: pixels a side that the model takes.
        augmentation: crop and flip.
        colour: colour jitter.
        masks: masked views of an image, each with noise of its own, and the patches of each.
    """

    def __init__(
        self,
        source: Source,
        targets: Targets,
        *,
        described: str,
        seed: int,
        image_size: int,
        augmentation: AugmentationConfig,
        colour: ColourConfig,
        masks: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(
            source,
            described=described,
            seed=seed,
            image_size=image_size,
            augmentation=augmentation,
        )
        self.labels, self.colour = LabelTensors.of(targets), colour
        self.views, self.num_patches = masks

    def __getitem__(self, request: Request) -> LabelledBatch:
        """The micro-batch of an epoch and indices."""
        epoch, indices = request
        ids = self.ids[indices]
        images, shown, bad = self.augmented(epoch, indices)
        if self.colour.probability:
            draws = uniform(
                seed=self.seed, epoch=epoch, ids=ids, purpose="colour", draws=COLOUR_DRAWS
            )
            for row, numbers in enumerate(draws):
                images[row] = jitter_colours(images[row], numbers, self.colour)
        noise = [
            self.noise(epoch, ids, "mask", self.num_patches, view) for view in range(self.views)
        ]
        return LabelledBatch(
            images, self.labels.rows(shown), torch.stack(noise, 1) if noise else None, epoch, bad
        )
