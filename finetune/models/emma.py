"""EMMA: a ViT and a frozen expression CNN look at one image; their scores give valence and arousal.

Shapes: B batch, D encoder width, F width of the CNN's features, K expressions, A action units.

Source: Li et al. 2022, "Affective behaviour analysis using pretrained model with facial prior".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor, nn

from finetune.labels import (
    Predictions,
)
from finetune.models.affect import AffectModel, AllTasksConfig, ViTConfig
from finetune.models.cnn import CNNConfig
from finetune.models.dan import DANConfig
from finetune.models.heads import hidden_of_equal_parameters, two_layers
from finetune.models.layer_decay import layers_of_encoder

#: What the head of valence and arousal reads, in this order, by ``va_input``.
_PARTS = {
    "scores": ("cnn_scores", "expression_scores", "action_unit_scores"),
    "features": ("features",),
    "cnn_scores": ("cnn_scores",),
    "features_and_cnn_scores": ("features", "cnn_scores"),
    "features_of_both": ("features", "cnn_features"),
}
_SCORES = ("logits", "probabilities")
_VA_OUTPUTS = ("raw", "tanh")


@dataclass(frozen=True, kw_only=True)
class EMMAOptions(AllTasksConfig, ViTConfig):
    """EMMA without its CNN, and the simpler models that it is compared with.

    Attributes:
        hidden: hidden width of the head of expressions and AUs.
        va_input: what valence and arousal are told from: scores (the CNN's where there is one, of
            the expressions and of the AUs), features (the encoder's class token), cnn_scores,
            features_and_cnn_scores or features_of_both.
        va_hidden: hidden width of the head of valence and arousal.
        va_parameters: give that head, instead of va_hidden, the hidden width with which it comes
            nearest to this many parameters (the published one has 7938): for comparisons of what
            it reads; null: va_hidden.
        va_output: raw, which is unbounded, or tanh, inside (-1, 1).
        scores: logits or probabilities; what the head of valence and arousal reads as scores.
        detach_scores: whether the loss of valence and arousal leaves the encoder alone; only with
            va_input scores.
    """

    hidden: int = 512
    va_input: str = "scores"
    va_hidden: int = 256
    va_parameters: int | None = None
    va_output: str = "tanh"
    scores: str = "probabilities"
    detach_scores: bool = False

    def __post_init__(self) -> None:
        """Refuses unknown names, and options that would have no effect."""
        super().__post_init__()
        for name, known in (
            ("va_input", tuple(_PARTS)),
            ("va_output", _VA_OUTPUTS),
            ("scores", _SCORES),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} {getattr(self, name)!r}, expected one of {', '.join(known)}"
                )
        for name in ("hidden", "va_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}, expected at least 1")
        if self.detach_scores and self.va_input != "scores":
            raise ValueError(
                f"detach_scores with va_input {self.va_input!r}, expected va_input 'scores'"
            )
        if self.va_parameters is not None and self.va_parameters < 1:
            raise ValueError(f"va_parameters {self.va_parameters}, expected at least 1 or null")

    @property
    def reads_cnn(self) -> bool:
        """Whether the head of valence and arousal would read a CNN."""
        return any(part.startswith("cnn_") for part in _PARTS[self.va_input])


@dataclass(frozen=True, kw_only=True)
class EMMAConfig(EMMAOptions):
    """EMMA. The defaults are the default preset.

    Attributes:
        cnn: the frozen CNN, in a label space of its own; null: none. Its image size does not
            count: it sees the same images as the encoder.
    """

    cnn: CNNConfig | None = field(default_factory=DANConfig)

    def __post_init__(self) -> None:
        """Refuses a CNN that nothing reads, and none where one is read."""
        super().__post_init__()
        if self.cnn is None and self.reads_cnn and self.va_input != "scores":
            raise ValueError(f"no cnn with va_input {self.va_input!r}, expected one")
        if self.cnn is not None:
            if not self.reads_cnn:
                raise ValueError(f"a cnn with va_input {self.va_input!r}, expected none")
            self.cnn.check_side(self.image_size)

    @property
    def va_parts(self) -> tuple[str, ...]:
        """What the head of valence and arousal reads, in this order."""
        parts = _PARTS[self.va_input]
        return parts if self.cnn is not None else tuple(p for p in parts if p != "cnn_scores")

    def build(self) -> EMMA:
        """The model, with fresh weights."""
        return EMMA(self)


#: ``default``: scores as probabilities, which do not depend on the scale of the logits, and
#: outputs that cannot leave the range of the labels (ours). ``paper``: as published.
PRESETS = {
    "default": EMMAConfig(),
    "paper": EMMAConfig(scores="logits", va_output="raw"),
}


class EMMA(AffectModel):
    """The multi-task model.

    The CNN is frozen: it runs in evaluation mode and without gradients whatever is asked of the
    model, its statistics never change, and its parameters ask for no gradient, so that no optimiser
    takes them up.

    Args:
        config: what it is.
    """

    def __init__(self, config: EMMAConfig) -> None:
        expressions, units = config.expression_space, config.action_unit_space
        super().__init__(config, config.labels)
        self._columns = (len(expressions), len(units))
        self._va_parts = config.va_parts
        self._scores, self._va_output = config.scores, config.va_output
        self._detach = config.detach_scores
        self.encoder = config.encoder()
        width = config.shape.embed_dim
        self.head = two_layers(width, config.hidden, sum(self._columns))
        self.cnn = None if config.cnn is None else config.cnn.build().requires_grad_(False).eval()
        widths = {
            "features": width,
            "expression_scores": len(expressions),
            "action_unit_scores": len(units),
        }
        if self.cnn is not None and config.cnn is not None:
            widths |= {"cnn_scores": len(config.cnn.space), "cnn_features": self.cnn.num_features}
        self.va_head = _va_head(config, widths)

    def train(self, mode: bool = True) -> Self:
        """Training or evaluation mode, for all but the CNN."""
        super().train(mode)
        if self.cnn is not None:
            self.cnn.eval()
        return self

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """What timm groups parameters by, see :mod:`~finetune.models.layer_decay`.

        Args:
            coarse: timm may ask for fewer layers; there is one grouping here.
        """
        return layers_of_encoder("encoder")

    def forward(self, images: Tensor) -> Predictions:
        """Answers images [B, 3, H, W], uint8 or float, 0..255.

        Returns:
            valence_arousal [B, 2], expression_logits [B, K], action_unit_logits [B, A]. Every head
            runs, whatever is trained.
        """
        return self.answer(self.look(images))

    def answer_views(self, images: Tensor, visible: Sequence[Tensor | None]) -> list[Predictions]:
        """What the encoder answers to each view; the CNN sees the whole image, once."""
        whole = self._look(images)
        return [
            self.answer(whole | {"features": self.encoder(images, seen)[:, 0]}) for seen in visible
        ]

    def features(self, images: Tensor) -> Tensor:
        """See :class:`AffectModel`: the encoder's class token, [B, D]."""
        return self.encoder(images)[:, 0]  # type: ignore[no-any-return]

    def frozen(self) -> nn.ModuleList:
        """See :class:`AffectModel`: the encoder and, where there is one, the CNN."""
        return nn.ModuleList([self.encoder, *([] if self.cnn is None else [self.cnn])])

    def look(self, images: Tensor) -> dict[str, Tensor]:
        """What the networks below the heads see in images [B, 3, H, W].

        Returns:
            ``features`` [B, D], the class token after the final norm; with a CNN ``cnn_features``
            [B, F] and ``cnn_scores``.
        """
        return {"features": self.encoder(images)[:, 0]} | self._look(images)

    def answer(self, seen: Mapping[str, Tensor]) -> Predictions:
        """What the heads make of what :meth:`look` gave."""
        features = seen["features"]
        expressions, units = self.head(features).split(self._columns, 1)
        parts = dict(seen) | {
            "features": features,
            "expression_scores": self._as_scores(expressions, exclusive=True),
            "action_unit_scores": self._as_scores(units, exclusive=False),
        }
        answer = self.va_head(torch.cat([parts[name] for name in self._va_parts], 1))
        return Predictions(
            valence_arousal=answer.tanh() if self._va_output == "tanh" else answer,
            expression_logits=expressions,
            action_unit_logits=units,
        )

    @torch.no_grad()
    def _look(self, images: Tensor) -> dict[str, Tensor]:
        """What the CNN has to say."""
        if self.cnn is None:
            return {}
        self.cnn.eval()  # train() may have been called on the CNN itself, or on its parts
        features, logits = self.cnn.features_and_logits(images)
        return {"cnn_features": features, "cnn_scores": self._as_scores(logits, exclusive=True)}

    def _as_scores(self, logits: Tensor, *, exclusive: bool) -> Tensor:
        """Logits as the head of valence and arousal reads them."""
        if self._detach:
            logits = logits.detach()
        if self._scores == "logits":
            return logits
        return logits.softmax(1) if exclusive else logits.sigmoid()


def _va_head(config: EMMAConfig, widths: dict[str, int]) -> nn.Sequential:
    """The head of valence and arousal; its two outputs are in this order."""
    inputs, hidden = sum(widths[name] for name in config.va_parts), config.va_hidden
    if config.va_parameters is not None:
        hidden = hidden_of_equal_parameters(inputs, 2, config.va_parameters)
    return two_layers(inputs, hidden, 2)
