"""Opens files of weights, our own and other people's, and says what they hold in one set of names.

Nothing is unpickled beyond tensors and an explicit list of harmless types.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pretrain.errors import UserError
from pretrain.models.names import from_hugging_face, is_hugging_face, without_prefix

#: Entry of a safetensors file's metadata that holds the config of our masked autoencoder, as JSON.
METADATA_KEY = "faceprior_mae"
#: What damaged bytes make of an unpickler, beside its own error.
_BROKEN_PICKLE = (AttributeError, LookupError, TypeError, ValueError, AssertionError, struct.error)
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class LoadError(UserError):
    """A file that cannot be opened as what was asked for."""


@dataclass
class Weights:
    """Tensors in the published, flat names, with what their file or folder says about them.

    Attributes:
        source: the file, folder or name.
        tensors: by name.
        mae: what is known of the masked autoencoder: the whole config, or some of mask_ratio,
            normalise_target and decoder_heads; None if nothing.
        shape: num_heads and norm_eps of the encoder, where known.
        normalisation: mean and std of the input, where known.
    """

    source: str
    tensors: dict[str, Tensor]
    mae: dict[str, Any] | None = None
    shape: dict[str, Any] = field(default_factory=dict)
    normalisation: dict[str, tuple[float, float, float]] = field(default_factory=dict)


def open_weights(path: str | Path, part: str) -> Weights:
    """Finds out what a path is; ``part`` of a run folder is meant."""
    place = Path(os.path.expanduser(path))
    if place.is_dir() and (place / "run.json").exists():
        if not (place / part).exists():
            raise LoadError(f"{place}: holds no {part}, expected a run that is complete")
        place = place / part
    if place.is_dir():
        return _open_folder(place)
    if place.is_file():
        beside = place.with_name("config.json")
        if place.name in _WEIGHTS and beside.exists():  # it says what the tensors do not
            return _open_folder(place.parent, place.name)
        return _open_file(place)
    if place.exists() or "/" in str(path):
        raise LoadError(f"{place}: no such file or folder")
    return _open_timm_name(str(path))


def _open_folder(folder: Path, weights: str | None = None) -> Weights:
    config_file = folder / "config.json"
    if not config_file.exists():
        raise LoadError(f"{folder}: no config.json, expected a run, timm or Hugging Face folder")
    config = read_json(config_file)
    names = (weights,) if weights else _WEIGHTS
    found = next((folder / name for name in names if (folder / name).exists()), None)
    if found is None:
        raise LoadError(f"{folder}: no {' or '.join(names)}")
    opened = _open_file(found)
    try:
        if "architecture" in config:
            _read_timm_config(config, opened)
        elif config.get("model_type") == "vit_mae":
            _read_hugging_face_config(config, opened)
            processor = folder / "preprocessor_config.json"
            said = read_json(processor) if processor.exists() else {}
            for ours, theirs in (("mean", "image_mean"), ("std", "image_std")):
                if theirs in said:
                    opened.normalisation[ours] = tuple(said[theirs])
        else:
            raise LoadError(
                f"{config_file}: model type {config.get('model_type')!r}, expected a timm"
                " architecture or vit_mae"
            )
    except (KeyError, TypeError, AttributeError) as error:
        raise LoadError(f"{config_file}: not as expected: {error!r}") from None
    return opened


def _read_timm_config(config: Mapping[str, Any], opened: Weights) -> None:
    pretrained = config.get("pretrained_cfg", config)
    opened.shape = {
        "num_heads": config.get("model_args", {}).get("num_heads"),
        "norm_eps": config.get("norm_eps", 1e-6),
    }
    opened.normalisation = {k: tuple(pretrained[k]) for k in ("mean", "std") if k in pretrained}


def _read_hugging_face_config(config: Mapping[str, Any], opened: Weights) -> None:
    if config["hidden_act"] != "gelu":  # no tensor shows it
        raise LoadError(f"{opened.source}: hidden_act {config['hidden_act']!r}, expected 'gelu'")
    opened.shape = {
        "num_heads": config["num_attention_heads"],
        "norm_eps": config["layer_norm_eps"],
    }
    opened.mae = {
        "mask_ratio": config["mask_ratio"],
        "normalise_target": config["norm_pix_loss"],
        "decoder_heads": config["decoder_num_attention_heads"],
    }


def read_json(file: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        LoadError: it does not, or cannot be read.
    """
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise LoadError(f"{file}: not a readable JSON file: {error}") from None
    if not isinstance(said, dict):
        raise LoadError(f"{file}: holds a {type(said).__name__}, expected an object")
    return said


def _open_file(file: Path) -> Weights:
    metadata: dict[str, str] = {}
    mae: dict[str, Any] | None = None
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt") as stream:
                metadata = stream.metadata() or {}
                tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        else:
            loaded = unpickle_safely(file)
            tensors, mae = tensors_of(loaded, file), _reference_arguments(loaded)
    except (OSError, SafetensorError, EOFError, RuntimeError) as error:
        raise LoadError(f"{file}: not a readable checkpoint: {_one_line(error)}") from None
    tensors = without_prefix(tensors, "module.")
    if is_hugging_face(tensors):
        tensors = from_hugging_face(tensors)
    opened = Weights(str(file), tensors, mae)
    if METADATA_KEY in metadata:
        try:
            said = json.loads(metadata[METADATA_KEY])
            opened.mae, opened.shape = said, {"norm_eps": said["norm_eps"]}
            opened.normalisation = {key: tuple(said[key]) for key in ("mean", "std")}
        except (ValueError, KeyError, TypeError) as error:
            raise LoadError(
                f"{file}: metadata '{METADATA_KEY}' not as expected: {error!r}"
            ) from None
    return opened


def unpickle_safely(file: Path, also: Sequence[Any] = ()) -> Any:
    """torch.load for tensors and an explicit list of harmless types.

    Args:
        file: what :func:`torch.save` wrote.
        also: types and functions that the file may name, as in
            :func:`torch.serialization.safe_globals`, beside :class:`argparse.Namespace`, which
            released MAE files hold.

    Raises:
        LoadError: it names others, or cannot be read.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace, *also]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = _one_line(error)
        start = reason.find("Unsupported")
        if not _is_pickle(file):
            raise LoadError(
                f"{file}: no checkpoint, expected safetensors, or what torch.save writes"
            ) from None
        raise LoadError(
            f"{file}: refused to unpickle: {reason[max(start, 0) :][:160]}; expected tensors only"
        ) from None
    except _BROKEN_PICKLE as error:
        raise LoadError(f"{file}: not a readable checkpoint: {_one_line(repr(error))}") from None
    except (OSError, EOFError, RuntimeError) as error:
        raise LoadError(f"{file}: not a readable checkpoint: {_one_line(error)}") from None


def tensors_of(loaded: Any, file: Path) -> dict[str, Tensor]:
    """The state dict of a checkpoint, wherever it is kept.

    Raises:
        LoadError: there is none.
    """
    for key in ("model", "state_dict", "model_state_dict"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not (
        isinstance(loaded, dict)
        and loaded
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in loaded.items())
    ):
        raise LoadError(f"{file}: no state dict, expected tensors by name, or under 'model'")
    return loaded


def _reference_arguments(loaded: Any) -> dict[str, Any] | None:
    """What the options of the reference trainer, kept in its checkpoints, say of the loss."""
    arguments = loaded.get("args") if isinstance(loaded, dict) else None
    if not isinstance(arguments, argparse.Namespace):
        return None
    pairs = (("mask_ratio", "mask_ratio"), ("normalise_target", "norm_pix_loss"))
    return {ours: vars(arguments)[theirs] for ours, theirs in pairs if theirs in vars(arguments)}


def _open_timm_name(name: str) -> Weights:
    import timm

    if not timm.is_model(name):
        raise LoadError(f"{name}: no such file or folder, and no timm model of that name")
    try:
        model = timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # the hub's client raises a dozen types when it is out of reach
        raise LoadError(f"{name}: timm could not get its weights: {_one_line(error)}") from None
    settings = model.pretrained_cfg
    normalisation = {key: tuple(settings[key]) for key in ("mean", "std")}
    return Weights(name, dict(model.state_dict()), normalisation=normalisation)


def _is_pickle(file: Path) -> bool:
    """Whether a file begins as pickles do, or as the archives that torch holds them in."""
    with file.open("rb") as opened:
        return opened.read(1) in (b"\x80", b"P")


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
