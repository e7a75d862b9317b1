"""Inception-ResNet-v1: branches of convolutions, added to what they see.

Shapes: B batch, S side of the images.

Source: Szegedy et al. 2016, "Inception-v4, Inception-ResNet and the impact of residual
connections", figures 9 to 15; widths and scales as FaceNet's released networks have them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: What 75 px leave after the last reduction is 1 x 1.
_SMALLEST = 75

_DROPOUT = 0.6


class InceptionResNetV1(nn.Module):
    """A stem, three kinds of residual blocks with reductions between, 512 features.

    Args:
        side: S, 160 as in FaceNet, at least 75.
    """

    num_features = 512

    def __init__(self, side: int) -> None:
        super().__init__()
        if side < _SMALLEST:
            raise ValueError(
                f"image_size {side}, expected at least {_SMALLEST} for inception_resnet_v1"
            )
        self.layers = nn.Sequential(
            _convolution(3, 32, 3, stride=2),
            _convolution(32, 32, 3),
            _convolution(32, 64, 3, padding=1),
            nn.MaxPool2d(3, 2),
            _convolution(64, 80, 1),
            _convolution(80, 192, 3),
            _convolution(192, 256, 3, stride=2),
            *(_residual_35() for _ in range(5)),
            _Branches(
                _convolution(256, 384, 3, stride=2),
                nn.Sequential(
                    _convolution(256, 192, 1),
                    _convolution(192, 192, 3, padding=1),
                    _convolution(192, 256, 3, stride=2),
                ),
                nn.MaxPool2d(3, 2),
            ),
            *(_residual_17() for _ in range(10)),
            _Branches(
                nn.Sequential(_convolution(896, 256, 1), _convolution(256, 384, 3, stride=2)),
                nn.Sequential(_convolution(896, 256, 1), _convolution(256, 256, 3, stride=2)),
                nn.Sequential(
                    _convolution(896, 256, 1),
                    _convolution(256, 256, 3, padding=1),
                    _convolution(256, 256, 3, stride=2),
                ),
                nn.MaxPool2d(3, 2),
            ),
            *(_residual_8(0.20) for _ in range(5)),
            _residual_8(1.0, last=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(_DROPOUT),
            nn.Linear(1792, self.num_features, bias=False),
            nn.BatchNorm1d(self.num_features, eps=0.001),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, 512] of normalised images [B, 3, S, S]."""
        return self.layers(images)  # type: ignore[no-any-return]


class _Branches(nn.Module):
    """Branches side by side; their maps are stacked."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([branch(maps) for branch in self.branches], 1)


class _Residual(nn.Module):
    """Branches, one convolution back to the width of the input, scaled and added to it."""

    def __init__(self, width: int, inner: int, branches: _Branches, scale: float, last: bool):
        super().__init__()
        self.branches, self.back = branches, nn.Conv2d(inner, width, 1)
        self.scale, self.last = scale, last

    def forward(self, maps: Tensor) -> Tensor:
        maps = maps + self.scale * self.back(self.branches(maps))
        return maps if self.last else maps.relu()


def _residual_35() -> _Residual:
    branches = _Branches(
        _convolution(256, 32, 1),
        nn.Sequential(_convolution(256, 32, 1), _convolution(32, 32, 3, padding=1)),
        nn.Sequential(
            _convolution(256, 32, 1),
            _convolution(32, 32, 3, padding=1),
            _convolution(32, 32, 3, padding=1),
        ),
    )
    return _Residual(256, 96, branches, 0.17, last=False)


def _residual_17() -> _Residual:
    return _Residual(896, 256, _cross(896, 128, 7), 0.10, last=False)


def _residual_8(scale: float, last: bool = False) -> _Residual:
    return _Residual(1792, 384, _cross(1792, 192, 3), scale, last=last)


def _cross(inputs: int, width: int, length: int) -> _Branches:
    """A point, and a point followed by a row and a column of the same length."""
    half = length // 2
    return _Branches(
        _convolution(inputs, width, 1),
        nn.Sequential(
            _convolution(inputs, width, 1),
            _convolution(width, width, (1, length), padding=(0, half)),
            _convolution(width, width, (length, 1), padding=(half, 0)),
        ),
    )


def _convolution(
    inputs: int,
    width: int,
    kernel: int | tuple[int, int],
    *,
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, width, kernel, stride=stride, padding=padding, bias=False),
        nn.BatchNorm2d(width, eps=0.001),
        nn.ReLU(inplace=True),
    )
