"""A plain expression CNN for small grey faces.

Shapes: B batch, S side of the images.

A reconstruction: arXiv 2010.01301 ("ABAW 2020") publishes its scores and the 48 x 48 grey input,
not the layers. These are the widths that such networks usually have on FER2013.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: Widths of the convolutions; each is followed by a pooling that halves the side.
_WIDTHS = (64, 128, 512, 512)

_STRIDE = 2 ** len(_WIDTHS)

#: Weights of red, green and blue in grey. Source: ITU-R BT.601.
_GREY = (0.299, 0.587, 0.114)


class PlainCNN(nn.Module):
    """Four convolutions with batch norm, ReLU, pooling and dropout; two layers of features.

    Args:
        side: S, 48 or another multiple of 16.
    """

    grey: Tensor
    num_features = 512

    def __init__(self, side: int) -> None:
        super().__init__()
        if side % _STRIDE or side < _STRIDE:
            raise ValueError(f"image_size {side}, expected a multiple of {_STRIDE} for plain_cnn")
        self.register_buffer("grey", torch.tensor(_GREY).view(1, 3, 1, 1), persistent=False)
        layers, inputs = list[nn.Module](), 1
        for width in _WIDTHS:
            layers += [
                nn.Conv2d(inputs, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
                nn.Dropout(0.25),
            ]
            inputs = width
        self.convolutions = nn.Sequential(*layers)
        self.wide = nn.Sequential(
            *_wide(inputs * (side // _STRIDE) ** 2, 256), *_wide(256, self.num_features)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, 512] of normalised images [B, 3, S, S]."""
        grey = (images * self.grey).sum(1, keepdim=True)
        return self.wide(self.convolutions(grey).flatten(1))  # type: ignore[no-any-return]


def _wide(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return (
        nn.Linear(inputs, outputs, bias=False),
        nn.BatchNorm1d(outputs),
        nn.ReLU(inplace=True),
        nn.Dropout(0.25),
    )
