"""IR-50 and IR-SE-50: the residual networks of ArcFace.

Shapes: B batch, S side of the images.

Source: Deng et al. 2019, "ArcFace", section 3.1 and its code ("improved residual" units, output E);
squeeze and excitation: Hu et al. 2018.
"""

from __future__ import annotations

from timm.layers import SEModule
from torch import Tensor, nn

#: Width and units of each stage; the first unit of a stage halves the side.
_STAGES = ((64, 3), (128, 4), (256, 14), (512, 3))

_STRIDE = 16

_DROPOUT = 0.4


class IR(nn.Module):
    """A stem, four stages, 512 features under a last batch norm.

    Args:
        side: S, 112 as published or another multiple of 16.
        squeeze: whether a unit ends with squeeze and excitation (IR-SE-50).
    """

    num_features = 512

    def __init__(self, side: int, squeeze: bool = False) -> None:
        super().__init__()
        if side % _STRIDE or side < _STRIDE:
            raise ValueError(f"image_size {side}, expected a multiple of 16 for ir_50, ir_se_50")
        inputs = _STAGES[0][0]
        self.stem = nn.Sequential(
            nn.Conv2d(3, inputs, 3, padding=1, bias=False), nn.BatchNorm2d(inputs), nn.PReLU(inputs)
        )
        units = list[nn.Module]()
        for width, count in _STAGES:
            for unit in range(count):
                units.append(_Unit(inputs, width, 1 if unit else 2, squeeze))
                inputs = width
        self.units = nn.Sequential(*units)
        self.output = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Dropout(_DROPOUT),
            nn.Flatten(),
            nn.Linear(inputs * (side // _STRIDE) ** 2, self.num_features),
            nn.BatchNorm1d(self.num_features),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, 512] of normalised images [B, 3, S, S]."""
        return self.output(self.units(self.stem(images)))  # type: ignore[no-any-return]


class _Unit(nn.Module):
    """Norm, convolution, PReLU, convolution with the stride, norm; added to a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int, squeeze: bool) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, width, 3, padding=1, bias=False),
            nn.PReLU(width),
            nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            *([SEModule(width, rd_ratio=1 / 16, rd_divisor=1, bias=False)] if squeeze else []),
        )
        self.shortcut: nn.Module = nn.MaxPool2d(1, stride)
        if inputs != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, maps: Tensor) -> Tensor:
        return self.residual(maps) + self.shortcut(maps)  # type: ignore[no-any-return]
