"""Convolutional multi-task recognisers: MT-VGG, MT-ArcRes, MT-ArcVGG, MTANet and their likes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from finetune.clips import ClipConfig
from finetune.data.sound.logmel import PRESETS
from finetune.labels import Targets
from finetune.load import load_model
from finetune.loading.notes import ModelNotes
from finetune.methods.method import Built, Method, label_weights
from finetune.methods.pretrained import seen_by_encoder
from finetune.models import cnn_rnn
from finetune.models.affect import AffectModel
from finetune.models.audio_visual import AVCNNRNNConfig
from finetune.models.cnn_rnn import CNNRNNConfig
from finetune.models.label_spaces import LabelSpaces
from finetune.models.multitask import MultiTask as Network
from finetune.models.multitask import MultiTaskConfig
from finetune.models.trunks.encoder import ENCODERS, Encoder
from finetune.objectives.coupling import CouplingConfig
from finetune.objectives.margin import MarginConfig
from finetune.objectives.recognition import Recognition
from finetune.objectives.supervised import LossConfig
from pretrain.errors import UserError
from pretrain.load import load_encoder, place_tensors

_HEADS = ("expressions", "action_units", "valence_arousal")


@dataclass(frozen=True, kw_only=True)
class Recogniser(Method):
    """A convolutional trunk under a head for each task; with a weight of 0 a task is left out.

    Attributes:
        encoder: weights of a trunk vit_tiny to vit_huge: a run of stage one, a released file or a
            timm name; its mean and standard deviation are taken over. Null: none.
        init_from: a trained recogniser of the same trunk to start from, a run of stage two: the
            second stage of a transfer; heads of other label spaces are left out. Null: fresh
            weights.
        network: the trunk and its heads.
        losses: what the tasks count.
        margin: ArcFace's, where network.expression_head is cosine.
        coupling: what expressions and action units teach each other.
    """

    encoder: str | None = None
    init_from: str | None = None
    network: MultiTaskConfig = field(default_factory=MultiTaskConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    margin: MarginConfig = field(default_factory=MarginConfig)
    coupling: CouplingConfig = field(default_factory=CouplingConfig)

    def __post_init__(self) -> None:
        """Refuses a margin without angles, teaching without both tasks, and two beginnings."""
        if self.encoder is not None:
            if self.init_from is not None:
                raise ValueError("encoder with init_from, expected one of the two")
            if self.network.trunk not in ENCODERS:
                raise ValueError(
                    f"encoder with network.trunk {self.network.trunk!r}, expected one of"
                    f" {', '.join(ENCODERS)}"
                )
        if self.margin.angle and not self.losses.expression:
            raise ValueError(
                f"margin.angle {self.margin.angle} with losses.expression 0, expected 0"
            )
        if self.margin.angle and self.network.expression_head != "cosine":
            raise ValueError(
                f"margin.angle {self.margin.angle} with network.expression_head"
                f" {self.network.expression_head}, expected cosine"
            )
        if self.coupling.wanted and not (self.losses.expression and self.losses.action_units):
            raise ValueError(
                "coupling with losses.expression or losses.action_units 0, expected both above 0"
            )

    @property
    def labels(self) -> LabelSpaces:
        """See :class:`Method`."""
        return self.network.labels

    @property
    def image_size(self) -> int:
        """See :class:`Method`."""
        return self.network.image_size

    @property
    def trained_tasks(self) -> tuple[str, ...]:
        """See :class:`Method`."""
        return self.losses.trained_tasks

    def build(self) -> Built:
        """See :class:`Method`."""
        encoder = None if self.encoder is None else load_encoder(self.encoder)[0]
        network = self.network
        if encoder is not None:
            mean, std = (tuple(part.flatten().tolist()) for part in (encoder.mean, encoder.std))
            network = replace(network, mean=mean, std=std)
        try:
            model = network.build()
        except ValueError as error:  # a size that the trunk cannot take
            raise UserError(f"method.network: {error}") from None
        if encoder is not None:
            assert isinstance(model.trunk, Encoder)
            placed = place_tensors(model.trunk.encoder, encoder.state_dict(), str(self.encoder))
            remarks = (f"encoder {self.encoder}: {placed}",)
            return Built(model, remarks, seen_by_encoder(str(self.encoder)))
        return Built(model) if self.init_from is None else self._started(model, self.init_from)

    def _started(self, model: AffectModel, path: str) -> Built:
        """With the weights of another recogniser."""
        other, _, report = load_model(path)
        if not isinstance(other, Network):
            raise UserError(
                f"{path}: a {type(other).__name__}, expected a MultiTask as method.init_from"
            )
        assert isinstance(model, Network)
        for name in ("mean", "std"):
            own, given = getattr(model.config, name), getattr(other.config, name)
            if own != given:
                raise UserError(
                    f"{path}: normalised with {name} {list(given)}, expected {list(own)} as"
                    f" method.network.{name} says"
                )
        left_out = _other_parts(model, other)
        tensors = other.state_dict()
        kept = {n: t for n, t in tensors.items() if not (left_out and n.startswith(left_out))}
        placed = place_tensors(model, kept, path, left_out)
        notes = report.notes
        remarks = (f"init_from {path}: {placed}",)
        return Built(model, remarks, notes.trained_on, notes.training_groups)

    def objective(self, model: AffectModel, targets: Targets) -> tuple[Recognition, ModelNotes]:
        """See :class:`Method`."""
        losses, notes = self.losses, label_weights(targets, self.losses)
        classes, units = notes.expression_weights, notes.action_unit_weights
        cosine = self.network.expression_head == "cosine"
        trained = Recognition(
            model,
            losses,
            margin=self.margin,
            scale=self.network.cosine_scale if cosine else None,
            coupling=self.coupling,
            shares=self.coupling.shares(targets) if self.coupling.wanted else None,
            expression_weights=classes,
            action_unit_weights=units,
        )
        return trained, notes


def _other_parts(model: Network, other: Network) -> tuple[str, ...]:
    """Beginnings of the names of what another recogniser does not share with a model.

    A head in another label space is another head, though it may have as many columns.
    """
    if isinstance(model, cnn_rnn.CNNRNN) and not model.remembers_as(other):
        return ("memory.", "hearing.", *(f"{head}." for head in _HEADS))
    found = [
        f"{name}."
        for name in ("expressions", "action_units")
        if getattr(other.labels, name) != getattr(model.labels, name)
    ]
    if type(model.expressions) is not type(other.expressions) and "expressions." not in found:
        found.append("expressions.")
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class MultiTask(Recogniser):
    """A trunk under linear heads, or small blocks, for each task, trained on images."""


@dataclass(frozen=True, kw_only=True)
class OnVideos(Recogniser):
    """A trunk on every frame, and a memory over frames: trained on clips of videos.

    A sample is a clip: training.global_batch_size counts clips.

    Attributes:
        network: the trunk, its memory and its heads.
        clip_frames: frames of a training clip.
    """

    network: CNNRNNConfig = field(default_factory=CNNRNNConfig)
    clip_frames: int = 80

    def __post_init__(self) -> None:
        """Refuses what any recogniser does, and clips of nothing."""
        super().__post_init__()
        if self.clip_frames < 2:
            raise ValueError(f"clip_frames {self.clip_frames}, expected at least 2")
        if self.network.temporal == "transformer" and self.network.window > self.clip_frames:
            raise ValueError(
                f"network.window {self.network.window} with clip_frames {self.clip_frames},"
                " expected no more: a transformer knows no places that it was not trained on"
            )
        _ = self.clips

    @property
    def clips(self) -> ClipConfig:
        """See :class:`Method`."""
        return ClipConfig(frames=self.clip_frames, frame_step=self.network.frame_step)


@dataclass(frozen=True, kw_only=True)
class CNNRNN(OnVideos):
    """A trunk on every frame and a recurrent network over frames, trained on clips of videos.

    Attributes:
        init_from: a trained recogniser of the same trunk to start from, with or without memory; of
            one without, the trunk is taken.
        network: the trunk, its memory and its heads.
    """

    network: CNNRNNConfig = field(default_factory=CNNRNNConfig)

    @property
    def can_freeze(self) -> bool:
        """See :class:`Method`: memory and heads learn from what a trunk sees."""
        return self.init_from is not None or self.encoder is not None


@dataclass(frozen=True, kw_only=True)
class AVCNNRNN(OnVideos):
    """CNNRNN that listens: --data.sound.folder holds the sounds of the videos.

    Attributes:
        init_from: a trained recogniser of the same trunk to start from; of one that does not
            listen, the trunk is taken.
        network: the trunk, the sound's network, their memory and its heads.
        silence: share of the training clips whose sound is left out, so that the face alone can
            answer as well.
    """

    network: AVCNNRNNConfig = field(default_factory=AVCNNRNNConfig)
    silence: float = 0.25

    def __post_init__(self) -> None:
        """Refuses an unknown form of sound as well."""
        super().__post_init__()
        if self.network.sound_preset not in PRESETS:
            raise ValueError(
                f"network.sound_preset {self.network.sound_preset!r}, expected one of"
                f" {', '.join(PRESETS)}"
            )

    @property
    def clips(self) -> ClipConfig:
        """See :class:`Method`."""
        return replace(super().clips, silence=self.silence)

    @property
    def listens(self) -> bool:
        """See :class:`Method`."""
        return True
