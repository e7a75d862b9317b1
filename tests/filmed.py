"""Prediction tables of videos with sparse frames, by hand and by chance, and their labels as files."""

import csv

import numpy as np
from tables import EIGHT, TWELVE

from finetune.data.annotations import Annotations
from finetune.data.columns import make_targets
from finetune.labels import ActionUnitSpace, ExpressionSpace
from finetune.table import About, PredictionTable

TWO = ExpressionSpace("Neutral,Happiness", ("Neutral", "Happiness"))
ONE = ActionUnitSpace("AU12", (12,))


def frames_of(*rows, about=None, filled=None):
    """A table of rows (video, frame, number in [0, 1] or None for a null row), all tasks.

    The number is the valence, the probability of Happiness and that of AU12.
    """
    videos, frames, numbers = zip(*rows, strict=True)
    x = np.array([np.nan if number is None else number for number in numbers], np.float64)
    return PredictionTable(
        images=[f"{video}/{frame:05d}.jpg" for video, frame in zip(videos, frames, strict=True)],
        videos=list(videos),
        frames=np.array(frames, np.int64),
        valence_arousal=np.column_stack([x, -x]),
        expression=np.column_stack([1 - x, x]),
        expression_space=TWO,
        action_units=x[:, None].copy(),
        action_unit_space=ONE,
        filled=filled,
        about=about or About(model="m", training_groups=("elsewhere",)),
    )


def numbers(table):
    """What :func:`frames_of` took, None for null, after checking that the tasks agree."""
    x = table.action_units[:, 0]
    np.testing.assert_allclose(table.valence_arousal, np.column_stack([x, -x]), atol=1e-12)
    np.testing.assert_allclose(table.expression, np.column_stack([1 - x, x]), atol=1e-12)
    return [None if np.isnan(value) else round(float(value), 9) for value in x]


def filmed(rows=600, videos=12, seed=0, noise=1.0, labels_seed=None):
    """Labels that change slowly over sparse frames, and predictions that are right but for noise.

    Scores of classes and action units are shifted, so that the plain decisions are bad.

    Args:
        rows: of the table.
        videos: of equal lengths.
        seed: of the predictions, and of the labels as long as those have none of their own.
        noise: of the predictions.
        labels_seed: of labels that have nothing to do with the predictions.
    """
    video = np.repeat(np.arange(videos), rows // videos)
    rng = np.random.default_rng(seed)
    frames = np.concatenate(
        [np.sort(rng.choice(4 * rows // videos, rows // videos, False)) for _ in range(videos)]
    )
    truth = _slow(video, frames, rng)
    seen = truth + noise * rng.normal(size=truth.shape)
    if labels_seed is not None:
        truth = np.random.default_rng(labels_seed).normal(size=truth.shape)
    names = [f"v{v}" for v in video]
    images = [f"{name}/{frame:05d}.jpg" for name, frame in zip(names, frames, strict=True)]
    known = np.random.default_rng(seed + 1).random((rows, 3)) < 0.8
    expression = truth[:, 2:10].argmax(1)
    present = truth[:, 10:] > 0.8
    annotations = Annotations(
        images,
        make_targets(
            rows,
            valence_arousal=(
                np.tanh(truth[:, :2]) * known[:, :1],
                np.repeat(known[:, :1], 2, axis=1),
            ),
            expression=(np.where(known[:, 1], expression, 0), known[:, 1]),
            action_units=(
                (present & known[:, 2:]).astype(np.int64),
                np.repeat(known[:, 2:], 12, axis=1),
            ),
            expression_space=EIGHT,
            action_unit_space=TWELVE,
        ),
        videos=names,
        frames=frames,
    )
    scores = np.exp(seen[:, 2:10] + np.linspace(-1, 1, 8))
    table = PredictionTable(
        images=images,
        videos=names,
        frames=frames,
        valence_arousal=np.tanh(seen[:, :2]),
        expression=scores / scores.sum(1, keepdims=True),
        expression_space=EIGHT,
        action_units=1 / (1 + np.exp(1.5 - seen[:, 10:])),
        action_unit_space=TWELVE,
        about=About(model=f"model {seed}", trained_on=("affectnet",), training_groups=("other",)),
    )
    return table, annotations


def write_labels(root, annotations):
    """A manifest of the validation split with these labels, and the options that name it."""
    root.mkdir(exist_ok=True)
    targets = annotations.targets
    classes, units = targets.expression_space.classes, targets.action_unit_space.names
    with open(root / "validation.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "video", "frame", "valence", "arousal", "expression", *units])
        for row, image in enumerate(annotations.images):
            affect = targets.valence_arousal[row] if targets.valence_arousal_valid[row, 0] else "  "
            name = classes[targets.expression[row]] if targets.expression_valid[row] else ""
            present = targets.action_units[row] if targets.action_units_valid[row, 0] else " " * 12
            place = (annotations.videos[row], annotations.frames[row])
            cells = [str(cell).strip() for cell in (*affect, name, *present)]
            writer.writerow([image, *place, *cells])
    return ("--data.kind", "manifest", "--data.root", str(root))


def _slow(video, frames, rng):
    """[n, 22] sums of waves, other ones in each video."""
    shapes = (video.max() + 1, 22, 3)
    height, phase = rng.normal(size=shapes), rng.uniform(0, 6, shapes)
    time = frames[:, None, None] / (40 * np.arange(1, 4))
    return (height[video] * np.sin(time + phase[video])).sum(2)
