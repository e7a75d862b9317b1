"""The embedded faces with their labels, as the stand-in of the multi-task challenge.

Drawn faces have 16 action units; those of Aff-Wild2 are kept, so that the challenge's own scores
and files can be tried on them. Subjects of the splits are disjoint; ``cnn`` is for a CNN that shall
have seen nobody of the others. Missing labels are missing as in the challenge: per image, whole
tasks at a time.

Source: our own, :mod:`pretrain.data.synthetic`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from finetune.data.annotations import Annotations
from finetune.data.columns import make_targets
from finetune.labels import ACTION_UNIT_SPACES, EXPRESSION_SPACES, VALENCE_AROUSAL
from pretrain.data.synthetic import SyntheticConfig, SyntheticFaces

#: What the splits are called there.
_SPLITS = {"train": "train", "validation": "development", "test": "test", "cnn": "cnn"}
SPLITS = tuple(_SPLITS)

_EXPRESSIONS = EXPRESSION_SPACES["aff_wild2_8"]
_ACTION_UNITS = ACTION_UNIT_SPACES["aff_wild2_12"]


def faces(config: SyntheticConfig, split: str) -> SyntheticFaces:
    """The images of a split; the config's own ``split`` is not looked at."""
    return SyntheticFaces(replace(config, split=_SPLITS[split]))


def annotate(source: SyntheticFaces) -> Annotations:
    """The labels of drawn faces, in their order."""
    n = len(source)
    numbers = np.full((n, 2 + len(_ACTION_UNITS)), np.nan)
    expression, labelled = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    subjects = []
    for row in range(n):
        labels = source.labels(row)
        subjects.append(str(labels["subject"]))
        numbers[row] = [
            np.nan if labels[name] is None else labels[name]
            for name in (*VALENCE_AROUSAL, *_ACTION_UNITS.names)
        ]
        if labels["expression"] is not None:
            expression[row] = _EXPRESSIONS.index(str(labels["expression"]))
            labelled[row] = True
    known = ~np.isnan(numbers)
    values = np.where(known, numbers, 0)
    targets = make_targets(
        n,
        valence_arousal=(values[:, :2], known[:, :2]),
        expression=(expression, labelled),
        action_units=(values[:, 2:].astype(np.int64), known[:, 2:]),
        expression_space=_EXPRESSIONS,
        action_unit_space=_ACTION_UNITS,
    )
    known_videos = [source.video(row) for row in range(n)]
    videos = [video[0] for video in known_videos if video is not None]
    frames = [video[1] for video in known_videos if video is not None]
    # Named as files are: the lists and submissions of challenges take nothing else.
    return Annotations(
        [f"{name}.png" for name in source.names],
        targets,
        videos=videos or None,
        frames=np.array(frames, np.int64) if frames else None,
        subjects=subjects,
    )
