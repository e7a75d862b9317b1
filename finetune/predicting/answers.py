"""What a model says of a list of images, each once and in order, on any number of processes.

Shapes: n images of the list, B batch, K expressions, A action units.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from finetune.data.columns import shown
from finetune.data.sound.sounds import Sounds, check_preset
from finetune.labels import Floats, Predictions
from finetune.models.affect import AffectModel, SequenceModel
from finetune.predicting.batches import Batch, batches
from finetune.predicting.sequences import frames_in_order
from pretrain.data.sources import Source
from pretrain.engine.runtime import Runtime
from pretrain.engine.signals import Interrupted, StopSignal
from pretrain.errors import UserError

_AFFECT, _EXPRESSION, _UNITS = "valence_arousal", "expression", "action_units"

#: What a model of sequences sees in each frame, and in its mirror image.
_FEATURES = ("features", "mirrored")


class PredictionError(UserError):
    """Images of which nothing can be said, or a model that says nothing."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Predictions of n images. The row of an image that cannot be read is NaN in every task.

    Attributes:
        valence_arousal: [n, 2] in [-1, 1]; None: the model does not answer it.
        expression: [n, K] probabilities that add up to 1; None: likewise.
        action_units: [n, A] probabilities; None: likewise.
        bad: why an image cannot be read, by its name in the list.
        features: [n, F] float32, what the model makes its answers of; None: nobody asked.
        elongated: how many images are wider or taller than 1.6 : 1, and so hardly face crops.
    """

    valence_arousal: Floats | None
    expression: Floats | None
    action_units: Floats | None
    bad: Mapping[str, str]
    elongated: int
    features: NDArray[np.float32] | None = None


@dataclass
class _Part:
    """What came of one batch: answers [B, columns] by task, float32."""

    index: int
    answers: dict[str, Tensor]
    bad: list[tuple[int, str]]
    elongated: int


def predict(
    model: AffectModel,
    images: Source,
    *,
    runtime: Runtime,
    batch_size: int,
    workers: int,
    flip: bool = False,
    features: bool = False,
    sounds: Sounds | None = None,
    show_progress: bool = False,
    timeout_seconds: float = 600,
    stop: StopSignal | None = None,
) -> Answers:
    """Asks a model about every image of a list. All processes take part and get all answers.

    Of an image the model sees the largest square in its middle, at its own size. Batches are cut
    from the list, whatever the number of processes, and the last one is filled up: an answer
    depends on the batch size (by rounding), on nothing else that a launcher may change but the
    threads of a CPU.

    Args:
        model: whole, on the runtime's device. It is in evaluation mode meanwhile, and afterwards
            in the mode that it was in.
        images: the list.
        runtime: the processes, and the precision.
        batch_size: B, images that the model sees at once.
        workers: loader processes of each process; 0 loads in this one.
        flip: the mean of the answers for an image and for its mirror image.
        features: give the features of each image as well, not mirrored.
        sounds: of the list's videos, for a model that listens; None: silence.
        show_progress: a bar on the main process, where standard error is a terminal.
        timeout_seconds: how long to wait for the loader processes.
        stop: ends it between two batches, on all processes; None: nothing does.

    Raises:
        PredictionError: no image can be read, an answer is no number, the device has too little
            memory, or the model has no features.
        UserError: the source's, or sounds in another form than the model was trained on.
        Interrupted: a process got a stop signal.
    """
    n = len(images.names)
    if isinstance(model, SequenceModel):
        frames_in_order(images, model.frame_step, ())  # better to fail now than after hours
        sounds = sounds if model.listens else None
        if sounds is not None:
            check_preset(model.sound_preset, sounds)
    count = math.ceil(n / batch_size)
    loaded = batches(
        images,
        range(runtime.rank, count, runtime.world_size),
        image_size=model.config.image_size,
        batch_size=batch_size,
        workers=workers,
        pin_memory=runtime.device.type == "cuda",
        timeout_seconds=timeout_seconds,
        sounds=sounds if isinstance(model, SequenceModel) else None,
    )
    hidden = None if show_progress and runtime.is_main else True
    bar = tqdm(total=n, unit="image", disable=hidden, leave=False, file=sys.stderr)
    parts: list[_Part] = []
    with closing(loaded), bar, _evaluating(model), torch.inference_mode():
        for first in range(0, count, runtime.world_size):
            failure: UserError | None = None
            try:
                # The last round may have no batch for this process.
                if (batch := next(loaded, None)) is not None:
                    answers = _answer(model, batch, runtime, flip, features)
                    if isinstance(model, SequenceModel):  # features are wide: no place on a GPU
                        answers = {name: values.cpu() for name, values in answers.items()}
                    parts.append(_Part(first + runtime.rank, answers, batch.bad, batch.elongated))
            except UserError as error:
                failure = error
            except torch.OutOfMemoryError:
                failure = PredictionError(
                    f"batch_size {batch_size}: more than the memory of {runtime.device}, expected"
                    " fewer images"
                )
            _agree(runtime, stop, failure)
            bar.update(min(runtime.world_size * batch_size, n - first * batch_size))
    for part in parts:
        part.answers = {task: values.cpu() for task, values in part.answers.items()}
    whole = sorted(runtime.collect(parts), key=lambda part: part.index)
    if isinstance(model, SequenceModel):
        with _evaluating(model), torch.inference_mode():
            whole = _over_time(model, whole, images, runtime, batch_size, features)
    return _put_together(whole, images, batch_size)


@contextmanager
def _evaluating(model: AffectModel) -> Iterator[None]:
    """Evaluation mode inside; afterwards every part of the model is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _answer(
    model: AffectModel, batch: Batch, runtime: Runtime, flip: bool, features: bool
) -> dict[str, Tensor]:
    """[B, columns] by task, on the device: the GPU need not wait for us between batches."""
    images = batch.images.to(runtime.device, non_blocking=True)
    if isinstance(model, SequenceModel):
        views = [images, images.flip(-1)] if flip else [images]
        with runtime.autocast():
            sound, heard = (
                None if part is None else part.to(runtime.device, non_blocking=True)
                for part in (batch.sound, batch.heard)
            )
            seen = [model.features_with_sound(view, sound, heard).float() for view in views]
        return dict(zip(_FEATURES, seen, strict=False))
    answers = _answer_once(model, images, runtime)
    if flip:
        mirrored = _answer_once(model, images.flip(-1), runtime)
        answers = {task: (values + mirrored[task]) / 2 for task, values in answers.items()}
    if features:
        with runtime.autocast():
            answers[_FEATURES[0]] = _features(model, images)
    return answers


def _features(model: AffectModel, images: Tensor) -> Tensor:
    try:
        return model.features(images).float()
    except NotImplementedError:
        raise PredictionError(
            f"a {type(model).__name__} has no one vector of features, expected another model"
        ) from None


def _over_time(
    model: SequenceModel,
    parts: list[_Part],
    images: Source,
    runtime: Runtime,
    batch_size: int,
    keep_features: bool,
) -> list[_Part]:
    """Answers of a model of sequences, from the features of all frames, as one part."""
    bad = [(part.index * batch_size + row, why) for part in parts for row, why in part.bad]
    order = frames_in_order(images, model.frame_step, {row for row, _ in bad})
    found = list[dict[str, Tensor]]()
    for name in parts[0].answers:
        features = torch.cat([part.answers[name] for part in parts])
        whole: dict[str, Tensor] = {}
        for rows in order.sequences:
            with runtime.autocast():
                answer = model.answer_sequence(features[rows].to(runtime.device))
            for task, values in _as_scores(answer).items():
                filled = whole.setdefault(task, torch.zeros(len(features), values.shape[1]))
                filled[rows] = values.cpu()
        for values in whole.values():
            values[list(order.again)] = values[list(order.again.values())]
        found.append(whole)
    mean = {task: torch.stack([each[task] for each in found]).mean(0) for task in found[0]}
    if keep_features:
        mean[_FEATURES[0]] = torch.cat([part.answers[_FEATURES[0]] for part in parts])
    return [_Part(0, mean, bad, sum(part.elongated for part in parts))]


def _answer_once(model: AffectModel, images: Tensor, runtime: Runtime) -> dict[str, Tensor]:
    with runtime.autocast():
        return _as_scores(model(images))


def _as_scores(found: Predictions) -> dict[str, Tensor]:
    """[B, columns] by task."""
    answers = {}
    if found.valence_arousal is not None:
        answers[_AFFECT] = found.valence_arousal.float()
    if found.expression_logits is not None:
        answers[_EXPRESSION] = found.expression_logits.float().softmax(1)
    if found.action_unit_logits is not None:
        answers[_UNITS] = found.action_unit_logits.float().sigmoid()
    return answers


def _agree(runtime: Runtime, stop: StopSignal | None, failure: UserError | None) -> None:
    """What ends one process ends all of them, alike."""
    stopped, failed = runtime.agree([stop is not None and bool(stop.received), bool(failure)])
    if failed:
        raise runtime.collect([] if failure is None else [failure])[0]
    if stopped:
        raise Interrupted


def _put_together(parts: list[_Part], images: Source, batch_size: int) -> Answers:
    """The parts, in order, as one list."""
    n = len(images.names)
    reasons = {part.index * batch_size + row: reason for part in parts for row, reason in part.bad}
    if len(reasons) == n:
        raise PredictionError(
            f"got no image that can be read among {n}, {shown(images.names[0])} ({reasons[0]})"
            " for one, expected some"
        )
    found = {}
    for task in parts[0].answers:
        values = torch.cat([part.answers[task] for part in parts])[:n].double().numpy()
        values[list(reasons)] = np.nan
        if (lost := np.isnan(values).any(1)).sum() > len(reasons):
            row = next(row for row in np.flatnonzero(lost).tolist() if row not in reasons)
            raise PredictionError(
                f"the model's {task} of {shown(images.names[row])} is no number, expected one: its"
                " weights are broken, or the precision is too low"
            )
        found[task] = values
    affect, expression = found.get(_AFFECT), found.get(_EXPRESSION)
    seen = found.get(_FEATURES[0])
    return Answers(
        valence_arousal=None if affect is None else affect.clip(-1, 1),
        expression=None if expression is None else expression / expression.sum(1, keepdims=True),
        action_units=found.get(_UNITS),
        bad={images.names[row]: reason for row, reason in reasons.items()},
        elongated=sum(part.elongated for part in parts),
        features=None if seen is None else seen.astype(np.float32),
    )
