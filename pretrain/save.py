"""What a run hands on: the whole autoencoder in one file, the encoder as a timm model folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from pretrain.files import WriteError, write_text
from pretrain.models.mae import MaskedAutoencoder
from pretrain.models.names import to_published
from pretrain.weights import METADATA_KEY

_TIMM_NAMES = {
    "tiny": "vit_tiny_patch16_224",
    "small": "vit_small_patch16_224",
    "base": "vit_base_patch16_224",
    "large": "vit_large_patch16_224",
    "huge": "vit_huge_patch14_224",
}


def save_mae(model: MaskedAutoencoder, path: Path) -> None:
    """Writes encoder and decoder under the published names, the config in the file's metadata."""
    # One entry: safetensors writes several in random order, and equal runs give equal files.
    metadata = {METADATA_KEY: json.dumps(asdict(model.config))}
    _write_tensors(to_published(model.state_dict()), path, metadata)


def save_encoder(model: MaskedAutoencoder, folder: Path) -> None:
    """Writes the encoder as a timm model folder: ``timm.create_model("local-dir:FOLDER")``."""
    config, shape = model.config, model.config.encoder_shape
    side = config.image_size
    description = {
        "architecture": _TIMM_NAMES[config.size],
        "num_classes": 0,
        "num_features": shape.embed_dim,
        "global_pool": "token",
        "model_args": {"img_size": side, "patch_size": shape.patch_size, "num_classes": 0},
        "norm_eps": shape.norm_eps,  # for load_encoder; timm has no such option and takes 1e-6
        "pretrained_cfg": {
            "tag": "faceprior_mae",
            "input_size": [3, side, side],
            "fixed_input_size": True,
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": list(config.mean),
            "std": list(config.std),
            "num_classes": 0,
            "pool_size": None,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
    }
    write_text(folder / "config.json", json.dumps(description, indent=1) + "\n")
    _write_tensors(model.encoder.state_dict(), folder / "model.safetensors", {"format": "pt"})


def _write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    draft = path.with_name(f".{path.name}")
    try:
        save_file({n: v.detach().cpu().contiguous() for n, v in tensors.items()}, draft, metadata)
        draft.replace(path)
    except (OSError, SafetensorError) as error:
        draft.unlink(missing_ok=True)
        raise WriteError(f"{path}: cannot write: {error}") from None
