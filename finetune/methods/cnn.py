"""Expression CNNs: DAN with its three losses, and any timm network."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from finetune.label_weights import expression_weights
from finetune.labels import Targets
from finetune.loading.notes import ModelNotes
from finetune.methods.method import Built, Method
from finetune.methods.pretrained import open_cnn
from finetune.models import dan
from finetune.models.affect import AffectModel
from finetune.models.cnn import CNNConfig, TimmCNNConfig
from finetune.models.label_spaces import LabelSpaces
from finetune.objectives.distraction import Distraction
from finetune.objectives.objective import TrainedModel
from finetune.objectives.supervised import LossConfig, Supervised
from pretrain.errors import UserError
from pretrain.load import place_tensors

#: Beginnings of the names of what belongs to the classes: another label space has its own.
_CLASSIFIERS = ("classifier.", "norm.", "network.fc.", "network.classifier.", "network.head.")


@dataclass(frozen=True, kw_only=True)
class ExpressionMethod(Method):
    """A CNN that is trained on expressions.

    Attributes:
        init_from: a trained CNN of the same kind to start from, a run of stage two or a released
            DAN; its classifier is left out where it is of other classes; null: fresh weights.
        class_balanced: whether an epoch shows every expression equally often.
        network: what is trained.
    """

    init_from: str | None = None
    class_balanced: bool = True
    network: CNNConfig = field(default_factory=dan.DANConfig)

    @property
    def labels(self) -> LabelSpaces:
        """See :class:`Method`."""
        return LabelSpaces(expressions=self.network.space)

    @property
    def image_size(self) -> int:
        """See :class:`Method`."""
        return self.network.image_size

    @property
    def trained_tasks(self) -> tuple[str, ...]:
        """See :class:`Method`."""
        return ("expression",)

    @property
    def balanced(self) -> bool:
        """See :class:`Method`."""
        return self.class_balanced

    def build(self) -> Built:
        """See :class:`Method`."""
        model = self.network.build()
        if self.init_from is None:
            return Built(model)
        other, report = open_cnn(self.init_from, None, "method.init_from")
        same = other.labels.expressions == model.labels.expressions
        tensors = other.state_dict()
        if not same:  # an equal number of classes makes them no more the same
            tensors = {n: t for n, t in tensors.items() if not n.startswith(_CLASSIFIERS)}
        placed = place_tensors(model, tensors, self.init_from, () if same else _CLASSIFIERS)
        notes = report.notes
        remarks = (f"init_from {self.init_from}: {placed}",)
        return Built(model, remarks, notes.trained_on, notes.training_groups)


@dataclass(frozen=True, kw_only=True)
class DAN(ExpressionMethod):
    """DAN: a ResNet-18 under four attention heads, with its three losses.

    Attributes:
        network: what is trained.
    """

    network: dan.DANConfig = field(default_factory=dan.DANConfig)

    def objective(self, model: AffectModel, targets: Targets) -> tuple[TrainedModel, ModelNotes]:
        """See :class:`Method`."""
        assert isinstance(model, dan.DAN)
        return Distraction(model), ModelNotes()


@dataclass(frozen=True, kw_only=True)
class TimmCNN(ExpressionMethod):
    """Any timm network, with cross-entropy.

    Attributes:
        network: what is trained.
        losses: only what is said of expressions counts.
    """

    network: TimmCNNConfig = field(default_factory=TimmCNNConfig)
    losses: LossConfig = field(default_factory=LossConfig)

    def build(self) -> Built:
        """See :class:`Method`; refuses a network that cannot take images of this size."""
        built, side = super().build(), self.image_size
        try:
            with torch.no_grad():
                built.model.eval()(torch.zeros(1, 3, side, side))
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"method.network.image_size {side}: {self.network.name} cannot take it ({reason})"
            ) from None
        built.model.train()
        return built

    def objective(self, model: AffectModel, targets: Targets) -> tuple[TrainedModel, ModelNotes]:
        """See :class:`Method`."""
        weights = expression_weights(targets, self.losses.expression_weights)
        return Supervised(model, self.losses, weights), ModelNotes(expression_weights=weights)
