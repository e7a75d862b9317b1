"""What the probes found: a record a probe, a table of the last one, a plot over epochs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pretrain.engine.pictures import save_figure
from pretrain.files import write_text
from pretrain.probing.images import Scores
from pretrain.probing.linear import FOLDS, Score, Task

RECORDS = "probe.jsonl"

#: Line colours of an encoder's rows; rows without an encoder are grey and dashed.
_COLOURS = ("#20639b", "#c0392b", "#3caea3", "#8e44ad")


def table(scores: Scores, tasks: Sequence[Task], heading: str, remarks: Sequence[str]) -> str:
    """A table to read: a row a set of features, a column a task, mean and spread over folds.

    Args:
        scores: row to task to score.
        tasks: the columns.
        heading: what was probed.
        remarks: lines below the table.
    """
    rows = [["", *(task.name for task in tasks)], ["", *(task.measure for task in tasks)]]
    for name, by_task in scores.items():
        found = [by_task[task.name] for task in tasks]
        rows.append([name, *(f"{score.mean:.3f} ± {score.spread:.3f}" for score in found)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(2, "  ".join("-" * width for width in widths))
    notes = [task.note for task in tasks if task.note]
    about = f"mean ± standard deviation over {FOLDS} folds by subject"
    return "\n".join([heading, "", *(line.rstrip() for line in lines), "", about, *remarks, *notes])


def record(scores: Scores, step: int, epoch: float, images: str) -> dict[str, Any]:
    """The probe of a step as JSON values: row to task to the scores of the folds.

    Args:
        scores: row to task to score.
        step: of the run.
        epoch: of the run.
        images: what names the probed images.
    """
    folds = {
        row: {task: list(score.folds) for task, score in by_task.items()}
        for row, by_task in scores.items()
    }
    return {"step": step, "epoch": epoch, "images": images, "scores": folds}


def same_probe(entry: Mapping[str, Any], images: str, tasks: Sequence[Task]) -> bool:
    """Whether a record is of these images and tasks: a resumed run may probe others."""
    found = {task for by_task in entry["scores"].values() for task in by_task}
    return entry.get("images") == images and found == {task.name for task in tasks}


def read_records(folder: Path) -> list[dict[str, Any]]:
    """The probes of a run, oldest first; empty without any."""
    path = folder / RECORDS
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_records(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Writes ``probe.jsonl`` anew."""
    write_text(folder / RECORDS, "".join(f"{json.dumps(entry)}\n" for entry in records))


def plot(
    records: Sequence[Mapping[str, Any]], tasks: Sequence[Task], path: Path, title: str
) -> None:
    """Draws the scores over epochs, a panel a task; what does not change is a dashed line.

    Args:
        records: of :func:`record`, of the same probe.
        tasks: the panels.
        path: the PNG.
        title: what is probed.
    """
    from matplotlib.figure import Figure  # imports stay light

    figure = Figure(figsize=(3.4 * len(tasks), 3.8), dpi=120, layout="constrained")
    epochs = [entry["epoch"] for entry in records]
    panels = figure.subplots(1, len(tasks), squeeze=False)[0]
    for axes, task in zip(panels, tasks, strict=True):
        colours, styles = iter(_COLOURS), iter((":", "--", "-.", (0, (1, 3))))
        for row in records[-1]["scores"]:
            folds = np.array([entry["scores"][row][task.name] for entry in records])  # [n, folds]
            if row.startswith("encoder"):
                mean, spread = folds.mean(1), folds.std(1, ddof=1)
                colour = next(colours)
                axes.errorbar(
                    epochs, mean, spread, fmt="o-", color=colour, ms=4, lw=1.2, capsize=2, label=row
                )
            else:
                axes.axhline(
                    folds[-1].mean(), color="#555555", linestyle=next(styles), lw=1, label=row
                )
        axes.set(xlabel="epoch", ylabel=task.measure, title=task.name)
        axes.set_xlim(0, 1.05 * max(epochs[-1], 1e-6))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Linear probes of {title}, mean and spread over {FOLDS} folds", fontsize=10)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    save_figure(figure, path)


def scores_of(entry: Mapping[str, Any]) -> Scores:
    """The scores of a record."""
    return {
        row: {task: Score(tuple(folds)) for task, folds in by_task.items()}
        for row, by_task in entry["scores"].items()
    }
