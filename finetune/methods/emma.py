"""EMMA, and the simpler systems that it is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from finetune.labels import Targets
from finetune.load import load_model
from finetune.loading.notes import ModelNotes
from finetune.methods.cotex import check_masks
from finetune.methods.method import Built, Method, label_weights
from finetune.methods.pretrained import open_cnn, open_encoder, seen_by_encoder
from finetune.models import emma
from finetune.models.affect import AffectModel
from finetune.models.cnn import CNNConfig
from finetune.models.emma import EMMAConfig, EMMAOptions
from finetune.models.label_spaces import LabelSpaces
from finetune.objectives.cotraining import CoTraining, CoTrainingConfig
from finetune.objectives.supervised import LossConfig, Supervised
from pretrain.errors import UserError
from pretrain.load import place_tensors
from pretrain.models.vit import ViT

#: Options of a network that weights bring with them.
_TAKEN_OVER = ("mean", "std", "norm_eps")


@dataclass(frozen=True, kw_only=True)
class EMMA(Method):
    """EMMA: a pretrained ViT and a frozen CNN; valence and arousal come from their scores.

    Attributes:
        encoder: weights of the ViT: a run of stage one, a released file or a timm name; null: none,
            it starts from scratch. Its mean, standard deviation and epsilon are taken over.
        cnn: the CNN: a run of stage two or a released DAN; null: none.
        cnn_expressions: order of the classes of a released CNN; null: as published.
        init_from: a trained EMMA to go on from instead, a run of stage two or a released file: its
            CNN, mean, standard deviation and epsilon are taken over, model must be as it was.
        model: the network.
        losses: what the tasks count.
        views: masked views of an image that the encoder learns from, and that must agree (see
            CoTEX); 0: it sees the image itself.
        cotraining: how views differ, and what their agreement counts.
    """

    encoder: str | None = None
    cnn: str | None = None
    cnn_expressions: str | None = None
    init_from: str | None = None
    model: EMMAOptions = field(default_factory=EMMAOptions)
    losses: LossConfig = field(default_factory=LossConfig)
    views: int = 0
    cotraining: CoTrainingConfig = field(default_factory=CoTrainingConfig)

    def __post_init__(self) -> None:
        """Refuses a CNN that nothing reads, none where one is read, and views that see nothing."""
        if self.views < 0:
            raise ValueError(f"views {self.views}, expected 0 or more")
        if self.views:
            check_masks(self.cotraining, self.views, self.model.shape.num_patches)
        if self.cotraining.teacher and not self.views:
            raise ValueError("cotraining.teacher true with views 0, expected views above 0")
        for name in ("encoder", "cnn"):
            if self.init_from is not None and getattr(self, name) is not None:
                raise ValueError(f"{name} with init_from, expected one of the two")
        cnn = self.cnn or self.init_from
        if cnn is None and self.model.va_input not in ("scores", "features"):
            raise ValueError(f"cnn null with va_input {self.model.va_input!r}, expected one")
        if self.cnn is not None and not self.model.reads_cnn:
            raise ValueError(
                f"cnn '{self.cnn}' with va_input {self.model.va_input!r}, expected null"
            )
        if self.cnn is None and self.cnn_expressions is not None:
            raise ValueError(f"cnn_expressions '{self.cnn_expressions}' without a cnn")

    @property
    def labels(self) -> LabelSpaces:
        """See :class:`Method`."""
        return self.model.labels

    @property
    def image_size(self) -> int:
        """See :class:`Method`."""
        return self.model.image_size

    @property
    def masks(self) -> tuple[int, int]:
        """See :class:`Method`."""
        return self.views, self.model.shape.num_patches

    @property
    def trained_tasks(self) -> tuple[str, ...]:
        """See :class:`Method`."""
        return self.losses.trained_tasks

    @property
    def can_freeze(self) -> bool:
        """See :class:`Method`."""
        return self.encoder is not None or self.init_from is not None

    @property
    def has_teacher(self) -> bool:
        """See :class:`Method`."""
        return self.cotraining.teacher

    def build(self) -> Built:
        """See :class:`Method`."""
        if self.init_from is not None:
            return self._started(self.init_from)
        options = {f.name: getattr(self.model, f.name) for f in fields(EMMAOptions)}
        remarks, seen, groups = list[str](), set[str](), set[str]()
        known, known_groups = True, True
        encoder, cnn = self._encoder(options, remarks), None
        if self.encoder is not None:
            found = seen_by_encoder(self.encoder)
            known, seen = found is not None, set(found or ())
        cnn_config: CNNConfig | None = None
        if self.cnn is not None:
            cnn, report = open_cnn(self.cnn, self.cnn_expressions, "method.cnn")
            assert isinstance(cnn.config, CNNConfig)
            cnn_config = cnn.config
            remarks.append(f"cnn {self.cnn}: {report}, expressions {cnn_config.expressions}")
            notes = report.notes
            known &= notes.trained_on is not None
            known_groups = notes.training_groups is not None
            seen |= set(notes.trained_on or ())
            groups = set(notes.training_groups or ())
        try:
            model = EMMAConfig(**options, cnn=cnn_config).build()
        except ValueError as error:  # an image size that the CNN cannot take
            raise UserError(f"method.model: {error} (method.cnn {self.cnn})") from None
        if encoder is not None:
            place_tensors(model.encoder, encoder.state_dict(), str(self.encoder))
        if cnn is not None:
            assert model.cnn is not None
            place_tensors(model.cnn, cnn.state_dict(), str(self.cnn))
        return Built(
            model,
            tuple(remarks),
            tuple(sorted(seen)) if known else None,
            tuple(sorted(groups)) if known_groups else None,
        )

    def _started(self, path: str) -> Built:
        """A trained model, to go on with."""
        model, _, report = load_model(path)
        if not isinstance(model, emma.EMMA):
            raise UserError(
                f"{path}: a model {type(model).__name__}, expected EMMA as method.init_from"
            )
        for name in (f.name for f in fields(EMMAOptions)):
            own, given = getattr(self.model, name), getattr(model.config, name)
            if name not in _TAKEN_OVER and own != given:
                raise UserError(
                    f"{path}: trained with method.model.{name} {given!r}, expected {own!r}"
                )
        notes, remarks = report.notes, (f"init_from {path}: {report}",)
        return Built(model, remarks, notes.trained_on, notes.training_groups)

    def objective(self, model: AffectModel, targets: Targets) -> tuple[Supervised, ModelNotes]:
        """See :class:`Method`."""
        losses, notes = self.losses, label_weights(targets, self.losses)
        classes, units = notes.expression_weights, notes.action_unit_weights
        if self.views:
            return CoTraining(model, self.cotraining, losses, classes, units), notes
        return Supervised(model, losses, classes, units), notes

    def _encoder(self, options: dict[str, Any], remarks: list[str]) -> ViT | None:
        """The pretrained encoder, whose normalisation and epsilon the options take over."""
        if self.encoder is None:
            return None
        encoder, remark = open_encoder(self.encoder, self.model, "method.model")
        remarks.append(remark)
        options["mean"] = tuple(encoder.mean.flatten().tolist())
        options["std"] = tuple(encoder.std.flatten().tolist())
        options["norm_eps"] = encoder.shape.norm_eps
        return encoder
