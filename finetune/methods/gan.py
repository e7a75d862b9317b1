"""The multi-task GAN: semi-supervised, its discriminator recognises affect."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from finetune.generating.watching import WatchConfig
from finetune.labels import Targets
from finetune.loading.notes import ModelNotes
from finetune.methods.method import Built, Method, label_weights
from finetune.models import gan
from finetune.models.affect import AffectModel
from finetune.models.label_spaces import LabelSpaces
from finetune.objectives.adversarial import Adversarial, AdversarialConfig
from finetune.objectives.supervised import LossConfig


@dataclass(frozen=True, kw_only=True)
class GAN(Method):
    """A discriminator that recognises affect, and a generator that draws faces.

    Attributes:
        networks: both of them.
        losses: what the labels count.
        adversarial: how the networks play; with weight 0 and no feature matching the discriminator
            is trained on labels alone, and nothing is drawn: the control.
        watch: what is looked at on the way.
    """

    networks: gan.GANConfig = field(default_factory=gan.GANConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    watch: WatchConfig = field(default=WatchConfig(), metadata={"operational": True})

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
        return self.losses.trained_tasks

    @property
    def draws(self) -> bool:
        """See :class:`Method`."""
        return self.adversarial.plays

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
        losses, notes = self.losses, label_weights(targets, self.losses)
        classes, units = notes.expression_weights, notes.action_unit_weights
        adversarial = Adversarial(model, self.adversarial, losses, classes, units)
        return adversarial, replace(notes, draws=self.draws)
