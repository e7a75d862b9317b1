"""CoTEX: several encoders that are trained together on expressions, each on a masked view."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from finetune.label_weights import expression_weights
from finetune.labels import Targets
from finetune.loading.notes import ModelNotes
from finetune.methods.method import Built, Method
from finetune.methods.pretrained import open_encoder, seen_by_encoder
from finetune.models import cotex
from finetune.models.affect import AffectModel
from finetune.models.label_spaces import LabelSpaces
from finetune.objectives.cotraining import CoTraining, CoTrainingConfig
from finetune.objectives.supervised import LossConfig
from pretrain.load import place_tensors
from pretrain.models.masking import visible_count


@dataclass(frozen=True, kw_only=True)
class CoTEX(Method):
    """CoTEX: views that learn an expression each from its part of the face, and must agree.

    Attributes:
        encoders: weights of the views' ViTs, one for all or one each; null: from scratch.
        views: the network.
        cotraining: how views differ, and what their agreement counts.
        losses: only what is said of expressions counts.
    """

    encoders: tuple[str, ...] | None = None
    views: cotex.CoTEXConfig = field(default_factory=cotex.CoTEXConfig)
    cotraining: CoTrainingConfig = field(default_factory=CoTrainingConfig)
    losses: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        """Refuses a number of encoders that fits no views, and masks that leave nothing."""
        encoders = 1 if self.views.shared else self.views.views
        if self.encoders is not None and len(self.encoders) not in (1, encoders):
            raise ValueError(f"{len(self.encoders)} encoders, expected 1 or {encoders}")
        check_masks(self.cotraining, self.views.views, self.views.shape.num_patches)
        if self.has_teacher and self.views.combine == "sum":
            raise ValueError(
                "cotraining.teacher with views.combine 'sum', expected another: summed"
                " logits are surer than any view can be"
            )

    @property
    def labels(self) -> LabelSpaces:
        """See :class:`Method`."""
        return LabelSpaces(expressions=self.views.space)

    @property
    def image_size(self) -> int:
        """See :class:`Method`."""
        return self.views.image_size

    @property
    def trained_tasks(self) -> tuple[str, ...]:
        """See :class:`Method`."""
        return ("expression",)

    @property
    def masks(self) -> tuple[int, int]:
        """See :class:`Method`."""
        return self.views.views, self.views.shape.num_patches

    @property
    def has_teacher(self) -> bool:
        """See :class:`Method`."""
        return self.cotraining.teacher

    def build(self) -> Built:
        """See :class:`Method`."""
        if self.encoders is None:
            return Built(self.views.build())
        opened = [open_encoder(path, self.views, "method.views") for path in self.encoders]
        first = opened[0][0]
        config = replace(
            self.views,
            mean=tuple(first.mean.flatten().tolist()),
            std=tuple(first.std.flatten().tolist()),
            norm_eps=first.shape.norm_eps,
        )
        model = config.build()
        encoders = opened * (len(model.views) if len(opened) == 1 else 1)
        for view, (encoder, remark) in zip(model.views, encoders, strict=True):
            place_tensors(view.encoder, encoder.state_dict(), remark)  # type: ignore[arg-type]
        known = [seen_by_encoder(path) for path in self.encoders]
        seen = {name for names in known for name in names or ()}
        unknown = any(names is None for names in known)
        remarks = tuple(remark for _, remark in opened)
        return Built(model, remarks, None if unknown else tuple(sorted(seen)))

    def objective(self, model: AffectModel, targets: Targets) -> tuple[CoTraining, ModelNotes]:
        """See :class:`Method`."""
        weights = expression_weights(targets, self.losses.expression_weights)
        trained = CoTraining(model, self.cotraining, self.losses, weights)
        return trained, ModelNotes(expression_weights=weights)


def check_masks(config: CoTrainingConfig, views: int, patches: int) -> None:
    """Refuses masks that leave nothing to see, or too little for disjoint views.

    Raises:
        ValueError: they do.
    """
    if not config.mask_ratio:
        return
    visible = visible_count(patches, config.mask_ratio)
    if config.masks == "disjoint" and views * visible > patches:
        raise ValueError(
            f"cotraining.masks disjoint: {views} views of {visible} patches, expected at most"
            f" {patches} in all"
        )
