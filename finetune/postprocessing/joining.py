"""Tables of different images one after the other, as out-of-fold predictions are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from finetune.leakage import LeakError
from finetune.postprocessing.aligning import first_spaces, in_spaces
from finetune.postprocessing.columns import predictions, with_step
from finetune.postprocessing.origin import joint_model, union
from finetune.table import About, PredictionTable, Step, TableError

#: Groups and images that a message names.
_NAMED = 3


def concatenate(parts: Mapping[str, PredictionTable], *, force: bool = False) -> PredictionTable:
    """One table of the rows of all parts, in their order.

    Its ``training_groups`` are those whose rows the model that predicted them was trained on: none,
    unless forced. So the out-of-fold predictions of several models over their training videos are
    held out, as they should be. Thresholds and biases of the parts are left out.

    Args:
        parts: at least two tables of raw predictions by what messages call them; classes and action
            units are brought into the order of the first.
        force: take a part whose model was trained on its rows all the same, and say so.

    Raises:
        TableError: an image in two parts; other tasks, classes or action units; a part that went
            through a step.
        LeakError: a part whose model was trained on its rows, and nobody forces it.
    """
    assert len(parts) > 1
    spaces = first_spaces(list(parts.values()))
    first = next(iter(parts.values()))
    seen, tables, leaked, remarks = (
        dict[str, str](),
        list[PredictionTable](),
        set[str](),
        list[str](),
    )
    for name, table in parts.items():
        _refuse_overlap(name, table, seen)
        try:
            _refuse_unlike(table, first)
            tables.append(in_spaces(table, spaces))
        except TableError as error:
            raise TableError(f"{name}: {error}") from None
        if trained := _trained_on(table):
            what = f"{len(trained)} of its recordings ({', '.join(sorted(trained)[:_NAMED])})"
            if not force:
                raise LeakError(
                    f"{name}: its model was trained on {what}, expected held-out ones; --force true"
                    " joins all the same and marks every score"
                )
            leaked |= trained
            remarks.append(f"forced: the model of {name} was trained on {what}")
    known = all(table.about.training_groups is not None for table in tables)
    models = [table.about.model for table in tables]
    about = About(
        model=models[0] if len(set(models)) == 1 else joint_model(models),
        trained_on=union([table.about.trained_on for table in tables]),
        training_groups=tuple(sorted(leaked)) if known else None,
        drawn=any(table.about.drawn for table in tables),
    )
    decided = [n for n, t in parts.items() if t.thresholds is not None or t.biases is not None]
    if decided:
        remarks.append(f"thresholds and biases of {', '.join(decided)} are left out")
    listed = [{"table": n, "model": t.about.model, "rows": len(t)} for n, t in parts.items()]
    step = Step(name="join", settings={"parts": listed}, remarks=tuple(remarks))
    return with_step(replace(_stacked(tables), about=about), step)


def _refuse_overlap(name: str, table: PredictionTable, seen: dict[str, str]) -> None:
    """Refuses an image that an earlier part has, and notes those of this one."""
    if both := [image for image in dict.fromkeys(table.images) if image in seen]:
        first = ", ".join(both[:_NAMED]) + (", ..." if len(both) > _NAMED else "")
        raise TableError(
            f"{name}: {len(both)} images are in {seen[both[0]]} as well ({first}), expected each in"
            " one table"
        )
    seen.update(dict.fromkeys(table.images, name))


def _refuse_unlike(table: PredictionTable, first: PredictionTable) -> None:
    steps = [step.name for step in table.about.steps]
    if steps or any(table.filled or ()):
        got = f"the steps {', '.join(steps)}" if steps else "filling"
        raise TableError(f"went through {got}, expected raw predictions")
    for what, own, wanted in (
        ("tasks", list(predictions(table)), list(predictions(first))),
        ("videos", table.videos is not None, first.videos is not None),
        ("frame numbers", table.frames is not None, first.frames is not None),
    ):
        if own != wanted:
            raise TableError(f"other {what} than in the first table, expected the same")


def _trained_on(table: PredictionTable) -> set[str]:
    """The groups of its rows that its own model was trained on, as far as is known."""
    return set(table.groups) & set(table.about.training_groups or ())


def _stacked(tables: Sequence[PredictionTable]) -> PredictionTable:
    first, parts = tables[0], [predictions(table) for table in tables]
    values: dict[str, Any] = {
        task: np.concatenate([part[task] for part in parts]) for task in parts[0]
    }
    videos = [video for table in tables for video in table.videos or ()]
    frames = [table.frames for table in tables if table.frames is not None]
    return PredictionTable(
        images=[image for table in tables for image in table.images],
        videos=None if first.videos is None else videos,
        frames=np.concatenate(frames) if frames else None,
        expression_space=first.expression_space,
        action_unit_space=first.action_unit_space,
        **values,
    )
