"""Pictures of what a generator draws: samples, ways between faces, one label at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from finetune.generating.drawing import draw, every_expression, noise, tell
from finetune.labels import Targets
from finetune.models.gan import GAN
from pretrain.engine.pictures import Picture, image_grid, pictures_of

#: Faces of a sheet that shows one thing at a time, and steps of a way.
_FACES, _STEPS = 6, 9

#: Valence or arousal in the columns of their sheet.
_LEVELS = (-0.8, -0.4, 0.0, 0.4, 0.8)

#: The noise of sheets.
_SEED = 0

Number = TypeVar("Number", np.int64, np.float64)


def draw_samples(model: GAN, count: int, file: Path) -> None:
    """Draws the same noise at any time, every expression in turn."""
    model.eval()
    drawn = draw(model, noise(model, count, _SEED), every_expression(model, count))
    image_grid({"": pictures_of(torch.cat(list(drawn)))}, file, groups=8)


def draw_sheets(model: GAN, tasks: Sequence[str] | None, folder: Path) -> list[Path]:
    """Writes what shows how a generator uses its noise and what it is told.

    ``interpolation.png``: ways between noises, one a row. A conditional generator's
    ``expressions.png``, ``valence_arousal.png`` and ``action_units.png``: one label a column, told
    alone, one noise a row.

    Args:
        model: both networks.
        tasks: those that were trained (the generator knows nothing of others); None: all.
        folder: that exists.

    Returns:
        The files.
    """
    model.eval()
    written = [folder / "interpolation.png"]
    image_grid(_ways(model), written[0])
    if model.conditional:
        for task, name in (
            ("expression", "expressions"),
            ("valence_arousal", "valence_arousal"),
            ("action_units", "action_units"),
        ):
            if tasks is None or task in tasks:
                written.append(folder / f"{name}.png")
                image_grid(_columns(model, _settings(model, task)), written[-1])
    return written


def _ways(model: GAN) -> dict[str, list[Picture]]:
    """Straight ways between noises, one a row; what is told stays the same."""
    ends = noise(model, 2 * _FACES, _SEED)
    told = every_expression(model, _FACES)
    columns = dict[str, list[Picture]]()
    for step in range(_STEPS):
        share = step / (_STEPS - 1)
        between = torch.lerp(ends[:_FACES], ends[_FACES:], share)
        columns[f"{share:.0%}"] = pictures_of(torch.cat(list(draw(model, between, told))))
    return columns


def _columns(model: GAN, settings: Mapping[str, Targets]) -> dict[str, list[Picture]]:
    """The same noises under every setting."""
    given = noise(model, _FACES, _SEED)
    return {
        name: pictures_of(torch.cat(list(draw(model, given, told))))
        for name, told in settings.items()
    }


def _settings(model: GAN, task: str) -> dict[str, Targets]:
    """One label of a task a column, told alone."""
    space, units = model.labels.expressions, model.labels.action_units
    assert space is not None
    assert units is not None
    if task == "expression":
        classes = enumerate(space.classes)
        return {c: tell(model, _FACES, expression=np.full(_FACES, i)) for i, c in classes}
    if task == "action_units":
        found = {"none": tell(model, _FACES, action_units=_every(np.zeros(len(units), np.int64)))}
        for row, name in zip(np.eye(len(units), dtype=np.int64), units.names, strict=True):
            found[name] = tell(model, _FACES, action_units=_every(row))
        return found
    places = {f"valence {level:+.1f}": (level, 0.0) for level in _LEVELS}
    places |= {f"arousal {level:+.1f}": (0.0, level) for level in _LEVELS}
    return {
        name: tell(model, _FACES, valence_arousal=_every(np.array(place)))
        for name, place in places.items()
    }


def _every(row: NDArray[Number]) -> NDArray[Number]:
    """The same for all faces of a sheet."""
    return np.tile(row, (_FACES, 1))
