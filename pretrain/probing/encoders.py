"""Any encoder as something that turns images into features: our own, a released one, timm's."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from pretrain.load import load_encoder
from pretrain.models.vit import ViT
from pretrain.probing.features import pooled_features, token_features
from pretrain.weights import LoadError


@dataclass(frozen=True)
class FrozenEncoder:
    """An encoder that is only read.

    Attributes:
        module: it, in evaluation mode.
        image_size: pixels a side that it takes.
        read: images [B, 3, S, S] (uint8) to named features [B, F].
    """

    module: nn.Module
    image_size: int
    read: Callable[[Tensor], dict[str, Tensor]]


def frozen(encoder: ViT) -> FrozenEncoder:
    """Our ViT."""
    return FrozenEncoder(encoder, encoder.shape.image_size, partial(token_features, encoder))


def untrained(encoder: ViT, seed: int) -> ViT:
    """An encoder of the same shape with its initial weights; nobody's random numbers are used."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # and no device's
        mean, std = (tuple(values.flatten().tolist()) for values in (encoder.mean, encoder.std))
        return ViT(encoder.shape, mean, std).eval()


def open_frozen(path: str, seed: int) -> tuple[FrozenEncoder, FrozenEncoder]:
    """Opens an encoder and its untrained twin.

    Args:
        path: whatever :func:`pretrain.load_encoder` opens, or any other timm model: its folder
            (config.json and model.safetensors) or its name, which may download.
        seed: of the twin's initial weights.

    Raises:
        LoadError: neither of these.
    """
    name = _timm_name(path)
    try:
        encoder, _ = load_encoder(path)
    except LoadError as refused:  # no ViT with a class token
        if name is None:
            raise
        try:
            trained = _build(name, pretrained=True)
        except LoadError as error:
            raise LoadError(f"{refused}; {error}") from None
    else:
        return frozen(encoder), frozen(untrained(encoder, seed))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # and no device's
        return trained, _build(name, pretrained=False)


def _timm_name(path: str) -> str | None:
    """How timm calls it; None where timm has no such model."""
    folder = Path(os.path.expanduser(path))
    if not folder.exists():
        return path if timm.is_model(path) else None
    whole = (folder / "model.safetensors").is_file()
    architecture = _architecture(folder / "config.json")
    return f"local-dir:{folder}" if whole and architecture else None


def _architecture(config: Path) -> str | None:
    if not config.is_file():
        return None
    try:
        said = json.loads(config.read_text(encoding="utf-8"))
    except ValueError:  # load_encoder says what is wrong with it
        return None
    name = said.get("architecture") if isinstance(said, dict) else None
    return name if isinstance(name, str) else None


def _build(name: str, *, pretrained: bool) -> FrozenEncoder:
    try:
        model: Any = timm.create_model(name, pretrained=pretrained, num_classes=0).eval()
    except Exception as error:  # the hub's client and timm's builders raise a dozen types
        message = " ".join(str(error).split())
        raise LoadError(f"{name}: timm could not open it: {message}") from None
    data = resolve_model_data_config(model)
    mean, std = (torch.tensor(data[key]).view(3, 1, 1) for key in ("mean", "std"))

    def read(images: Tensor) -> dict[str, Tensor]:
        place = images.device
        return {"pooled": pooled_features(model, images, mean.to(place), std.to(place))}

    return FrozenEncoder(model, data["input_size"][-1], read)
