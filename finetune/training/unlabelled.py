"""Images without labels: masked views of them must agree, and nothing else is asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from finetune.data.annotations import Annotations
from finetune.data.columns import make_targets
from finetune.data.images import LabelledImages
from finetune.training.config import REST, TrainDataConfig
from pretrain.data.config import SourceConfig
from pretrain.data.opening import open_source


def unlabelled_images(data: TrainDataConfig, rest: LabelledImages | None) -> LabelledImages:
    """What ``data.unlabelled`` names.

    Args:
        data: names it.
        rest: the training images that ``data.share`` leaves out.

    Raises:
        UserError: a source that cannot be opened.
    """
    assert data.unlabelled is not None
    if data.unlabelled == REST:
        assert rest is not None
        return withheld(rest)
    synthetic = replace(data.synthetic, split="pretrain")
    source = open_source(SourceConfig(source=data.unlabelled, synthetic=synthetic))
    names = [f"unlabelled/{name}" for name in source.names]
    return LabelledImages(source, Annotations(names, make_targets(len(names))))


def withheld(images: LabelledImages) -> LabelledImages:
    """The same images, none of whose labels is known."""
    known, targets = images.annotations, images.targets
    blind = replace(
        targets,
        expression_votes=None,
        **{
            name: np.zeros_like(getattr(targets, name))
            for task in ("valence_arousal", "expression", "action_units")
            for name in (task, f"{task}_valid")
        },
    )
    hidden = replace(known, targets=blind)
    return LabelledImages(images.source, hidden, images.absent)
