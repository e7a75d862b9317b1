"""The multi-task GAN: semi-supervised, its discriminator recognises affect."""

from __future__ import annotations

from dataclasses import dataclass, field

from finetune.label_weights import action_unit_weights, expression_weights
from finetune.labels import Targets
from finetune.loading.notes import ModelNotes
from finetune.methods.method import Built, Method
from finetune.models import gan
from finetune.models.affect import AffectModel
from finetune.models.label_spaces import LabelSpaces
from finetune.objectives.adversarial import Adversarial, AdversarialConfig
from finetune.objectives.supervised import LossConfig

_TASKS = ("valence_arousal", "expression", "action_units")


@dataclass(frozen=True, kw_only=True)
class GAN(Method):
    """A discriminator that recognises affect, and a generator that draws faces.

    Attributes:
        networks: both of them.
        losses: what the labels count.
        adversarial: how the networks play; with weight 0 and no feature matching the discriminator
            is trained on labels alone: the control.
    """

    networks: gan.GANConfig = field(default_factory=gan.GANConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)

    @property
    def labels(self) -> LabelSpaces:
        """See :class:`Method`."""
        return self.networks.labels

    @property
    def image_size(self) -> int:
        """See :class:`Method`."""
        return self.networks.image_size

    @property
    def trained_tasks(self) -> tuple[str, ...]:
        """See :class:`Method`."""
        return tuple(task for task in _TASKS if getattr(self.losses, task))

    @property
    def takes_unlabelled(self) -> bool:
        """See :class:`Method`: they are real."""
        return True

    def build(self) -> Built:
        """See :class:`Method`."""
        return Built(self.networks.build())

    def objective(self, model: AffectModel, targets: Targets) -> tuple[Adversarial, ModelNotes]:
        """See :class:`Method`."""
        assert isinstance(model, gan.GAN)
        losses = self.losses
        classes = expression_weights(
            targets, losses.expression_weights if losses.expression else "none"
        )
        units = action_unit_weights(
            targets, losses.action_unit_weights if losses.action_units else "none"
        )
        notes = ModelNotes(
            expression_weights=classes, action_unit_weights=units, tasks=self.trained_tasks
        )
        return Adversarial(model, self.adversarial, losses, classes, units), notes
