"""What a run leaves behind: pictures of what goes in and comes out, encoder and whole model."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from pretrain.data.loader import Batch, MaskedImages
from pretrain.data.order import StepOrder
from pretrain.engine.optim import WeightAverage
from pretrain.engine.pictures import Picture, image_grid, plot_curves
from pretrain.engine.tracking import read_metrics
from pretrain.models.mae import MaskedAutoencoder
from pretrain.save import save_encoder, save_mae


def draw_samples(dataset: MaskedImages, order: StepOrder, count: int, folder: Path) -> None:
    """The first images of the first step, as the model gets them: ``pictures/samples.png``."""
    epoch, indices = order.samples(0)
    images = dataset[epoch, indices[:count]].images
    image_grid({"": _pictures(images)}, folder / "pictures" / "samples.png", groups=8)


def draw_reconstructions(
    model: MaskedAutoencoder, examples: Batch, step: int, folder: Path
) -> Path:
    """Original, masked and reconstructed, side by side: ``pictures/reconstruction-STEP.png``."""
    model.eval()
    made = model.reconstruct(examples.images, examples.noise)
    model.train()
    columns = {
        name: _pictures((getattr(made, name) * 255).round().byte())
        for name in ("original", "masked", "reconstruction")
    }
    path = folder / "pictures" / f"reconstruction-{step:08d}.png"
    image_grid(columns, path, groups=2)
    return path


def draw_curves(folder: Path, title: str) -> None:
    """Loss and learning rate up to now: ``pictures/curves.png``."""
    plot_curves(read_metrics(folder), folder / "pictures" / "curves.png", title)


def hand_on(model: MaskedAutoencoder, average: WeightAverage | None, folder: Path) -> None:
    """Writes ``mae.safetensors`` and ``encoder/``, of the averaged weights where there are any.

    The averaged weights replace the model's own, which stay in the last checkpoint.
    """
    if average:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(average.weights[name])
    save_mae(model, folder / "mae.safetensors")
    save_encoder(model, folder / "encoder")


def _pictures(images: Tensor) -> list[Picture]:
    """[B, 3, H, W] uint8 as a list of [H, W, 3]."""
    return list(images.permute(0, 2, 3, 1).cpu().numpy())
