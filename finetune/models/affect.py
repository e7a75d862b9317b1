"""What all models of stage two have in common, and the encoder that most of them stand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from finetune.labels import (
    ActionUnitSpace,
    ExpressionSpace,
    Predictions,
    action_unit_space,
    expression_space,
)
from finetune.models.label_spaces import LabelSpaces
from pretrain.models.vit import SIZES, ViT, ViTShape


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What every model is given. The choice of a model is the choice of a subclass.

    Attributes:
        image_size: pixels a side of the square input.
        mean: mean of the red, green and blue channel in [0, 1] (ImageNet's by default).
        std: standard deviation of the channels in [0, 1].
    """

    image_size: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        """Refuses an input that cannot be."""
        if self.image_size < 1:
            raise ValueError(f"image_size {self.image_size}, expected at least 1")
        if len(self.mean) != 3:
            raise ValueError(f"mean {self.mean}, expected three numbers")
        if len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"std {self.std}, expected three positive numbers")

    def build(self) -> AffectModel:
        """The model, with fresh weights."""
        raise NotImplementedError


class AffectModel(nn.Module):
    """A model that answers in named spaces.

    Args:
        config: with the weights, all that the model is.
        labels: what its columns stand for.
    """

    def __init__(self, config: ModelConfig, labels: LabelSpaces) -> None:
        super().__init__()
        self.config, self.labels = config, labels

    def forward(self, images: Tensor) -> Predictions:
        """Answers images [B, 3, H, W], uint8 or float, 0..255."""
        raise NotImplementedError

    def features(self, images: Tensor) -> Tensor:
        """Features [B, F] of images [B, 3, H, W], uint8 or float, 0..255: each alone.

        Raises:
            NotImplementedError: the model has no one vector that its answers follow from.
        """
        raise NotImplementedError

    def lr_scales(self) -> Mapping[str, float]:
        """Factors on the learning rate by the beginnings of parameters' names; empty: none."""
        return {}

    def answer_views(self, images: Tensor, visible: Sequence[Tensor | None]) -> list[Predictions]:
        """What each view answers, for models that are trained on masked views.

        Args:
            images: [B, 3, H, W], uint8 or float, 0..255.
            visible: of each view the patches that it sees [B, V]; None: all.
        """
        raise NotImplementedError

    def frozen(self) -> nn.ModuleList:
        """The parts that can be frozen, where only heads are to be trained."""
        raise NotImplementedError

    def look(self, images: Tensor) -> dict[str, Tensor]:
        """What those parts see in images [B, 3, H, W]: [B, ...] by name."""
        raise NotImplementedError

    def answer(self, seen: Mapping[str, Tensor]) -> Predictions:
        """Answers from what its frozen parts have seen, where a model has such parts."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class AllTasksConfig(ModelConfig):
    """A model that answers all tasks.

    Attributes:
        expressions: the space of the expression logits: a name, or expressions with commas.
        action_units: the space of the AU logits: a name, or AUs with commas.
    """

    expressions: str = "aff_wild2_8"
    action_units: str = "aff_wild2_12"

    def __post_init__(self) -> None:
        """Refuses unknown spaces."""
        super().__post_init__()
        expression_space(self.expressions)
        action_unit_space(self.action_units)

    @property
    def expression_space(self) -> ExpressionSpace:
        """Columns of the expression logits."""
        return expression_space(self.expressions)

    @property
    def action_unit_space(self) -> ActionUnitSpace:
        """Columns of the AU logits."""
        return action_unit_space(self.action_units)

    @property
    def labels(self) -> LabelSpaces:
        """What the model answers."""
        return LabelSpaces(
            expressions=self.expression_space,
            action_units=self.action_unit_space,
            valence_arousal=True,
        )


class SequenceModel(AffectModel):
    """A model that answers a frame from those around it in its video.

    Attributes:
        frame_step: frame numbers between the frames of a sequence.
    """

    frame_step: int

    #: Whether it listens: it is then given sound.
    listens = False

    @property
    def sound_preset(self) -> str:
        """Form of the sound that one that listens is given, as ``data.sound.preset``."""
        raise NotImplementedError

    def answer_clips(
        self,
        images: Tensor,
        present: Tensor,
        sound: Tensor | None = None,
        heard: Tensor | None = None,
    ) -> Predictions:
        """Answers the slots of clips.

        Args:
            images: [B * T, 3, H, W], clip by clip.
            present: [B, T] bool, slots that hold a frame.
            sound: [B * T, S, M] log-mel patches around the frames; None: silence.
            heard: [B * T] bool, where there is sound.
        """
        raise NotImplementedError

    def features_with_sound(
        self, images: Tensor, sound: Tensor | None, heard: Tensor | None
    ) -> Tensor:
        """:meth:`features` of frames with what is heard around them, see :meth:`answer_clips`."""
        del sound, heard
        return self.features(images)

    def answer_seen(self, features: Tensor, present: Tensor) -> Predictions:
        """:meth:`answer_clips` from features [B * T, F] that were made before.

        Args:
            features: clip by clip; anything in empty slots.
            present: [B, T] bool, slots that hold a frame.
        """
        raise NotImplementedError

    def answer_sequence(self, features: Tensor) -> Predictions:
        """Answers the frames of one video in order, from features [n, F]."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class ViTConfig(ModelConfig):
    """A model on a ViT encoder of stage one.

    Attributes:
        size: encoder size: tiny, small, base, large or huge.
        patch_size: pixels a side of a patch; divides image_size.
        drop_path_rate: probability that the last block is skipped for a sample, in training; it
            grows linearly from 0 at the first.
        norm_eps: epsilon of the layer norms.
        gradient_checkpointing: recompute the blocks in the backward pass: less memory, more time.
    """

    size: str = "base"
    patch_size: int = 16
    drop_path_rate: float = 0.1
    norm_eps: float = 1e-6
    gradient_checkpointing: bool = field(default=False, metadata={"operational": True})

    def __post_init__(self) -> None:
        """Refuses encoders that cannot be built."""
        super().__post_init__()
        if self.size not in SIZES:
            raise ValueError(f"size {self.size!r}, expected one of {', '.join(SIZES)}")
        if not 0 <= self.drop_path_rate < 1:
            raise ValueError(f"drop_path_rate {self.drop_path_rate}, expected in [0, 1)")
        if self.norm_eps <= 0:
            raise ValueError(f"norm_eps {self.norm_eps}, expected > 0")
        _ = self.shape  # it refuses a patch size that does not divide the image

    @property
    def shape(self) -> ViTShape:
        """Sizes of the encoder."""
        return ViTShape.of_size(
            self.size,
            image_size=self.image_size,
            patch_size=self.patch_size,
            norm_eps=self.norm_eps,
        )

    def encoder(self) -> ViT:
        """The encoder, with fresh weights."""
        return ViT(
            self.shape,
            self.mean,
            self.std,
            drop_path_rate=self.drop_path_rate,
            recompute=self.gradient_checkpointing,
        )
