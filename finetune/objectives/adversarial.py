"""A discriminator that learns affect, and to tell real from drawn; a generator that learns of it.

The networks learn in turn, in each step first the discriminator, then the generator, and neither
turn touches the other's weights or statistics. (Both at once, of the same weights, drew a few faces
over and over: the discriminator has to have seen what is drawn now.)

Shapes: B batch, L width of the noise.

Source: Kollias and Zafeiriou 2018 (arXiv 1811.07771); Goodfellow et al. 2014 (the non-saturating
loss); Lim and Ye 2017 (hinge); Salimans et al. 2016 (feature matching); Mescheder et al. 2018 (R1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from finetune.batches import LabelledBatch, LabelTensors, SeenBatch
from finetune.models.gan import GAN, as_drawn
from finetune.objectives.supervised import LossConfig, Supervised

_LOSSES = ("non_saturating", "hinge")

#: Whose turn it is: how the names of the weights begin.
_DISCRIMINATOR, _GENERATOR = "model.discriminator.", "model.generator."


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig:
    """How the two networks play.

    Attributes:
        loss: non_saturating or hinge.
        weight: of telling real from generated, beside the losses of the labels.
        feature_matching: weight of the squared distance between the mean features of real and drawn
            images, for the generator; 0: none.
        condition: weight of the labels' losses on what was drawn for them, for a conditional
            generator, beside what realness knows of them; 0: none.
        r1: gamma of the penalty on the discriminator's gradient at real images: more of it for more
            pixels (drawn faces: .3 at 32 px, 4 at 64 px); 0: none, as under spectral norms.
    """

    loss: str = "non_saturating"
    weight: float = 1.0
    feature_matching: float = 0.0
    condition: float = 0.1
    r1: float = 0.3

    def __post_init__(self) -> None:
        """Refuses unknown losses and negative weights."""
        if self.loss not in _LOSSES:
            raise ValueError(f"loss {self.loss!r}, expected one of {', '.join(_LOSSES)}")
        for name in ("weight", "feature_matching", "condition", "r1"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)}, expected 0 or more")

    @property
    def plays(self) -> bool:
        """Whether anything is drawn."""
        return self.weight > 0 or self.feature_matching > 0


def discriminator_losses(real: Tensor, drawn: Tensor, loss: str) -> tuple[Tensor, Tensor]:
    """Sums over images of what the discriminator pays for its logits of real and of drawn ones."""
    if loss == "hinge":
        return (1 - real).relu().sum(), (1 + drawn).relu().sum()
    return F.softplus(-real).sum(), F.softplus(drawn).sum()


def generator_loss(drawn: Tensor, loss: str) -> Tensor:
    """Sum over drawn images of what the generator pays for the discriminator's logits."""
    return -drawn.sum() if loss == "hinge" else F.softplus(-drawn).sum()


def condition_of(labels: LabelTensors, classes: int) -> Tensor:
    """Labels as the generator is told them: [B, C], zeros for what is not given.

    Args:
        labels: of B images.
        classes: K.
    """
    expression = F.one_hot(labels.expression.where(labels.expression_valid, 0), classes).float()
    told = labels.expression_valid[:, None].expand(-1, classes)
    values = torch.cat([expression, 2 * labels.action_units - 1, labels.valence_arousal], 1)
    valid = torch.cat([told, labels.action_units_valid, labels.valence_arousal_valid], 1)
    return torch.cat([values.where(valid, 0), valid.float()], 1)


class Adversarial(Supervised):
    """A :class:`GAN` under the losses of its labels and of its game.

    Labelled and unlabelled real images take part alike; what has no label is only real.

    Args:
        model: both networks.
        config: how they play.
        losses: of the labels.
        expression_weights: by class; None: all equal.
        action_unit_weights: by unit; None: 1.
    """

    model: GAN

    def __init__(
        self,
        model: GAN,
        config: AdversarialConfig,
        losses: LossConfig,
        expression_weights: Mapping[str, float] | None = None,
        action_unit_weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(model, losses, expression_weights, action_unit_weights)
        self.adversarial = config
        if not config.plays:
            model.generator.requires_grad_(False)
            model.discriminator.judges.requires_grad_(False)
            return
        self._told = model.conditional and config.condition > 0
        self._games = ["real", "drawn", "generator"]
        self._games += ["feature_matching"] if config.feature_matching else []
        self._games += ["r1"] if config.r1 else []
        told = [f"drawn_{task}" for task in self._labelled] if self._told else []
        self.tasks = (*self.tasks, *self._games, *told)
        self.turns = (_DISCRIMINATOR, _GENERATOR)

    def counts(self, batch: LabelledBatch | SeenBatch) -> Tensor:
        """See :class:`~finetune.objectives.objective.TrainedModel`."""
        labelled = super().counts(batch)
        if not self.adversarial.plays:
            return labelled
        every = labelled.new_full((len(self._games),), len(batch.labels.expression))
        return torch.cat([labelled, every, *([labelled] if self._told else [])])

    def forward(self, batch: LabelledBatch | SeenBatch, turn: str = "") -> Tensor:
        """See :class:`~finetune.objectives.objective.TrainedModel`.

        Args:
            batch: real images.
            turn: one of :attr:`turns`: what the other one pays is zero; empty: both.
        """
        assert isinstance(batch, LabelledBatch)
        if not self.adversarial.plays:
            return super().forward(batch)
        noise, condition = self._given(batch)
        found = dict.fromkeys(self.tasks, torch.zeros((), device=noise.device))
        if turn != _GENERATOR:
            found |= self._discriminating(batch, noise, condition)
        if turn != _DISCRIMINATOR:
            found |= self._generating(batch, noise, condition)
        sums = torch.stack([found[task].float() for task in self.tasks])
        if turn:  # DDP waits for a gradient of every weight
            sums = sums + 0 * sum(p.sum() for p in self.parameters() if p.requires_grad)
        return sums

    def _discriminating(
        self, batch: LabelledBatch, noise: Tensor, condition: Tensor | None
    ) -> dict[str, Tensor]:
        """What the discriminator pays."""
        config, network = self.adversarial, self.model.discriminator
        real = as_drawn(batch.images).requires_grad_(config.r1 > 0)
        drawn = _at_rest(self.model.generator, noise, condition)
        answer, real_logits, _ = network(real, condition)
        _, drawn_logits, _ = network(drawn, condition)
        found = dict(zip(self._labelled, self.sums(answer, batch.labels), strict=True))
        for_real, for_drawn = discriminator_losses(real_logits, drawn_logits, config.loss)
        found |= {"real": config.weight * for_real, "drawn": config.weight * for_drawn}
        if config.r1:
            (slope,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
            found["r1"] = config.r1 / 2 * slope.square().sum()
        return found

    def _generating(
        self, batch: LabelledBatch, noise: Tensor, condition: Tensor | None
    ) -> dict[str, Tensor]:
        """What the generator pays."""
        config, network = self.adversarial, self.model.discriminator
        played, judged, features = _at_rest(
            network, self.model.generator(noise, condition), condition
        )
        found = {"generator": config.weight * generator_loss(judged, config.loss)}
        if config.feature_matching:
            _, _, real = _at_rest(network, as_drawn(batch.images), condition)
            apart = (real.mean(0) - features.mean(0)).square().mean()
            found["feature_matching"] = config.feature_matching * len(real) * apart
        if self._told:
            told = config.condition * self.sums(played, batch.labels)
            found |= dict(zip((f"drawn_{task}" for task in self._labelled), told, strict=True))
        return found

    def _given(self, batch: LabelledBatch) -> tuple[Tensor, Tensor | None]:
        """Noise and, for a conditional generator, the labels of the real images."""
        n, device = len(batch.images), batch.images.device
        noise = 2 * torch.rand(n, self.model.latent, device=device) - 1
        if not self.model.conditional:
            return noise, None
        spaces = self.model.labels
        assert spaces.expressions is not None
        return noise, condition_of(batch.labels, len(spaces.expressions))


def _at_rest(network: nn.Module, *inputs: Tensor | None) -> Any:
    """What a network answers with its weights and statistics at rest."""
    still = {name: value.detach() for name, value in network.named_parameters()}
    still |= {name: value.clone() for name, value in network.named_buffers()}
    return functional_call(network, still, inputs)
