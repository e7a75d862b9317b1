"""SphereFace-20: residual units without batch norms.

Shapes: B batch, C channels, H height, W width.

Source: Liu et al. 2017, "SphereFace", table 2 (20 layers).
"""

from __future__ import annotations

from torch import Tensor, nn

#: Width and residual units of each stage, which begins with a convolution that halves the side.
_STAGES = ((64, 1), (128, 2), (256, 4), (512, 1))

#: Columns left out at each side: faces of 112 x 112 px are 112 x 96 to this network.
_MARGIN = 8

_STRIDE = 16


class SphereFace20(nn.Module):
    """Four stages, then 512 features of 112 x 96 px: the middle columns of a square image.

    Args:
        side: of the square images, 112 as published or another multiple of 16, at least 48.
    """

    num_features = 512

    def __init__(self, side: int) -> None:
        super().__init__()
        if side % _STRIDE or side < 48:
            raise ValueError(
                f"image_size {side}, expected a multiple of 16, at least 48, for sphereface_20"
            )
        stages, inputs = list[nn.Module](), 3
        for width, units in _STAGES:
            stages.append(_convolution(inputs, width, stride=2))
            stages += [_Unit(width) for _ in range(units)]
            inputs = width
        self.stages = nn.Sequential(*stages)
        rows, columns = side // _STRIDE, (side - 2 * _MARGIN) // _STRIDE
        self.features = nn.Linear(inputs * rows * columns, self.num_features)
        nn.init.xavier_uniform_(self.features.weight)
        nn.init.zeros_(self.features.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, 512] of normalised images [B, 3, S, S]."""
        maps = self.stages(images[..., _MARGIN:-_MARGIN])
        return self.features(maps.flatten(1))  # type: ignore[no-any-return]


class _Unit(nn.Module):
    """Two convolutions, added to what they see: [B, C, H, W] to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(_convolution(width, width), _convolution(width, width))
        for module in self.residual.modules():  # starts near the identity, as published
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.residual(maps)  # type: ignore[no-any-return]


def _convolution(inputs: int, width: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, width, 3, stride=stride, padding=1)
    nn.init.xavier_uniform_(convolution.weight)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return nn.Sequential(convolution, nn.PReLU(width))
