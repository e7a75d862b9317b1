"""VGG-Face: thirteen convolutions and one wide layer.

Shapes: B batch, S side of the images.

Source: Parkhi et al. 2015, "Deep face recognition", configuration D of Simonyan and Zisserman 2015;
as Kollias and Zafeiriou 2019 (arXiv 1910.04855) use it: 96 px, one layer of 4096 under the outputs.
"""

from __future__ import annotations

from torch import Tensor, nn

#: Widths of the convolutions of each stage; a stage ends with a pooling that halves the side.
_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))

_DROPOUT = 0.5


class VGGFace(nn.Module):
    """Stages of 3x3 convolutions with ReLU, then 4096 features with dropout.

    Args:
        side: S, a multiple of 32.
    """

    num_features = 4096

    def __init__(self, side: int) -> None:
        super().__init__()
        if side % 32 or side < 32:
            raise ValueError(f"image_size {side}, expected a multiple of 32 for vgg_face")
        layers, inputs = list[nn.Module](), 3
        for widths in _STAGES:
            for width in widths:
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(inplace=True)]
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.convolutions = nn.Sequential(*layers)
        self.wide = nn.Linear(inputs * (side // 32) ** 2, self.num_features)
        self.dropout = nn.Dropout(_DROPOUT)
        for module in self.modules():  # without batch norms, torch's own start would not train
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, 4096] of normalised images [B, 3, S, S]."""
        maps = self.convolutions(images)  # [B, 512, S/32, S/32]
        return self.dropout(self.wide(maps.flatten(1)).relu())  # type: ignore[no-any-return]
