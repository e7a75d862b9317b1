"""Memories: from the features of frames to states that know the frames around them.

Shapes: B sequences, T frames, F features, R width of the states.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

#: Attention heads of a transformer.
HEADS = 4

_DROPOUT = 0.1


class GatedUnits(nn.GRU):
    """Gated recurrent units (Cho et al. 2014): a state knows the frames before it.

    Args:
        features: F.
        hidden: R.
        layers: of them.
    """

    def __init__(self, features: int, hidden: int, layers: int) -> None:
        super().__init__(features, hidden, layers, batch_first=True)

    def forward(self, features: Tensor, present: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """States [B, T, R] of features [B, T, F], frames that are present first.

        Args:
            features: them.
            present: [B, T] bool; not looked at: what follows the frames changes nothing.
        """
        del present
        return super().forward(features)[0]


class Attention(nn.Module):
    """A transformer encoder (Vaswani et al. 2017, norm first): a state knows its whole window.

    Args:
        features: F.
        hidden: R, a multiple of :data:`HEADS`.
        layers: of them.
    """

    def __init__(self, features: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.project = nn.Linear(features, hidden)
        layer = nn.TransformerEncoderLayer(
            hidden, HEADS, 4 * hidden, _DROPOUT, "gelu", batch_first=True, norm_first=True
        )
        norm = nn.LayerNorm(hidden)
        self.encoder = nn.TransformerEncoder(layer, layers, norm, enable_nested_tensor=False)

    def forward(self, features: Tensor, present: Tensor | None = None) -> Tensor:
        """States [B, T, R] of features [B, T, F], frames that are present first.

        Args:
            features: them.
            present: [B, T] bool; None: all are.
        """
        tokens = self.project(features)
        tokens = tokens + _positions(tokens.shape[1], tokens.shape[2]).to(tokens)
        return self.encoder(  # type: ignore[no-any-return]
            tokens, src_key_padding_mask=None if present is None else ~present
        )


MEMORIES: Mapping[str, Callable[[int, int, int], nn.Module]] = {
    "gru": GatedUnits,
    "transformer": Attention,
}


def _positions(length: int, width: int) -> Tensor:
    """Sines, then cosines, of the place in the sequence [T, R] (Vaswani et al. 2017, 3.5)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)
