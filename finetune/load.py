"""The one place where files become models of stage two: opens any own or released file.

Nothing is skipped in silence: every tensor is placed, and what is missing, left over or resized
without leave is an error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from finetune.labels import action_unit_space, expression_space
from finetune.loading.description import CONFIG, WEIGHTS, check_description, read_description
from finetune.loading.notes import ModelNotes
from finetune.loading.released import open_released
from finetune.models.affect import AffectModel, ModelConfig
from finetune.models.label_spaces import LabelSpaces
from pretrain.load import LoadReport, place_tensors
from pretrain.weights import LoadError


@dataclass
class ModelReport(LoadReport):
    """What became of the tensors of a file, and what it says of the model's training.

    Attributes:
        notes: empty for a released file.
    """

    notes: ModelNotes = field(default_factory=ModelNotes)


def load_model(
    path: str | Path,
    *,
    image_size: int | None = None,
    expressions: str | None = None,
    action_units: str | None = None,
    may_miss: Sequence[str] = (),
) -> tuple[AffectModel, LabelSpaces, ModelReport]:
    """Opens a model of stage two.

    Args:
        path: a run folder, its ``model/`` or that folder's ``model.safetensors``, or a released
            EMMA, DAN or CoTEX file (``.pth``).
        image_size: pixels a side of the images that the model is to see; positions are interpolated
            to its grid of patches. None: as in the file.
        expressions: label space of the file's expressions. For a released file it says the order
            of the classes, where that is not the published one; a model of ours has to be in it.
        action_units: likewise.
        may_miss: beginnings of names (ours) of tensors that may be missing or left over; such a
            part is left out whole where it is not all there, and keeps its fresh values.

    Returns:
        The model in evaluation mode, what its columns stand for, and a report.

    Raises:
        LoadError: no such file, another kind of file, or tensors that are missing, left over or do
            not fit.
        LabelError: a label space that is not known.
    """
    classes = None if expressions is None else expression_space(expressions)
    units = None if action_units is None else action_unit_space(action_units)
    place = _find(Path(os.path.expanduser(path)))
    if place.is_dir():
        said = read_description(place / CONFIG)
        model = _build(said.config, image_size, place)
        check_description(said, model, place / CONFIG)
        tensors, notes = _read_weights(place / WEIGHTS), said.notes
        for what, own, asked in (
            ("expressions", model.labels.expressions, classes),
            ("action units", model.labels.action_units, units),
        ):
            if asked is not None and asked != own:
                raise LoadError(f"{place}: {what} {own}, expected {asked}")
    else:
        found = open_released(place, classes, units)
        model = _build(found.config, image_size, place)
        tensors, notes = found.tensors, ModelNotes()
    prefixes = (may_miss,) if isinstance(may_miss, str) else tuple(may_miss)
    placed = place_tensors(model, tensors, str(place), prefixes)
    if placed.resized and image_size is None:
        raise LoadError(
            f"{place}: positions of another grid than the config's: {', '.join(placed.resized)}"
        )
    return model.eval(), model.labels, ModelReport(**vars(placed), notes=notes)


def _find(place: Path) -> Path:
    """The model's folder, or a released file."""
    if place.is_dir():
        if (place / "run.json").exists():
            place = place / "model"
        for name in (CONFIG, WEIGHTS):
            if not (place / name).is_file():
                raise LoadError(f"{place}: holds no {name}, expected the folder of a model")
        return place
    if not place.is_file():
        raise LoadError(f"{place}: no such file or folder")
    return place.parent if place.name == WEIGHTS else place


def _build(config: ModelConfig, image_size: int | None, source: Path) -> AffectModel:
    try:
        return (config if image_size is None else replace(config, image_size=image_size)).build()
    except ValueError as error:
        raise LoadError(f"{source}: {error}") from None


def _read_weights(file: Path) -> Mapping[str, Tensor]:
    try:
        return load_file(file)  # type: ignore[no-any-return]
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise LoadError(f"{file}: not a readable checkpoint: {reason}") from None
