"""Program: ``python -m finetune.postprocess --table IN --out OUT ...``: a table made better."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from finetune.postprocessing.columns import TASKS
from finetune.postprocessing.ensembling import ensemble
from finetune.postprocessing.filling import MEAN, METHODS, fill
from finetune.postprocessing.joining import concatenate
from finetune.postprocessing.rules import (
    Rules,
    apply_rules,
    apply_weights,
    check_models,
    read_rules,
)
from finetune.postprocessing.smoothing import MAX_WIDTH, smooth
from finetune.postprocessing.text import step_lines
from finetune.table import PredictionTable, read_table, write_table
from pretrain.engine.config import parse_config
from pretrain.errors import exit_code

PROGRAM = "python -m finetune.postprocess"


@dataclass(frozen=True, kw_only=True)
class WidthConfig:
    """Smoothing over the frames of a video, typed by hand.

    Attributes:
        valence_arousal: standard deviation in frames; 0: off.
        expression: likewise.
        action_units: likewise.
    """

    valence_arousal: float = 0.0
    expression: float = 0.0
    action_units: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what is no width."""
        for task, width in asdict(self).items():
            if not 0 <= width <= MAX_WIDTH:
                raise ValueError(f"{task} {width}, expected 0 to {MAX_WIDTH} frames")


@dataclass(frozen=True, kw_only=True)
class PostprocessConfig:
    """Makes a better table of one, or of several: ensemble or join, fill, smooth, decide.

    Attributes:
        table: the predictions (Parquet); or else one of the next two.
        ensemble: tables of the same images and their weights; with fitted rules, which have weights
            of their own, all the same.
        join: tables of other images each, such as out-of-fold predictions.
        fill: how a row without a face is filled from its video: nearest or interpolate; null: it is
            not.
        fill_rest: mean: rows that are null thereafter get the mean of the table; null: they stay.
        smooth: widths of smoothing; none with rules, which have their own.
        rules: JSON file of finetune.fit.
        force: apply rules of another model, join tables of a model's own training recordings; every
            score says so.
        out: the new table (Parquet), none of those that are read.
    """

    table: str = ""
    ensemble: dict[str, float] = field(default_factory=dict)
    join: tuple[str, ...] = ()
    fill: str | None = None
    fill_rest: str | None = None
    smooth: WidthConfig = field(default_factory=WidthConfig)
    rules: str | None = None
    force: bool = False
    out: str = ""

    def __post_init__(self) -> None:
        """Refuses what contradicts itself, or does nothing."""
        given = [name for name in ("table", "ensemble", "join") if getattr(self, name)]
        if len(given) != 1:
            got = ", ".join(given) or "none of them"
            raise ValueError(f"table, ensemble, join: got {got}, expected one")
        check_ensemble(self.ensemble)
        if len(self.join) == 1 or len(set(self.join)) < len(self.join):
            raise ValueError(f"join {', '.join(self.join)}, expected at least two different tables")
        for name, value, known in (
            ("fill", self.fill, tuple(METHODS)),
            ("fill_rest", self.fill_rest, (MEAN,)),
        ):
            if value is not None and value not in known:
                raise ValueError(f"{name} {value!r}, expected {' or '.join(known)}")
        typed = [task for task in TASKS if getattr(self.smooth, task)]
        if self.rules is not None and typed:
            raise ValueError(f"smooth {', '.join(typed)} with rules, expected their widths alone")
        weights = set(self.ensemble.values())
        if self.rules is not None and len(weights) > 1:
            got = ", ".join(f"{weight:g}" for weight in self.ensemble.values())
            raise ValueError(f"ensemble: weights {got} with rules, expected equal ones")
        if self.table and not (typed or self.fill or self.fill_rest or self.rules):
            raise ValueError("got a table alone, expected fill, fill_rest, smooth or rules as well")
        if not self.out:
            raise ValueError("out '', expected a file (Parquet)")
        for file in (self.table, *self.ensemble, *self.join, self.rules):
            if file and _place(file) == _place(self.out):
                raise ValueError(f"out {self.out} is read as well, expected another file")


def check_ensemble(weights: dict[str, float]) -> None:
    """Refuses an ensemble of one, and weights that are none.

    Raises:
        ValueError: with the weight.
    """
    if len(weights) == 1:
        raise ValueError(f"ensemble {', '.join(weights)} alone, expected at least two tables")
    for name, weight in weights.items():
        if not 0 <= weight <= 1000:
            raise ValueError(f"ensemble {name}: weight {weight}, expected 0 to 1000")
    if weights and not any(weights.values()):
        raise ValueError("ensemble: every weight is 0, expected some above it")


def postprocess(config: PostprocessConfig) -> PredictionTable:
    """Makes the table that a config asks for, and writes it.

    Raises:
        UserError: something the user can mend; its message is one line.
    """
    rules = None if config.rules is None else read_rules(Path(_place(config.rules)))
    names = [config.table] if config.table else [*config.ensemble, *config.join]
    tables = {name: read_table(Path(_place(name))) for name in names}
    table, remarks = _one_table(config, tables, rules)
    if config.fill is not None or config.fill_rest is not None:
        table = fill(table, config.fill, config.fill_rest)
    if rules is not None:
        table = apply_rules(rules, table, remarks)
    else:
        table = smooth(table, asdict(config.smooth))
    write_table(Path(_place(config.out)), table)
    return table


def _one_table(
    config: PostprocessConfig, tables: dict[str, PredictionTable], rules: Rules | None
) -> tuple[PredictionTable, list[str]]:
    """The table that is filled, smoothed and decided, and remarks on rules of another model."""
    table, remarks = next(iter(tables.values())), list[str]()
    if config.join:
        table = concatenate(tables, force=config.force)
    if rules is not None:
        sources = list(tables.values()) if config.ensemble else [table]
        remarks = check_models(rules, sources, force=config.force)
    if config.ensemble and rules is not None:
        table = apply_weights(rules, tables, remarks)
    elif config.ensemble:
        weights = tuple(config.ensemble.values())
        table = ensemble(tables, dict.fromkeys(TASKS, weights))
    return table, remarks


def _place(file: str) -> str:
    return os.path.realpath(os.path.expanduser(file))


def _work() -> None:
    config = parse_config(PostprocessConfig, None, PROGRAM)
    table = postprocess(config)
    lines = [line for step in table.about.steps for line in step_lines(step)]
    null = int((~table.present).sum())
    if null:
        lines.append(f"{null} of {len(table)} rows have no prediction")
    print("\n".join([*lines, f"{config.out}: {len(table)} rows"]))


def main() -> int:
    """Makes the table and tells what was done, or says in one line why not."""
    return exit_code(_work)


if __name__ == "__main__":
    sys.exit(main())
