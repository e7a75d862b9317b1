"""Small prediction tables and labels, by hand and by chance."""

from dataclasses import replace

import numpy as np

from finetune.data.annotations import Annotations
from finetune.data.columns import make_targets
from finetune.labels import ACTION_UNIT_SPACES, EXPRESSION_SPACES
from finetune.table import PredictionTable

EIGHT = EXPRESSION_SPACES["aff_wild2_8"]
TWELVE = ACTION_UNIT_SPACES["aff_wild2_12"]


def labelled(rows=60, videos=6, seed=0, missing=0.2):
    """Annotations in the spaces of Aff-Wild2: every class occurs, some labels are missing."""
    rng = np.random.default_rng(seed)
    video = np.sort(rng.integers(0, videos, rows))
    frames = np.arange(rows) * 3 + 1
    known = rng.random(rows) >= missing
    expression = np.where(known, rng.permutation(np.arange(rows) % 8), 0)
    affect_known = rng.random((rows, 2)) >= missing
    units_known = rng.random((rows, 12)) >= missing
    return Annotations(
        [f"v{v}/{frame:05d}.jpg" for v, frame in zip(video, frames, strict=True)],
        make_targets(
            rows,
            valence_arousal=(rng.uniform(-1, 1, (rows, 2)) * affect_known, affect_known),
            expression=(expression, known),
            action_units=((rng.random((rows, 12)) < 0.4) & units_known, units_known),
            expression_space=EIGHT,
            action_unit_space=TWELVE,
        ),
        videos=[f"v{v}" for v in video],
        frames=frames,
    )


def perfect(annotations, sure=1.0):
    """The table of a model that is always right; missing labels are predicted as zeros."""
    targets, n = annotations.targets, len(annotations)
    classes = len(targets.expression_space)
    expression = np.full((n, classes), (1 - sure) / (classes - 1))
    expression[np.arange(n), targets.expression] = sure
    return PredictionTable(
        images=annotations.images,
        videos=annotations.videos,
        frames=annotations.frames,
        valence_arousal=targets.valence_arousal,
        expression=expression,
        expression_space=targets.expression_space,
        action_units=targets.action_units.astype(np.float64),
        action_unit_space=targets.action_unit_space,
    )


def guessed(annotations, seed=1):
    """The table of a model that knows something."""
    rng, right = np.random.default_rng(seed), perfect(annotations)
    n = len(annotations)
    expression = 0.4 * right.expression + 0.6 * rng.dirichlet(np.ones(right.expression.shape[1]), n)
    return replace(
        right,
        valence_arousal=np.clip(right.valence_arousal + rng.normal(0, 0.3, (n, 2)), -1, 1),
        expression=expression,
        action_units=0.4 * right.action_units + 0.6 * rng.random(right.action_units.shape),
    )
