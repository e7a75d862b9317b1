"""What a model said as a prediction table, with all that is known of the model."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import nn

from finetune.data.annotations import Annotations
from finetune.loading.notes import ModelNotes
from finetune.models.label_spaces import LabelSpaces
from finetune.predicting.answers import Answers
from finetune.table import About, PredictionTable, Step

#: Hexadecimal digits of a fingerprint.
_DIGITS = 16


def fingerprint(model: nn.Module) -> str:
    """What tells weights from any others: 16 hexadecimal digits, the same on every device."""
    found = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        values = tensor.detach().cpu().contiguous().reshape(-1)
        found.update(values.view(torch.uint8).numpy().data)  # NumPy has no bfloat16
    return found.hexdigest()[:_DIGITS]


def make_table(
    answers: Answers,
    annotations: Annotations,
    labels: LabelSpaces,
    *,
    notes: ModelNotes,
    fingerprint: str,
    drawn: bool,
) -> PredictionTable:
    """The table of a list of images. A task that the model was not trained for has no columns.

    Args:
        answers: of the images.
        annotations: the list; its labels are not looked at.
        labels: what the columns of the answers stand for.
        notes: how the model was trained.
        fingerprint: of its weights.
        drawn: whether the images are drawn faces.

    Raises:
        TableError: a value outside of its range, or no task is left.
    """

    def trained(task: str) -> bool:
        return notes.tasks is None or task in notes.tasks

    expressions = labels.expressions if trained("expression") else None
    units = labels.action_units if trained("action_units") else None
    thresholds = None
    if units is not None and notes.thresholds is not None:
        thresholds = np.array([notes.thresholds[name] for name in units.names], np.float64)
    return PredictionTable(
        images=annotations.images,
        videos=annotations.videos,
        frames=annotations.frames,
        valence_arousal=answers.valence_arousal if trained("valence_arousal") else None,
        expression=None if expressions is None else answers.expression,
        expression_space=expressions,
        action_units=None if units is None else answers.action_units,
        action_unit_space=units,
        thresholds=thresholds,
        about=About(
            model=fingerprint,
            trained_on=notes.trained_on,
            training_groups=notes.training_groups,
            drawn=drawn,
            steps=()
            if notes.selection_groups is None
            else (Step(name="choice of weights", fitted_on=notes.selection_groups),),
        ),
    )
