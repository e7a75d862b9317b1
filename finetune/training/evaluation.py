"""A model asked about held-out rows, and what its answers are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from finetune.loading.notes import ModelNotes
from finetune.models.affect import AffectModel
from finetune.models.label_spaces import LabelSpaces
from finetune.predicting.answers import predict
from finetune.predicting.sequences import frames_in_order
from finetune.predicting.table import fingerprint, make_table
from finetune.scoring.joined import join
from finetune.scoring.scores import Scores, score
from finetune.table import PredictionTable, Step
from finetune.training.config import SUM
from finetune.training.rows import HeldOut
from pretrain.engine.runtime import Runtime
from pretrain.errors import UserError


def predict_held_out(
    model: AffectModel,
    held_out: HeldOut,
    notes: ModelNotes,
    runtime: Runtime,
    *,
    batch_size: int,
    workers: int,
) -> PredictionTable:
    """The table of held-out rows, made by one process alone.

    Args:
        model: whole.
        held_out: the rows.
        notes: how it was trained.
        runtime: of all processes.
        batch_size: images at once.
        workers: loader processes.
    """
    opened = held_out.collection.open_sounds
    answers = predict(
        model,
        held_out.images,
        runtime=runtime.alone(),
        batch_size=batch_size,
        workers=workers,
        sounds=None if opened is None else opened(),
    )
    table = make_table(
        answers,
        held_out.images.annotations,
        model.labels,
        notes=notes,
        fingerprint=fingerprint(model),
        drawn=held_out.collection.drawn,
    )
    if not held_out.remarks:
        return table
    marked = (*table.about.steps, Step(name="training", remarks=held_out.remarks))
    return replace(table, about=replace(table.about, steps=marked))


def rehearse(
    held_out: HeldOut, labels: LabelSpaces, tasks: Sequence[str], metric: str | None, *, clips: bool
) -> None:
    """Scores a table that says the same of every row: better to fail now than after training.

    Args:
        held_out: the rows.
        labels: what the model answers.
        tasks: those of them that it is trained for.
        metric: by which weights are to be chosen; None: none are.
        clips: whether the model answers videos.

    Raises:
        UserError: no label of any task, none that the metric needs, or stills for a model of
            videos.
    """
    known, n = held_out.images.annotations, len(held_out.images)
    classes = labels.expressions if "expression" in tasks else None
    units = labels.action_units if "action_units" in tasks else None
    table = PredictionTable(
        images=known.images,
        videos=known.videos,
        frames=known.frames,
        valence_arousal=np.zeros((n, 2)) if "valence_arousal" in tasks else None,
        expression=None if classes is None else np.full((n, len(classes)), 1 / len(classes)),
        expression_space=classes,
        action_units=None if units is None else np.zeros((n, len(units))),
        action_unit_space=units,
    )
    try:
        if clips:
            frames_in_order(held_out.images, 1, ())
        if held_out.collection.open_sounds is not None:
            held_out.collection.open_sounds()
        scores = scores_of(table, held_out)
        if metric is not None:
            figure(scores, metric)
    except UserError as error:
        kind, split = held_out.config.kind, held_out.config.split
        raise UserError(f"kind {kind}, split {split}: {error}") from None


def scores_of(table: PredictionTable, held_out: HeldOut) -> Scores:
    """Every metric that the labels allow, without intervals."""
    return score(join(table, held_out.images.annotations), resamples=0)


def figure(scores: Scores, metric: str) -> float:
    """The number by which weights are chosen.

    Args:
        scores: of held-out rows.
        metric: of :class:`~finetune.training.config.SelectionConfig`.

    Raises:
        UserError: the labels do not allow the metric, or it is not one number.
    """
    if metric == SUM:
        return float(sum(tasks_of(scores).values()))
    if metric not in scores.found or scores.value(metric).ndim:
        single = [name for name in scores.found if not scores.value(name).ndim]
        raise UserError(f"selection.metric {metric!r}, expected one of {', '.join((SUM, *single))}")
    return float(scores.value(metric))


def tasks_of(scores: Scores) -> dict[str, float]:
    """One number a task: mean CCC, macro-F1 of expressions, mean F1 of action units."""
    found = dict[str, float]()
    if "ccc" in scores.found:
        found["ccc"] = float(np.mean(scores.value("ccc")))
    for name, metric in (("expression_f1", "macro_f1"), ("action_unit_f1", "mean_unit_f1")):
        if metric in scores.found:
            found[name] = float(scores.value(metric))
    return found
