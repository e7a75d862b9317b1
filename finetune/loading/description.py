"""``config.json`` of a model's folder: what the model is, in words that outlive our code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from finetune.loading.notes import ModelNotes
from finetune.models.affect import AffectModel, ModelConfig
from finetune.models.audio_visual import AVCNNRNNConfig
from finetune.models.cnn import CNNConfig, TimmCNNConfig
from finetune.models.cnn_rnn import CNNRNNConfig
from finetune.models.cotex import CoTEXConfig
from finetune.models.dan import DANConfig
from finetune.models.emma import EMMAConfig
from finetune.models.gan import GANConfig
from finetune.models.label_spaces import LabelSpaces
from finetune.models.multitask import MultiTaskConfig
from pretrain.weights import LoadError, read_json

CONFIG, WEIGHTS = "config.json", "model.safetensors"
#: What the file calls its form.
_FORM = "faceprior model 1"
_CLASSES: Mapping[str, type[ModelConfig]] = {
    "EMMA": EMMAConfig,
    "CoTEX": CoTEXConfig,
    "DAN": DANConfig,
    "TimmCNN": TimmCNNConfig,
    "MultiTask": MultiTaskConfig,
    "CNNRNN": CNNRNNConfig,
    "AVCNNRNN": AVCNNRNNConfig,
    "GAN": GANConfig,
}
_KEYS = {"form", "class", "config", "label_spaces", "normalisation", "notes"}


@dataclass(frozen=True, kw_only=True)
class Description:
    """What ``config.json`` says.

    Attributes:
        config: what the model is built from.
        labels: what its columns stand for.
        notes: how it was trained.
    """

    config: ModelConfig
    labels: LabelSpaces
    notes: ModelNotes


def describe(model: AffectModel, notes: ModelNotes) -> dict[str, Any]:
    """What ``config.json`` says of a model, as JSON values.

    The names of the columns and the normalisation follow from the config. They are there for
    readers without our code, and so that a space that changed its order is noticed.
    """
    return {
        "form": _FORM,
        **_config_to_json(model.config),
        "label_spaces": model.labels.to_json(),
        "normalisation": {key: list(getattr(model.config, key)) for key in ("mean", "std")},
        "notes": notes.to_json(),
    }


def read_description(file: Path) -> Description:
    """Reads ``config.json``; :func:`check_description` compares it with the model.

    Raises:
        LoadError: not what :func:`describe` gave.
    """
    said = read_json(file)
    if said.get("form") != _FORM:
        raise LoadError(f"{file}: form {said.get('form')!r}, expected '{_FORM}' (a model of ours)")
    if odd := said.keys() ^ _KEYS:
        raise LoadError(f"{file}: {', '.join(sorted(odd))}, expected {', '.join(sorted(_KEYS))}")
    try:
        config = _config_from_json({key: said[key] for key in ("class", "config")})
        labels = LabelSpaces.from_json(said["label_spaces"])
        notes = ModelNotes.from_json(said["notes"])
        normalisation = {key: tuple(said["normalisation"][key]) for key in ("mean", "std")}
    except KeyError as error:
        raise LoadError(f"{file}: no key {error}, expected a model of ours") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise LoadError(f"{file}: not as expected: {error}") from None
    for key, given in normalisation.items():
        if given != getattr(config, key):
            raise LoadError(
                f"{file}: normalisation {key} {list(given)}, expected that of the config,"
                f" {list(getattr(config, key))}"
            )
    return Description(config=config, labels=labels, notes=notes)


def check_description(said: Description, model: AffectModel, file: Path) -> None:
    """Refuses a file whose names are not those of the model that its config builds.

    Raises:
        LoadError: other label spaces, or notes of other names.
    """
    if said.labels != model.labels:
        raise LoadError(f"{file}: label spaces {said.labels}, expected {model.labels}")
    if problem := said.notes.problem(model.labels):
        raise LoadError(f"{file}: {problem}")


def _config_to_json(config: ModelConfig) -> dict[str, Any]:
    name = next(name for name, kind in _CLASSES.items() if type(config) is kind)
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return {
        "class": name,
        "config": {
            key: _config_to_json(value) if isinstance(value, ModelConfig) else value
            for key, value in values.items()
        },
    }


def _config_from_json(said: Mapping[str, Any]) -> ModelConfig:
    if said["class"] not in _CLASSES:
        raise TypeError(f"class {said['class']!r}, expected one of {', '.join(_CLASSES)}")
    kind = _CLASSES[said["class"]]
    values = {key: _value(value) for key, value in said["config"].items()}
    for field in fields(kind):
        if field.name not in values:  # a default may change, and the model with it
            raise KeyError(field.name)
        if not _fits(values[field.name], field.default):
            raise TypeError(f"{field.name} {said['config'][field.name]!r} in the config")
    return kind(**values)


def _value(value: Any) -> Any:
    if isinstance(value, dict):  # the one thing with keys in a config is another config
        return _config_from_json(value)
    return tuple(value) if isinstance(value, list) else value


def _fits(value: Any, default: Any) -> bool:
    """Whether a value is of the kind of a field's default.

    A field without a default holds a CNN or None, one whose default is None a number or None.
    """
    if default is MISSING:
        return value is None or isinstance(value, CNNConfig)
    if default is None:
        return value is None or type(value) is int
    if isinstance(default, tuple):
        return isinstance(value, tuple) and all(_fits(number, 0.0) for number in value)
    if isinstance(default, float):
        return type(value) in (float, int)
    return type(value) is type(default)
