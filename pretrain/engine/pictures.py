"""Pictures of a run as PNG: curves of its metrics, grids of images with captions."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pretrain.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Picture = NDArray[np.uint8]

_MARGIN = 4
_CAPTION = 18
#: Smaller images are magnified by a whole factor, so that a person sees them.
_SMALLEST_SIDE = 96


def image_grid(columns: Mapping[str, Sequence[Picture]], path: Path, *, groups: int = 1) -> None:
    """Writes images side by side, one captioned column a key.

    Args:
        columns: caption to images [H, W, 3] uint8, all of one size, equally many.
        path: the PNG.
        groups: how often the set of columns is repeated from left to right, to keep the sheet wide.
    """
    captions, stacks = list(columns), [[_magnified(i) for i in stack] for stack in columns.values()]
    count = len(stacks[0])
    rows = -(-count // groups)
    height, width = stacks[0][0].shape[:2]
    gap = 3 * _MARGIN
    block = len(captions) * (width + _MARGIN) + gap
    sheet = Image.new(
        "RGB",
        (groups * block - gap + _MARGIN, _CAPTION + rows * (height + _MARGIN) + _MARGIN),
        "white",
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default()
    for group in range(groups):
        for column, caption in enumerate(captions):
            left = _MARGIN + group * block + column * (width + _MARGIN)
            draw.text((left, 3), caption, fill="black", font=font)
            for row, image in enumerate(stacks[column][group * rows : (group + 1) * rows]):
                top = _CAPTION + row * (height + _MARGIN)
                sheet.paste(Image.fromarray(image), (left, top))
    content = io.BytesIO()
    sheet.save(content, "png", optimize=True)
    write_bytes(path, content.getvalue())


def pictures_of(images: Tensor) -> list[Picture]:
    """[B, 3, H, W] uint8 as a list of [H, W, 3]."""
    return list(images.permute(0, 2, 3, 1).cpu().numpy())


def _magnified(image: Picture) -> Picture:
    factor = -(-_SMALLEST_SIDE // min(image.shape[:2]))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def plot_curves(records: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Writes loss and learning rate over epochs.

    Args:
        records: log points with ``epoch``, ``loss`` and ``lr``.
        path: the PNG.
        title: what run this is.
    """
    from matplotlib.figure import Figure  # imports stay light

    epochs = [record["epoch"] for record in records]
    line: dict[str, Any] = {"linewidth": 1.2, "marker": "o" if len(records) == 1 else ""}
    figure = Figure(figsize=(7.2, 3.6), dpi=120, layout="constrained")
    loss, rate = figure.subplots(1, 2, width_ratios=(2, 1))
    loss.plot(epochs, [record["loss"] for record in records], color="#20639b", **line)
    loss.set(xlabel="epoch", ylabel="loss", title=title)
    rate.plot(epochs, [record["lr"] for record in records], color="#c0392b", **line)
    rate.set(xlabel="epoch", ylabel="learning rate")
    for axes in (loss, rate):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG, whole or not at all.

    Args:
        figure: of matplotlib.
        path: the PNG.
    """
    content = io.BytesIO()
    figure.savefig(content, format="png")  # without a window, matplotlib takes Agg by itself
    write_bytes(path, content.getvalue())
