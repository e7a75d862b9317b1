"""A convolutional trunk on every frame, and a recurrent network over the frames of a video.

Shapes: B clips, T slots of a clip, n frames, F features, R recurrent width.

Source: Kollias and Zafeiriou 2019 (arXiv 1910.04855): two layers of 128 gated recurrent units on
the features of VGG-Face, an answer at every step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from finetune.labels import Predictions
from finetune.models.affect import SequenceModel
from finetune.models.memory import HEADS, MEMORIES
from finetune.models.multitask import MultiTask, MultiTaskConfig


@dataclass(frozen=True, kw_only=True)
class CNNRNNConfig(MultiTaskConfig):
    """A recogniser with memory.

    Attributes:
        temporal: gru, or transformer: attention among the frames of a window.
        hidden: R, units of each layer; of a transformer a multiple of 4, its number of heads.
        layers: of the memory.
        window: frames that are answered together, each from those before it in the window (a
            transformer: from all of the window); windows overlap by half and answers are averaged.
            0: the state is carried through a whole video.
        frame_step: frame numbers between the frames of a sequence; a video is that many sequences.
    """

    temporal: str = "gru"
    hidden: int = 128
    layers: int = 2
    window: int = 0
    frame_step: int = 1

    def __post_init__(self) -> None:
        """Refuses numbers out of range."""
        super().__post_init__()
        for name, least in (("hidden", 1), ("layers", 1), ("window", 0), ("frame_step", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} {getattr(self, name)}, expected at least {least}")
        if self.window == 1:
            raise ValueError("window 1, expected 0 or at least 2")
        if self.temporal not in MEMORIES:
            raise ValueError(f"temporal {self.temporal!r}, expected one of {', '.join(MEMORIES)}")
        if self.temporal == "transformer" and (not self.window or self.hidden % HEADS):
            raise ValueError(
                f"temporal transformer with window {self.window}, hidden {self.hidden}, expected a"
                f" window and a multiple of {HEADS}"
            )

    def build(self) -> CNNRNN:
        """The model, with fresh weights."""
        return CNNRNN(self)


class CNNRNN(MultiTask, SequenceModel):
    """The trunk's features, in the order of frames, through gated recurrent units under the heads.

    Args:
        config: what it is.
    """

    def __init__(self, config: CNNRNNConfig) -> None:
        super().__init__(config)
        self.memory = MEMORIES[config.temporal](self.frame_features, config.hidden, config.layers)
        self._window = config.window
        self.frame_step = config.frame_step

    @property
    def head_features(self) -> int:
        """R: heads see the memory."""
        assert isinstance(self.config, CNNRNNConfig)
        return self.config.hidden

    @property
    def frame_features(self) -> int:
        """Features of a frame that the memory sees: F."""
        return self.trunk.num_features  # type: ignore[return-value]

    def remembers_as(self, other: nn.Module) -> bool:
        """Whether the memory, and what it is given, have the other model's form."""
        forms = {name: value.shape for name, value in self.memory.state_dict().items()}
        known = getattr(other, "memory", nn.Identity()).state_dict()
        return type(self) is type(other) and forms == {n: v.shape for n, v in known.items()}

    def frozen(self) -> nn.ModuleList:
        """See :class:`~finetune.models.affect.AffectModel`: the trunk."""
        return nn.ModuleList([self.trunk])

    def look(self, images: Tensor) -> dict[str, Tensor]:
        """See :class:`~finetune.models.affect.AffectModel`: ``features`` [B, F]."""
        return {"features": self.features(images)}

    def forward(self, images: Tensor) -> Predictions:
        """Answers stills [B, 3, H, W], uint8 or float, 0..255: each a video of one frame."""
        features = self.features(images).unsqueeze(1)
        return self.answer_features(self.memory(features).squeeze(1))

    def answer_clips(
        self,
        images: Tensor,
        present: Tensor,
        sound: Tensor | None = None,
        heard: Tensor | None = None,
    ) -> Predictions:
        """See :class:`SequenceModel`; the memory passes over empty slots.

        What is said of empty slots means nothing.
        """
        there = present.flatten()
        if not there.any():  # every weight needs a gradient, be it 0
            there = torch.arange(len(there), device=there.device) == 0
        given = [None if part is None else part[there] for part in (images, sound, heard)]
        # What is not there must not reach a batch norm, and one image has no variance.
        training = self.training
        self.train(training and int(there.sum()) > 1)
        seen = self.features_with_sound(*given)  # type: ignore[arg-type]
        self.train(training)
        features = seen.new_zeros(len(there), seen.shape[1])
        return self.answer_seen(features.masked_scatter(there.unsqueeze(1), seen), present)

    def answer_seen(self, features: Tensor, present: Tensor) -> Predictions:
        """See :class:`SequenceModel`."""
        features = rearrange(features, "(b t) f -> b t f", b=len(present))
        return self.answer_features(self.remember(features, present).flatten(0, 1))

    def remember(self, features: Tensor, present: Tensor) -> Tensor:
        """States [B, T, R] at each frame of features [B, T, F]; 0 where none is present."""
        # Frames that are there come first, in their order: a memory that looks back only is not
        # changed by whatever follows them, and attention is told where they end.
        order = torch.argsort((~present).int(), dim=1, stable=True)
        there = present.gather(1, order)
        there[:, 0] = True  # attention to nothing is no number
        states = self.memory(_taken(features, order), there)
        return _taken(states, torch.argsort(order, dim=1)) * present.unsqueeze(-1)

    def answer_sequence(self, features: Tensor) -> Predictions:
        """Answers the frames of a video in order, from features [n, F]; see ``window``."""
        n, window = len(features), self._window
        if not window or n <= window:
            return self._answer_window(features)
        starts = [*range(0, n - window, window // 2), n - window]
        answers = [self._answer_window(features[start : start + window]) for start in starts]
        return Predictions(
            **{
                name: _averaged([getattr(answer, name) for answer in answers], starts, n)
                for name in ("valence_arousal", "expression_logits", "action_unit_logits")
            }
        )

    def _answer_window(self, features: Tensor) -> Predictions:
        return self.answer_features(self.memory(features.unsqueeze(0))[0])


def _taken(values: Tensor, order: Tensor) -> Tensor:
    return values.gather(1, order.unsqueeze(-1).expand(-1, -1, values.shape[-1]))


def _averaged(parts: list[Tensor], starts: list[int], n: int) -> Tensor:
    """The mean of what windows say of each frame."""
    total, count = parts[0].new_zeros(n, parts[0].shape[1]), parts[0].new_zeros(n, 1)
    for start, part in zip(starts, parts, strict=True):
        total[start : start + len(part)] += part
        count[start : start + len(part)] += 1
    return total / count
