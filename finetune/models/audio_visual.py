"""Two streams, a face and its sound, joined under one memory.

Shapes: B frames, S spectrogram frames and M mel bands of a patch, F features.

Source: Kollias and Zafeiriou 2019 (arXiv 1910.04855): features of face and spectrogram side by
side, two layers of 128 gated recurrent units, joint outputs. The sound's network is a
reconstruction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from finetune.models.cnn_rnn import CNNRNN, CNNRNNConfig

#: Widths of the sound's convolutions; each is followed by a pooling that halves the patch.
_WIDTHS = (32, 64, 128, 128)

#: Patches come about standardised: near the mean and spread of drawn voices' log-mel powers.
_MEAN, _SPREAD = -11.0, 3.0


@dataclass(frozen=True, kw_only=True)
class AVCNNRNNConfig(CNNRNNConfig):
    """A recogniser with memory that listens.

    Attributes:
        sound_features: width of what the sound's network says.
        sound_preset: of the spectrograms that it is given, as ``data.sound.preset``.
    """

    sound_features: int = 128
    sound_preset: str = "default"

    def __post_init__(self) -> None:
        """Refuses a stream of nothing."""
        super().__post_init__()
        if self.sound_features < 1:
            raise ValueError(f"sound_features {self.sound_features}, expected at least 1")

    def build(self) -> AVCNNRNN:
        """The model, with fresh weights."""
        return AVCNNRNN(self)


class AVCNNRNN(CNNRNN):
    """Features of the face, of the sound, and whether there is any: one vector a frame.

    Where there is no sound, its features are 0: the face alone answers.

    Args:
        config: what it is.
    """

    listens = True

    def __init__(self, config: AVCNNRNNConfig) -> None:
        super().__init__(config)
        layers, inputs = list[nn.Module](), 1
        for width in _WIDTHS:
            layers += [
                nn.Conv2d(inputs, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
            ]
            inputs = width
        self.hearing = nn.Sequential(
            *layers,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(inputs, config.sound_features),
            nn.ReLU(inplace=True),
        )

    @property
    def sound_preset(self) -> str:
        """See :class:`SequenceModel`."""
        assert isinstance(self.config, AVCNNRNNConfig)
        return self.config.sound_preset

    @property
    def frame_features(self) -> int:
        """Features of the face, of the sound, and one for its presence."""
        assert isinstance(self.config, AVCNNRNNConfig)
        return super().frame_features + self.config.sound_features + 1

    def features(self, images: Tensor) -> Tensor:
        """Features [B, F] of images [B, 3, H, W], 0..255, without sound."""
        return self.features_with_sound(images, None, None)

    def features_with_sound(
        self, images: Tensor, sound: Tensor | None, heard: Tensor | None
    ) -> Tensor:
        """Features [B, F] of images with what is heard around them.

        Args:
            images: [B, 3, H, W], uint8 or float, 0..255.
            sound: [B, S, M] log-mel patches; None: silence.
            heard: [B] bool, where there is sound.
        """
        face = super().features(images)
        assert isinstance(self.config, AVCNNRNNConfig)
        voice = face.new_zeros(len(face), self.config.sound_features + 1)
        if sound is not None and heard is not None and heard.any():
            # Silence must not reach a batch norm.
            said = self.hearing(((sound[heard] - _MEAN) / _SPREAD).unsqueeze(1))
            said = torch.cat([said, said.new_ones(len(said), 1)], 1)
            voice = voice.masked_scatter(heard.unsqueeze(1), said.to(voice.dtype))
        elif self.training:  # a part without a gradient would stop several processes
            voice = voice + 0 * sum(weight.sum() for weight in self.hearing.parameters())
        return torch.cat([face, voice], 1)
