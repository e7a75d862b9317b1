"""Weights that a method starts from, and what they have seen."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from finetune.load import ModelReport, load_model
from finetune.models.affect import ViTConfig
from finetune.models.cnn import ExpressionCNN
from pretrain.load import load_encoder
from pretrain.models.vit import ViT
from pretrain.weights import LoadError


def open_encoder(path: str, config: ViTConfig, key: str) -> tuple[ViT, str]:
    """An encoder of stage one, or a released one, of the size that a config says.

    Args:
        path: anything that :func:`~pretrain.load.load_encoder` opens.
        config: the model that it goes into.
        key: of the config, for errors.

    Raises:
        LoadError: it cannot be opened, or is of another size.
    """
    encoder, report = load_encoder(path)
    shape, wanted = encoder.shape, config.shape
    for name in ("embed_dim", "depth", "num_heads", "patch_size"):
        if getattr(shape, name) != getattr(wanted, name):
            raise LoadError(
                f"{path}: an encoder with {name} {getattr(shape, name)}, expected"
                f" {getattr(wanted, name)} as {key}.size {config.size} and patch_size"
                f" {config.patch_size} say"
            )
    return encoder, f"encoder {path}: {report}"


def open_cnn(path: str, expressions: str | None, key: str) -> tuple[ExpressionCNN, ModelReport]:
    """An expression CNN: a released DAN, or one of ours.

    Args:
        path: anything that :func:`~finetune.load.load_model` opens.
        expressions: the order of a released file's classes; None: as published.
        key: of the config, for errors.

    Raises:
        LoadError: it cannot be opened, or is no expression CNN.
    """
    model, _, report = load_model(path, expressions=expressions)
    if not isinstance(model, ExpressionCNN):
        raise LoadError(
            f"{path}: a {type(model).__name__}, expected an expression CNN (DAN, TimmCNN) as {key}"
        )
    return model, report


def seen_by_encoder(path: str) -> tuple[str, ...] | None:
    """The collections that an encoder was pretrained on, where its run says so; None: unknown."""
    place = Path(os.path.expanduser(path))
    for folder in (place, place.parent):
        file = folder / "config.yaml"
        if (folder / "run.json").is_file() and file.is_file():
            said = yaml.safe_load(file.read_text(encoding="utf-8"))
            data = said.get("data", {}) if isinstance(said, dict) else {}
            names = list(data.get("mixture") or {}) or [data.get("source")]
            if said.get("init_from") is None and all(isinstance(name, str) for name in names):
                return tuple(names)
    return None
