"""The one place where files become models: opens any own or released file.

Nothing is skipped in silence: every loader returns a :class:`LoadReport`, and what is missing, left
over or resized without leave is an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from pretrain.models.mae import DecoderConfig, MAEConfig, MaskedAutoencoder
from pretrain.models.names import split_decoder, to_autoencoder
from pretrain.models.vit import SIZES, ViT, ViTShape
from pretrain.weights import LoadError, Weights, open_weights

#: Heads of classifiers and of fine-tuned models: an encoder has no use for them.
_HEADS = ("head.", "fc_norm.")


@dataclass
class LoadReport:
    """What became of the tensors of a file.

    Attributes:
        source: the file, folder or name.
        loaded: tensors that were placed.
        missing: tensors of the model that the file does not hold; they keep their initial values.
        unexpected: tensors of the file that the model has no place for.
        resized: positions that were interpolated to another grid.
    """

    source: str
    loaded: int = 0
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line for the log."""
        parts = [f"{self.loaded} tensors loaded"]
        for name in ("missing", "unexpected", "resized"):
            if names := getattr(self, name):
                parts.append(f"{len(names)} {name} ({_first(names)})")
        return ", ".join(parts)


def load_encoder(path: str | Path) -> tuple[ViT, LoadReport]:
    """Opens a ViT encoder.

    Args:
        path: a run folder, its ``encoder/`` or ``mae.safetensors``, a released MAE ``.pth``, a
            Hugging Face ViTMAE folder, a timm folder, a file of timm weights, or the name of a timm
            model (only a name may download).

    Returns:
        The encoder in evaluation mode, and a report.

    Raises:
        LoadError: no such file, an unknown layout, or tensors that are missing or do not fit.
    """
    opened = open_weights(path, part="encoder")
    encoder, decoder = split_decoder(opened.tensors)
    heads = [name for name in encoder if name.startswith(_HEADS)]
    for name in heads:
        del encoder[name]
    shape = encoder_shape(opened, encoder)
    defaults = MAEConfig()
    model = ViT(
        shape,
        opened.normalisation.get("mean", defaults.mean),
        opened.normalisation.get("std", defaults.std),
    )
    report = place_tensors(model, encoder, opened.source)
    report.unexpected += sorted([*decoder, *heads])  # known to be there, and of no use here
    return model.eval(), report


def load_mae(path: str | Path) -> tuple[MaskedAutoencoder, LoadReport]:
    """Opens a whole masked autoencoder, decoder included.

    Args:
        path: a run folder, its ``mae.safetensors``, a checkpoint of the reference MAE trainer
            (``.pth``), or a Hugging Face ViTMAE folder.

    Returns:
        The model in evaluation mode, and a report.

    Raises:
        LoadError: no such file, an unknown layout, no decoder in it, or tensors that do not fit.
    """
    opened = open_weights(path, part="mae.safetensors")
    encoder, decoder = split_decoder(opened.tensors)
    if not decoder:
        raise LoadError(f"{path}: holds an encoder only, expected a decoder beside it")
    config = _mae_config(opened, encoder, decoder)
    model = MaskedAutoencoder(config)
    return model.eval(), place_tensors(model, to_autoencoder(opened.tensors), opened.source)


def init_from(model: nn.Module, path: str | Path) -> LoadReport:
    """Starts a masked autoencoder from other weights; the decoder's may be missing.

    A decoder of another size, or one that is not all there, is left out whole: the report names its
    tensors as missing.

    Args:
        model: the :class:`MaskedAutoencoder`; changed in place.
        path: anything that :func:`load_encoder` opens.

    Raises:
        LoadError: the encoder's tensors are not all there, or one of them has another shape.
    """
    opened = open_weights(path, part="mae.safetensors")
    heads = [name for name in opened.tensors if name.startswith(_HEADS)]
    tensors = {name: value for name, value in opened.tensors.items() if name not in heads}
    report = place_tensors(
        model, to_autoencoder(tensors), opened.source, may_miss=("decoder_", "mask_token")
    )
    report.unexpected += sorted(heads)
    return report


def encoder_shape(opened: Weights, encoder: Mapping[str, Tensor]) -> ViTShape:
    """Sizes from the tensors; the number of heads, which they do not show, from the size's name.

    Args:
        opened: where the tensors are from, and what is known beside them.
        encoder: the tensors under timm's names.

    Raises:
        LoadError: no ViT with a class token and a square grid, or of no known size.
    """
    for name, rank in (("cls_token", 3), ("pos_embed", 3), ("patch_embed.proj.weight", 4)):
        if name not in encoder:
            raise LoadError(
                f"{opened.source}: no tensor '{name}', expected a ViT with a class token"
            )
        if encoder[name].ndim != rank:
            raise LoadError(
                f"{opened.source}: tensor '{name}' has shape {list(encoder[name].shape)}, expected"
                f" {rank} dimensions"
            )
    width = encoder["cls_token"].shape[-1]
    depth = _depth(encoder, "blocks")
    patch_size = encoder["patch_embed.proj.weight"].shape[-1]
    heads = opened.shape.get("num_heads") or next(
        (heads for d, n, heads in SIZES.values() if (d, n) == (width, depth)), None
    )
    if heads is None:
        raise LoadError(
            f"{opened.source}: width {width} and depth {depth}, expected one of {', '.join(SIZES)}"
        )
    grid = _grid(encoder["pos_embed"], "pos_embed", opened.source)
    try:
        return ViTShape(
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            image_size=grid * patch_size,
            patch_size=patch_size,
            norm_eps=opened.shape.get("norm_eps", 1e-6),
        )
    except (TypeError, ValueError) as error:
        raise LoadError(f"{opened.source}: {error}") from None


def _mae_config(
    opened: Weights, encoder: Mapping[str, Tensor], decoder: Mapping[str, Tensor]
) -> MAEConfig:
    said, defaults = dict(opened.mae or {}), MAEConfig()
    try:
        if "size" in said:  # our own file says it all
            said |= {key: tuple(said[key]) for key in ("mean", "std")}
            return MAEConfig(**said | {"decoder": DecoderConfig(**said["decoder"])})
        shape = encoder_shape(opened, encoder)
        built = (shape.embed_dim, shape.depth, shape.num_heads)
        size = next((name for name, known in SIZES.items() if known == built), None)
        if size is None:
            raise LoadError(
                f"{opened.source}: width {built[0]}, depth {built[1]} and {built[2]} heads,"
                f" expected one of {', '.join(SIZES)}"
            )
        return MAEConfig(
            size=size,
            image_size=shape.image_size,
            patch_size=shape.patch_size,
            decoder=DecoderConfig(
                embed_dim=decoder["mask_token"].shape[-1],
                depth=_depth(decoder, "decoder_blocks"),
                num_heads=said.get("decoder_heads", 16),
            ),
            mask_ratio=said.get("mask_ratio", 0.75),
            normalise_target=said.get("normalise_target", True),
            norm_eps=shape.norm_eps,
            mean=opened.normalisation.get("mean", defaults.mean),
            std=opened.normalisation.get("std", defaults.std),
        )
    except LoadError:
        raise
    except KeyError as error:
        raise LoadError(
            f"{opened.source}: no {error}, expected a whole masked autoencoder"
        ) from None
    except (TypeError, ValueError) as error:
        raise LoadError(f"{opened.source}: {error}") from None


def _depth(tensors: Mapping[str, Tensor], prefix: str) -> int:
    found = (re.match(rf"{prefix}\.(\d+)\.", name) for name in tensors)
    return max((int(match[1]) for match in found if match), default=-1) + 1


def _grid(positions: Tensor, name: str, source: str) -> int:
    """Patches a side of positions [1, 1 + N, D]."""
    grid = math.isqrt(max(positions.shape[1] - 1, 0))
    if not grid or grid**2 + 1 != positions.shape[1]:
        raise LoadError(
            f"{source}: tensor '{name}' has {positions.shape[1]} positions, expected a class token"
            " and a square grid"
        )
    return grid


def place_tensors(
    model: nn.Module, tensors: Mapping[str, Tensor], source: str, may_miss: tuple[str, ...] = ()
) -> LoadReport:
    """Copies tensors into a model by name; interpolates positions to the model's grid.

    Args:
        model: changed in place.
        tensors: under the model's names.
        source: where they are from, for errors.
        may_miss: beginnings of names that may be missing or left over; what begins so and is not
            all there is left out whole.

    Raises:
        LoadError: others are missing, left over or of another shape.
    """
    own = model.state_dict()
    report = LoadReport(source, unexpected=sorted(tensors.keys() - own.keys()))
    report.missing = sorted(own.keys() - tensors.keys())
    placed: dict[str, Tensor] = {}
    for name in sorted(own.keys() & tensors.keys()):
        value, expected = tensors[name], own[name].shape
        if (
            name.endswith("pos_embed")
            and value.ndim == 3
            and value.shape[1] != expected[1]
            and value.shape[2] == expected[2]
        ):
            _grid(value, name, source)
            value = resample_abs_pos_embed(value, [round((expected[1] - 1) ** 0.5)] * 2)
            report.resized.append(name)
        if value.shape != expected:
            if may_miss and name.startswith(may_miss):
                report.missing.append(name)
                continue
            raise LoadError(
                f"{source}: tensor '{name}' has shape {list(value.shape)}, expected"
                f" {list(expected)}"
            )
        placed[name] = value
    refused = [name for name in report.missing if not (may_miss and name.startswith(may_miss))]
    if refused:
        raise LoadError(f"{source}: {len(refused)} tensors are missing: {_first(refused)}")
    extra = [name for name in report.unexpected if not (may_miss and name.startswith(may_miss))]
    if extra:
        raise LoadError(f"{source}: {len(extra)} tensors have no place: {_first(extra)}")
    if report.missing or report.unexpected:  # half a decoder is worth less than a fresh one
        left = [name for name in placed if may_miss and name.startswith(may_miss)]
        placed = {name: value for name, value in placed.items() if name not in left}
        report.missing = sorted(report.missing + left)
        report.resized = [name for name in report.resized if name not in left]
    model.load_state_dict(own | placed)
    report.loaded = len(placed)
    return report


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
