"""Program: ``python -m finetune.constant``: the table of one who looks at no image."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from finetune.data.config import LabelledConfig
from finetune.data.opening import read_collection
from finetune.labels import Floats, Targets
from finetune.table import About, PredictionTable, write_table
from pretrain.engine.config import parse_config
from pretrain.errors import UserError, exit_code
from pretrain.files import check_out

PROGRAM = "python -m finetune.constant"


@dataclass(frozen=True, kw_only=True)
class ConstantConfig:
    """Says the same of every image: what the training labels are on average.

    Whoever looks at the images has to score more than this table.

    Attributes:
        data: the images to speak of.
        training: split of the same collection whose labels are counted.
        out: the table (Parquet).
    """

    data: LabelledConfig = field(default_factory=LabelledConfig)
    training: str = "train"
    out: str = ""

    def __post_init__(self) -> None:
        """Refuses no table."""
        if not self.out:
            raise ValueError("out '', expected a file for the table (Parquet)")


def constant_table(config: ConstantConfig) -> PredictionTable:
    """The mean valence and arousal, the shares of the expressions, the rates of the action units.

    Raises:
        UserError: a collection that cannot be read, or no label at all in training.
    """
    collection = read_collection(config.data)
    training = read_collection(replace(config.data, split=config.training)).annotations
    known, n = training.targets, len(collection.annotations)
    affect, shares, rates = _affect(known), _shares(known), _rates(known)
    if affect is None and shares is None and rates is None:
        raise UserError(
            f"data.kind {config.data.kind}, split {config.training}: no labels, expected some"
        )

    def everywhere(values: Floats | None) -> Floats | None:
        return None if values is None else np.tile(values, (n, 1))

    return PredictionTable(
        images=collection.annotations.images,
        videos=collection.annotations.videos,
        frames=collection.annotations.frames,
        valence_arousal=everywhere(affect),
        expression=everywhere(shares),
        expression_space=None if shares is None else known.expression_space,
        action_units=everywhere(rates),
        action_unit_space=None if rates is None else known.action_unit_space,
        about=About(
            model=f"constant: labels of {config.data.kind} {config.training}",
            trained_on=(config.data.kind,),
            training_groups=tuple(sorted(training.keys)),
            drawn=collection.drawn,
        ),
    )


def _affect(known: Targets) -> Floats | None:
    valid = known.valence_arousal_valid
    if not valid.any(0).all():
        return None
    return np.asarray((known.valence_arousal * valid).sum(0) / valid.sum(0))


def _shares(known: Targets) -> Floats | None:
    labels = known.expression[known.expression_valid]
    counts = np.bincount(labels, minlength=len(known.expression_space))
    return counts / len(labels) if len(labels) else None


def _rates(known: Targets) -> Floats | None:
    valid = known.action_units_valid
    if not valid.any():
        return None
    return np.asarray((known.action_units * valid).sum(0) / np.maximum(valid.sum(0), 1))


def _work() -> None:
    config = parse_config(ConstantConfig, None, PROGRAM)
    out = Path(os.path.expanduser(config.out))
    check_out(out, [], config.data.folder)
    write_table(out, constant_table(config))
    print(f"table: {out}")


def main() -> int:
    """Writes the table, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
