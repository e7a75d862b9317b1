"""What the trainer asks of a system."""

from __future__ import annotations

from dataclasses import dataclass, replace

from finetune.clips import ClipConfig
from finetune.data.generated import Origin
from finetune.label_weights import action_unit_weights, expression_weights
from finetune.labels import Targets
from finetune.loading.notes import ModelNotes
from finetune.models.affect import AffectModel
from finetune.models.label_spaces import LabelSpaces
from finetune.objectives.objective import TrainedModel
from finetune.objectives.supervised import LossConfig
from pretrain.engine.config import Choice


@dataclass(frozen=True)
class Built:
    """A model, and where its weights are from.

    Attributes:
        model: with pretrained weights where the method has some.
        remarks: what was loaded, a line each.
        seen: the collections that those weights have seen; None: unknown.
        groups: the groups of rows whose labels they have seen; None: unknown.
    """

    model: AffectModel
    remarks: tuple[str, ...] = ()
    seen: tuple[str, ...] | None = ()
    groups: tuple[str, ...] | None = ()

    def also_from(self, origin: Origin) -> Built:
        """With what the maker of training images has seen."""
        known = Origin(self.seen, self.groups).joined(origin)
        return replace(self, seen=known.kinds, groups=known.groups)


def label_weights(targets: Targets, losses: LossConfig) -> ModelNotes:
    """What the rare counts more in the losses of all tasks, as it is noted of a model.

    Args:
        targets: the training labels, in the model's spaces.
        losses: how they are weighed; a task that is left out has no weights.

    Raises:
        WeightError: labels that give no weight.
    """
    return ModelNotes(
        expression_weights=expression_weights(
            targets, losses.expression_weights if losses.expression else "none"
        ),
        action_unit_weights=action_unit_weights(
            targets, losses.action_unit_weights if losses.action_units else "none"
        ),
        tasks=losses.trained_tasks,
    )


@dataclass(frozen=True, kw_only=True)
class Method(Choice):
    """A system that can be trained."""

    @property
    def labels(self) -> LabelSpaces:
        """What it answers."""
        raise NotImplementedError

    @property
    def image_size(self) -> int:
        """Pixels a side that its model takes."""
        raise NotImplementedError

    @property
    def trained_tasks(self) -> tuple[str, ...]:
        """Tasks (of :class:`~finetune.labels.Predictions`' names) that its losses ask for."""
        raise NotImplementedError

    @property
    def balanced(self) -> bool:
        """Whether an epoch shows every expression equally often."""
        return False

    @property
    def masks(self) -> tuple[int, int]:
        """Masked views of an image that its objective takes, and the patches of each."""
        return 0, 0

    @property
    def draws(self) -> bool:
        """Whether the model makes images of what it sees, on which others may be trained."""
        return False

    @property
    def takes_unlabelled(self) -> bool:
        """Whether it learns anything from images without labels."""
        return self.masks[0] > 0

    @property
    def clips(self) -> ClipConfig | None:
        """How videos are cut, where its model is trained on clips; None: on images."""
        return None

    @property
    def listens(self) -> bool:
        """Whether its model is given the sound of videos."""
        return False

    @property
    def can_freeze(self) -> bool:
        """Whether all but its heads can be frozen: it starts from weights that know something."""
        return False

    @property
    def has_teacher(self) -> bool:
        """Whether its objective learns from the weights' average, ``optim.ema_decay``."""
        return False

    def build(self) -> Built:
        """The model, with fresh or pretrained weights.

        Raises:
            UserError: a file of weights that cannot be opened, or does not fit.
        """
        raise NotImplementedError

    def objective(self, model: AffectModel, targets: Targets) -> tuple[TrainedModel, ModelNotes]:
        """The model under its losses, and what of them is to be known of the model later.

        Args:
            model: from :meth:`build`.
            targets: the training labels, in its spaces.

        Raises:
            UserError: labels that the losses cannot do with.
        """
        raise NotImplementedError
