"""What stage one leaves behind: reconstructions, encoder and whole model."""

from __future__ import annotations

from pathlib import Path

from pretrain.data.loader import Batch
from pretrain.engine.pictures import image_grid, pictures_of
from pretrain.models.mae import MaskedAutoencoder
from pretrain.save import save_encoder, save_mae


def draw_reconstructions(
    model: MaskedAutoencoder, examples: Batch, step: int, folder: Path
) -> Path:
    """Original, masked and reconstructed, side by side: ``pictures/reconstruction-STEP.png``."""
    model.eval()
    made = model.reconstruct(examples.images, examples.noise)
    model.train()
    columns = {
        name: pictures_of((getattr(made, name) * 255).round().byte())
        for name in ("original", "masked", "reconstruction")
    }
    path = folder / "pictures" / f"reconstruction-{step:08d}.png"
    image_grid(columns, path, groups=2)
    return path


def hand_on(model: MaskedAutoencoder, folder: Path) -> None:
    """Writes ``mae.safetensors`` and ``encoder/``."""
    save_mae(model, folder / "mae.safetensors")
    save_encoder(model, folder / "encoder")
